//! The rules that a pickle can break.

/// The rule that a pickle breaks.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PickleFault {
    /// It names something that a state dict has no use for.
    #[error(
        "its pickle calls or names `{0}`, which no state dict needs: \
         refused, and nothing of it was run\n\
         hint: if you trust the file's source, save the tensors alone: \
         torch.save(model.state_dict(), FILE)"
    )]
    Global(String),
    /// It has an instruction that a state dict has no use for.
    #[error("its pickle has opcode {opcode:#04x} at byte {at}, which no state dict needs")]
    Opcode { opcode: u8, at: usize },
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
