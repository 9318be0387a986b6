//! Pickle, written, and read by a stack machine that keeps data and calls nothing.
//!
//! It has the instructions of all protocols (CPython's `Lib/pickletools.py` describes them), and
//! understands the few calls that state dicts are made by. Values that weights do not need are
//! reduced to the name of their type; of an object of any other class its name is kept. Objects
//! stand in a list and refer to one another by index, so that no nesting is too deep and no cycle
//! leaks.

mod call;
mod fault;
mod machine;
mod name;
mod opcode;
mod pickler;
mod stack;
#[cfg(test)]
mod tests;
mod unread;
mod value;

pub use fault::PickleFault;
pub use name::Name;
pub use pickler::Pickler;
pub use unread::Unread;
pub use value::{Object, Storage, Value, View};

use value::type_name;

/// A pickle, parsed.
#[derive(Debug)]
pub struct Pickle<'a> {
    objects: Vec<Object<'a>>,
    /// The saved object.
    pub root: Value<'a>,
}

impl<'a> Pickle<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PickleFault> {
        let (objects, root) = machine::run(bytes)?;
        Ok(Self { objects, root })
    }

    /// What a pickle of a dict of these tensors would hold.
    pub fn of_tensors(tensors: impl Iterator<Item = (&'a str, View<'a>)>) -> Self {
        let mut objects = vec![Object::Dict(vec![])];
        let mut entries = Vec::new();
        for (name, view) in tensors {
            entries.push((Value::Text(name), Value::Object(objects.len())));
            objects.push(Object::Tensor(Box::new(view)));
        }
        objects[0] = Object::Dict(entries);
        Self {
            objects,
            root: Value::Object(0),
        }
    }

    /// How many objects there are.
    pub fn object_count(&self) -> usize {
        self.objects.len()
    }

    pub fn object(&self, value: Value<'a>) -> Option<&Object<'a>> {
        match value {
            Value::Object(index) => Some(&self.objects[index]),
            _ => None,
        }
    }

    /// The entries of a dict, in order.
    pub fn dict(&self, value: Value<'a>) -> Option<&[(Value<'a>, Value<'a>)]> {
        match self.object(value)? {
            Object::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    pub fn tensor(&self, value: Value<'a>) -> Option<&View<'a>> {
        match self.object(value)? {
            Object::Tensor(view) => Some(view),
            _ => None,
        }
    }

    /// Which tensor a value is, if it is one of a kind that is not read.
    pub fn unread(&self, value: Value<'a>) -> Option<Unread<'a>> {
        match *self.object(value)? {
            Object::Unread(unread) => Some(unread),
            _ => None,
        }
    }

    /// The class or function that a value is, or that would have made it.
    pub fn name(&self, value: Value<'a>) -> Option<Name<'a>> {
        match *self.object(value)? {
            Object::Named(name) | Object::Inert(name) => Some(name),
            _ => None,
        }
    }

    /// The value of a dict's entry, if it is a tensor.
    pub fn entry(&self, dict: Value<'a>, key: &str) -> Option<&View<'a>> {
        let mut entries = self.dict(dict)?.iter();
        let is_meant = |name: Value<'a>| matches!(name, Value::Text(name) if name == key);
        let &(_, value) = entries.find(|(name, _)| is_meant(*name))?;
        self.tensor(value)
    }

    /// What a value is: the name of its type, and a tensor's shape.
    pub fn describe(&self, value: Value<'a>) -> String {
        match (self.tensor(value), self.unread(value), self.name(value)) {
            (Some(view), _, _) => format!("tensor {:?}", view.shape),
            (_, Some(unread), _) => unread.describe(),
            (_, _, Some(name)) => name.describe(),
            _ => type_name(&self.objects, value).to_owned(),
        }
    }
}
