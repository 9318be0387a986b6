//! Running a pickle, a program for a stack machine: every instruction that state dicts need, and
//! none that calls something.

use super::fault::PickleFault;
use super::opcode as op;
use super::stack::Machine;
use super::value::{Global, LIST, Object, Storage, Value, View, global, type_name};

/// Tensors of more axes than this are refused: their shapes could take the memory that a small
/// pickle does not.
const MOST_AXES: usize = 8;

/// Runs a pickle. Gives the objects it makes, and its result.
pub(super) fn run(bytes: &[u8]) -> Result<(Vec<Object<'_>>, Value<'_>), PickleFault> {
    let mut machine = Machine {
        bytes,
        ..Machine::default()
    };
    let result = machine.run()?;
    Ok((machine.objects, result))
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Value<'a>, PickleFault> {
        loop {
            self.at = self.next;
            let [opcode] = self.array()?;
            if opcode == op::STOP {
                break;
            }
            self.step(opcode)?;
        }
        match self.bytes.len() - self.next {
            0 => self.pop("a result"),
            trailing => Err(PickleFault::Trailing(trailing)),
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), PickleFault> {
        let is_known = match opcode {
            op::PROTO => self.array::<1>().map(|_| true)?,
            op::FRAME => self.array::<8>().map(|_| true)?,
            op::MARK => {
                self.marks.push(self.stack.len());
                true
            }
            _ => {
                self.literal(opcode)?
                    || self.memo(opcode)?
                    || self.sequence(opcode)?
                    || self.mapping(opcode)?
                    || self.object(opcode)?
            }
        };
        if is_known {
            Ok(())
        } else {
            Err(PickleFault::Opcode {
                opcode,
                at: self.at,
            })
        }
    }

    // Each of the following says whether the opcode is one of its own.

    /// Numbers, text and constants.
    fn literal(&mut self, opcode: u8) -> Result<bool, PickleFault> {
        let value = match opcode {
            op::NONE => Value::Other("None"),
            op::NEWTRUE | op::NEWFALSE => Value::Other("bool"),
            op::BINFLOAT => self.array::<8>().map(|_| Value::Other("float"))?,
            op::BININT1 => Value::Int(self.array().map(u8::from_le_bytes)?.into()),
            op::BININT2 => Value::Int(self.array().map(u16::from_le_bytes)?.into()),
            op::BININT => Value::Int(self.array().map(i32::from_le_bytes)?.into()),
            op::LONG1 => self.long()?,
            op::BINUNICODE => {
                let length = self.array().map(u32::from_le_bytes)?;
                self.text(length as usize)?
            }
            op::SHORT_BINUNICODE => {
                let [length] = self.array()?;
                self.text(length.into())?
            }
            _ => return Ok(false),
        };
        self.stack.push(value);
        Ok(true)
    }

    /// Remembering the value on top of the stack, and putting one that is remembered there.
    fn memo(&mut self, opcode: u8) -> Result<bool, PickleFault> {
        match opcode {
            op::BINPUT => {
                let [index] = self.array()?;
                self.put(index.into())?;
            }
            op::LONG_BINPUT => {
                let index = self.array().map(u32::from_le_bytes)?;
                self.put(index)?;
            }
            op::MEMOIZE => self.put(self.memo.len() as u32)?,
            op::BINGET => {
                let [index] = self.array()?;
                self.get(index.into())?;
            }
            op::LONG_BINGET => {
                let index = self.array().map(u32::from_le_bytes)?;
                self.get(index)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Tuples and lists.
    fn sequence(&mut self, opcode: u8) -> Result<bool, PickleFault> {
        match opcode {
            op::EMPTY_TUPLE => self.push(Object::Tuple(vec![])),
            op::TUPLE1 => self.short_tuple(1)?,
            op::TUPLE2 => self.short_tuple(2)?,
            op::TUPLE3 => self.short_tuple(3)?,
            op::TUPLE => {
                let items = self.pop_mark()?;
                self.push(Object::Tuple(items));
            }
            op::EMPTY_LIST => self.stack.push(LIST),
            op::APPEND => {
                self.pop("an item")?;
                self.list()?;
            }
            op::APPENDS => {
                self.pop_mark()?;
                self.list()?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Dicts.
    fn mapping(&mut self, opcode: u8) -> Result<bool, PickleFault> {
        match opcode {
            op::EMPTY_DICT => self.push(Object::Dict(vec![])),
            op::SETITEM => {
                let (value, key) = (self.pop("a value")?, self.pop("a key")?);
                self.dict()?.push((key, value));
            }
            op::SETITEMS => {
                let items = self.pop_mark()?;
                let (pairs, rest) = items.as_chunks();
                if !rest.is_empty() {
                    return Err(self.malformed("keys and values in pairs", "a key alone"));
                }
                self.dict()?
                    .extend(pairs.iter().map(|&[key, value]| (key, value)));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Names, storages, and what is made by calling something.
    fn object(&mut self, opcode: u8) -> Result<bool, PickleFault> {
        match opcode {
            op::GLOBAL => {
                let (module, name) = (self.line()?, self.line()?);
                self.stack.push(Value::Global(global(module, name)?));
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                self.stack.push(Value::Global(global(module, name)?));
            }
            op::BINPERSID => self.storage()?,
            op::REDUCE => self.reduce()?,
            op::BUILD => {
                self.pop("a state")?; // of an OrderedDict: `_metadata`, the versions of modules
                self.dict()?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// BINPERSID: torch.save writes ("storage", class, key, location, elements).
    fn storage(&mut self) -> Result<(), PickleFault> {
        let fields = self.pop_tuple()?;
        let [
            Value::Text("storage"),
            Value::Global(Global::Storage(dtype)),
            Value::Text(key),
            Value::Text(_),
            elements,
        ] = fields[..]
        else {
            return Err(self.malformed(
                "a storage's class, key, location and size",
                "something else",
            ));
        };
        let elements = self.count(elements)?;
        self.push(Object::Storage(Storage {
            dtype,
            key,
            elements,
        }));
        Ok(())
    }

    /// The only calls there are: none of them does more than keep its arguments.
    fn reduce(&mut self) -> Result<(), PickleFault> {
        let arguments = self.pop_tuple()?;
        let callable = self.pop("a function")?;
        let Value::Global(callable) = callable else {
            return Err(self.malformed("a function", type_name(&self.objects, callable)));
        };
        match (callable, &arguments[..]) {
            (Global::OrderedDict, []) => self.push(Object::Dict(vec![])),
            // (data, requires_grad, backward_hooks)
            (Global::RebuildParameter, &[data, _, _]) => self.stack.push(data),
            // (storage, offset, size, stride, requires_grad, backward_hooks[, metadata])
            (Global::RebuildTensor, &[storage, offset, shape, strides, _, _]) => {
                self.tensor(storage, offset, shape, strides)?;
            }
            (Global::RebuildTensor, [_, _, _, _, _, _, _]) => {
                return Err(self.malformed("a plain tensor", "one that is conjugated or negated"));
            }
            _ => return Err(self.malformed("the arguments of torch.save", "other arguments")),
        }
        Ok(())
    }

    fn tensor(
        &mut self,
        storage: Value<'a>,
        offset: Value<'a>,
        shape: Value<'a>,
        strides: Value<'a>,
    ) -> Result<(), PickleFault> {
        let storage = match storage {
            Value::Object(index) if let Object::Storage(storage) = self.objects[index] => storage,
            other => return Err(self.malformed("a storage", type_name(&self.objects, other))),
        };
        let (shape, strides) = (self.counts(shape)?, self.counts(strides)?);
        if shape.len() != strides.len() {
            return Err(self.malformed("one stride for each axis", "more or fewer"));
        }
        let offset = self.count(offset)?;
        self.push(Object::Tensor(Box::new(View {
            storage,
            offset,
            shape,
            strides,
        })));
        Ok(())
    }

    fn counts(&self, value: Value<'a>) -> Result<Vec<usize>, PickleFault> {
        match value {
            Value::Object(index) if let Object::Tuple(items) = &self.objects[index] => {
                if items.len() > MOST_AXES {
                    return Err(self.malformed("at most 8 axes", "more"));
                }
                items.iter().map(|&item| self.count(item)).collect()
            }
            other => Err(self.malformed("a tuple", type_name(&self.objects, other))),
        }
    }

    fn count(&self, value: Value<'a>) -> Result<usize, PickleFault> {
        match value {
            Value::Int(number) => usize::try_from(number)
                .map_err(|_| self.malformed("a count", "a number out of range")),
            other => Err(self.malformed("a count", type_name(&self.objects, other))),
        }
    }

    /// LONG1: an integer of any length, two's complement.
    fn long(&mut self) -> Result<Value<'a>, PickleFault> {
        let [length] = self.array()?;
        let bytes = self.slice(length.into())?;
        let sign = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) {
            0xff
        } else {
            0
        };
        let mut wide = [sign; 8];
        Ok(match wide.get_mut(..bytes.len()) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(wide))
            }
            None => Value::Other("int of more than 64 bits"),
        })
    }

    fn text(&mut self, length: usize) -> Result<Value<'a>, PickleFault> {
        str::from_utf8(self.slice(length)?)
            .map(Value::Text)
            .map_err(|_| self.malformed("UTF-8", "other bytes"))
    }
}
