//! Writing a pickle.

/// Writes the instructions of a pickle, protocol 2.
pub struct Pickler(Vec<u8>);

impl Default for Pickler {
    fn default() -> Self {
        Self(vec![0x80, 2])
    }
}

impl Pickler {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn op(&mut self, opcode: u8) -> &mut Self {
        self.0.push(opcode);
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        let length = u32::try_from(text.len()).expect("names are short");
        self.op(b'X').0.extend(length.to_le_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    pub fn int(&mut self, number: usize) -> &mut Self {
        match i32::try_from(number) {
            Ok(number) => self.op(b'J').0.extend(number.to_le_bytes()),
            // LONG1; a count is below 2⁶³
            Err(_) => self.op(0x8a).op(8).0.extend(number.to_le_bytes()),
        }
        self
    }

    pub fn counts(&mut self, counts: &[usize]) -> &mut Self {
        self.op(b'(');
        for &count in counts {
            self.int(count);
        }
        self.op(b't')
    }

    pub fn global(&mut self, module: &str, name: &str) -> &mut Self {
        self.0.extend(format!("c{module}\n{name}\n").as_bytes());
        self
    }

    pub fn ordered_dict(&mut self) -> &mut Self {
        self.global("collections", "OrderedDict").op(b')').op(b'R')
    }

    /// A storage, by the persistent id that torch.save gives it.
    pub fn storage(
        &mut self,
        class: &str,
        key: &str,
        location: &str,
        elements: usize,
    ) -> &mut Self {
        self.op(b'(')
            .text("storage")
            .global("torch", class)
            .text(key)
            .text(location)
            .int(elements)
            .op(b't')
            .op(b'Q')
    }

    pub fn stop(mut self) -> Vec<u8> {
        self.op(b'.');
        self.0
    }
}
