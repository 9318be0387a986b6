//! The rules that a pickle can break.

/// The rule that a pickle breaks.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PickleFault {
    /// It has an instruction that no file of torch.save has.
    #[error("its pickle has opcode {opcode:#04x} at byte {at}, which torch.save does not write")]
    Opcode { opcode: u8, at: usize },
    /// It has more instructions than any checkpoint of a network.
    #[error("its pickle has more than {0} instructions, expected a state dict")]
    TooLong(usize),
    /// It is cut short.
    #[error("its pickle ends within an instruction or without STOP")]
    EndsEarly,
    /// It goes on after its end.
    #[error("its pickle has {0} bytes after STOP")]
    Trailing(usize),
    /// An instruction finds something else than it needs.
    #[error("its pickle is malformed at byte {at}: expected {expected}, found {found}")]
    Malformed {
        at: usize,
        expected: &'static str,
        found: &'static str,
    },
}
