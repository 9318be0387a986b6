//! What the machine has: the program, a stack, a memo and the objects made so far.

use std::collections::HashMap;

use super::fault::PickleFault;
use super::value::{LIST, Object, Value, type_name};

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
    /// A line of GLOBAL, without its end.
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
        let value = self
            .top()
            .ok_or_else(|| self.malformed(expected, "nothing"))?;
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
            other => Err(self.malformed("a str", type_name(&self.objects, other))),
        }
    }

    pub(super) fn pop_tuple(&mut self) -> Result<Vec<Value<'a>>, PickleFault> {
        match self.pop("a tuple")? {
            Value::Object(index) if let Object::Tuple(items) = &self.objects[index] => {
                Ok(items.clone())
            }
            other => Err(self.malformed("a tuple", type_name(&self.objects, other))),
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

    /// Checks that a list is on top of the stack.
    pub(super) fn list(&mut self) -> Result<(), PickleFault> {
        match self.top() {
            Some(LIST) => Ok(()),
            other => Err(self.malformed(
                "a list",
                other.map_or("nothing", |value| type_name(&self.objects, value)),
            )),
        }
    }

    /// The dict on top of the stack.
    pub(super) fn dict(&mut self) -> Result<&mut Vec<(Value<'a>, Value<'a>)>, PickleFault> {
        let found = self.top();
        let fault = self.malformed(
            "a dict",
            found.map_or("nothing", |value| type_name(&self.objects, value)),
        );
        match found {
            Some(Value::Object(index)) if let Object::Dict(entries) = &mut self.objects[index] => {
                Ok(entries)
            }
            _ => Err(fault),
        }
    }

    /// The value on top of the stack, if one is above the last mark.
    fn top(&self) -> Option<Value<'a>> {
        let mark = self.marks.last().copied().unwrap_or(0);
        self.stack[mark..].last().copied()
    }

    pub(super) fn put(&mut self, index: u32) -> Result<(), PickleFault> {
        let value = self
            .top()
            .ok_or_else(|| self.malformed("a value", "nothing"))?;
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

    pub(super) fn malformed(&self, expected: &'static str, found: &'static str) -> PickleFault {
        PickleFault::Malformed {
            at: self.at,
            expected,
            found,
        }
    }
}
