//! The part of pickle that state dicts are written in: a stack machine that keeps data and calls
//! nothing.
//!
//! Opcodes are those that `torch.load(weights_only=True)` accepts, protocol 2, and the few that
//! protocol 4 has instead (CPython's `Lib/pickletools.py` describes them all). Values that weights
//! do not need are reduced to the name of their type. Objects stand in a list and refer to one
//! another by index, so that no nesting is too deep and no cycle leaks.

mod fault;
mod machine;
mod opcode;
mod stack;
#[cfg(test)]
mod tests;
mod value;

pub use fault::PickleFault;
use value::{Object, type_name};
pub(super) use value::{Value, View};

/// A pickle, parsed.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    objects: Vec<Object<'a>>,
    /// The saved object.
    pub(crate) root: Value<'a>,
}

impl<'a> Pickle<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, PickleFault> {
        let (objects, root) = machine::run(bytes)?;
        Ok(Self { objects, root })
    }

    /// The entries of a dict, in order.
    pub(crate) fn dict(&self, value: Value<'a>) -> Option<&[(Value<'a>, Value<'a>)]> {
        match value {
            Value::Object(index) => match &self.objects[index] {
                Object::Dict(entries) => Some(entries),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn tensor(&self, value: Value<'a>) -> Option<&View<'a>> {
        match value {
            Value::Object(index) => match &self.objects[index] {
                Object::Tensor(view) => Some(view),
                _ => None,
            },
            _ => None,
        }
    }

    /// The name of a value's type.
    pub(crate) fn type_name(&self, value: Value<'a>) -> &'static str {
        type_name(&self.objects, value)
    }
}
