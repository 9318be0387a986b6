//! What the machine has: the program, a stack, a memo and the objects made so far.

use std::collections::HashMap;

use super::fault::PickleFault;
use super::name::Name;
use super::value::{Object, SET, Value, type_name};

#[derive(Default)]
pub(super) struct Machine<'a> {
    pub(super) bytes: &'a [u8],
    /// The next byte to read.
    pub(super) next: usize,
    /// The instruction that is being carried out.
    pub(super) at: usize,
    pub(super) stack: Vec<Value<'a>>,
    /// Heights of the stack.
    pub(super) marks: Vec<usize>,
    pub(super) memo: HashMap<u32, Value<'a>>,
    pub(super) objects: Vec<Object<'a>>,
}

impl<'a> Machine<'a> {
    /// A line of text, without its end.
    pub(super) fn line(&mut self) -> Result<&'a str, PickleFault> {
        let rest = &self.bytes[self.next..];
        let length = rest
            .iter()
            .position(|&byte| byte == b'\n')
            .ok_or(PickleFault::EndsEarly)?;
        self.next += length + 1;
        str::from_utf8(&rest[..length]).map_err(|_| self.malformed("UTF-8", "other bytes"))
    }

    pub(super) fn slice(&mut self, length: usize) -> Result<&'a [u8], PickleFault> {
        let slice = self.bytes[self.next..]
            .get(..length)
            .ok_or(PickleFault::EndsEarly)?;
        self.next += length;
        Ok(slice)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleFault> {
        Ok(self.slice(N)?.try_into().expect("as many as asked for"))
    }

    pub(super) fn push(&mut self, object: Object<'a>) {
        self.stack.push(Value::Object(self.objects.len()));
        self.objects.push(object);
    }

    pub(super) fn pop(&mut self, expected: &'static str) -> Result<Value<'a>, PickleFault> {
        let value = self.peek(expected)?;
        self.stack.pop();
        Ok(value)
    }

    pub(super) fn pop_mark(&mut self) -> Result<Vec<Value<'a>>, PickleFault> {
        let height = self
            .marks
            .pop()
            .ok_or_else(|| self.malformed("a mark", "none"))?;
        Ok(self.stack.split_off(height))
    }

    pub(super) fn pop_text(&mut self) -> Result<&'a str, PickleFault> {
        match self.pop("a str")? {
            Value::Text(text) => Ok(text),
            other => Err(self.malformed("a str", self.type_name(other))),
        }
    }

    /// The items of a tuple.
    pub(super) fn tuple(&self, value: Value<'a>) -> Result<&[Value<'a>], PickleFault> {
        match value {
            Value::Object(index) if let Object::Tuple(items) = &self.objects[index] => Ok(items),
            other => Err(self.malformed("a tuple", self.type_name(other))),
        }
    }

    pub(super) fn short_tuple(&mut self, length: usize) -> Result<(), PickleFault> {
        let mut items = (0..length)
            .map(|_| self.pop("an item"))
            .collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.push(Object::Tuple(items));
        Ok(())
    }

    /// Adds items to the list on top of the stack.
    pub(super) fn extend_list(&mut self, items: &[Value<'a>]) -> Result<(), PickleFault> {
        match self.top_object() {
            Some(Object::List(list)) => list.extend(items),
            Some(Object::Inert(_)) => {} // of a class that is a list with something more
            _ => return Err(self.unlike("a list")),
        }
        Ok(())
    }

    /// Sets entries of the dict on top of the stack.
    pub(super) fn extend_dict(&mut self, entries: &[[Value<'a>; 2]]) -> Result<(), PickleFault> {
        match self.top_object() {
            Some(Object::Dict(dict)) => {
                dict.extend(entries.iter().map(|&[key, value]| (key, value)));
            }
            Some(Object::Inert(_)) => {}
            _ => return Err(self.unlike("a dict")),
        }
        Ok(())
    }

    /// Checks that a set is on top of the stack.
    pub(super) fn expect_set(&mut self) -> Result<(), PickleFault> {
        let is_inert = matches!(self.top_object(), Some(Object::Inert(_)));
        match is_inert || self.top() == Some(SET) {
            true => Ok(()),
            false => Err(self.unlike("a set")),
        }
    }

    /// Checks that what is on top of the stack may be given a state, which no weights lie in.
    pub(super) fn expect_stateful(&mut self) -> Result<(), PickleFault> {
        // Of an OrderedDict: `_metadata`, the versions of modules.
        let has_state = matches!(
            self.top_object(),
            Some(Object::Dict(_) | Object::Inert(_) | Object::Unread(_))
        );
        match has_state || matches!(self.top(), Some(Value::Other(_))) {
            true => Ok(()),
            false => Err(self.unlike("a dict")),
        }
    }

    /// The value on top of the stack, if one is above the last mark.
    fn top(&self) -> Option<Value<'a>> {
        let mark = self.marks.last().copied().unwrap_or(0);
        self.stack[mark..].last().copied()
    }

    fn top_object(&mut self) -> Option<&mut Object<'a>> {
        match self.top() {
            Some(Value::Object(index)) => Some(&mut self.objects[index]),
            _ => None,
        }
    }

    /// The value on top of the stack, which stays there.
    pub(super) fn peek(&self, expected: &'static str) -> Result<Value<'a>, PickleFault> {
        self.top()
            .ok_or_else(|| self.malformed(expected, "nothing"))
    }

    /// Whether nothing lies above the last mark.
    pub(super) fn is_at_mark(&self) -> bool {
        self.top().is_none() && !self.marks.is_empty()
    }

    /// The name of a class or function that weights do not need, or that made an object.
    pub(super) fn name(&self, value: Value<'a>) -> Option<Name<'a>> {
        match value {
            Value::Object(index) => match self.objects[index] {
                Object::Named(name) | Object::Inert(name) => Some(name),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn put(&mut self, index: u32) -> Result<(), PickleFault> {
        let value = self.peek("a value")?;
        self.memo.insert(index, value);
        Ok(())
    }

    pub(super) fn get(&mut self, index: u32) -> Result<(), PickleFault> {
        let value = self
            .memo
            .get(&index)
            .copied()
            .ok_or_else(|| self.malformed("a remembered value", "none"))?;
        self.stack.push(value);
        Ok(())
    }

    pub(super) fn type_name(&self, value: Value<'a>) -> &'static str {
        type_name(&self.objects, value)
    }

    /// Something else than expected is on top of the stack.
    fn unlike(&self, expected: &'static str) -> PickleFault {
        let found = self.top().map(|value| self.type_name(value));
        self.malformed(expected, found.unwrap_or("nothing"))
    }

    pub(super) fn malformed(&self, expected: &'static str, found: &'static str) -> PickleFault {
        PickleFault::Malformed {
            at: self.at,
            expected,
            found,
        }
    }
}
