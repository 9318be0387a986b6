//! Running a pickle, a program for a stack machine: every instruction keeps data, and none calls
//! something.

use super::fault::PickleFault;
use super::opcode as op;
use super::stack::Machine;
use super::value::{Object, SET, Value};

/// The most instructions accepted. `base` with Adam's state has 12,000; parsing takes up to 160
/// bytes of memory for each of a hostile pickle.
const MOST_INSTRUCTIONS: usize = 2 << 20;

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
        for _ in 0..MOST_INSTRUCTIONS {
            self.at = self.next;
            let [opcode] = self.array()?;
            if opcode == op::STOP {
                return match self.bytes.len() - self.next {
                    0 => self.pop("a result"),
                    trailing => Err(PickleFault::Trailing(trailing)),
                };
            }
            self.step(opcode)?;
        }
        Err(PickleFault::TooLong(MOST_INSTRUCTIONS))
    }

    fn step(&mut self, opcode: u8) -> Result<(), PickleFault> {
        let is_known = self.frame(opcode)?
            || self.number(opcode)?
            || self.characters(opcode)?
            || self.line_of_text(opcode)?
            || self.memo(opcode)?
            || self.sequence(opcode)?
            || self.mapping(opcode)?
            || self.object(opcode)?;
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

    /// The stack itself.
    fn frame(&mut self, opcode: u8) -> Result<bool, PickleFault> {
        match opcode {
            op::PROTO => drop(self.array::<1>()?),
            op::FRAME => drop(self.array::<8>()?),
            op::MARK => self.marks.push(self.stack.len()),
            op::POP if self.is_at_mark() => drop(self.marks.pop()),
            op::POP => drop(self.pop("a value")?),
            op::POP_MARK => drop(self.pop_mark()?),
            op::DUP => {
                let value = self.peek("a value")?;
                self.stack.push(value);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Numbers and constants.
    fn number(&mut self, opcode: u8) -> Result<bool, PickleFault> {
        let value = match opcode {
            op::NONE => Value::Other("None"),
            op::NEWTRUE | op::NEWFALSE => Value::Other("bool"),
            op::BINFLOAT => self.array::<8>().map(|_| Value::Other("float"))?,
            op::BININT1 => Value::Int(self.array().map(u8::from_le_bytes)?.into()),
            op::BININT2 => Value::Int(self.array().map(u16::from_le_bytes)?.into()),
            op::BININT => Value::Int(self.array().map(i32::from_le_bytes)?.into()),
            op::LONG1 => {
                let [length] = self.array()?;
                self.long(length.into())?
            }
            op::LONG4 => {
                let length = self.length4()?;
                self.long(length)?
            }
            _ => return Ok(false),
        };
        self.stack.push(value);
        Ok(true)
    }

    /// Text and bytes.
    fn characters(&mut self, opcode: u8) -> Result<bool, PickleFault> {
        let length = match opcode {
            op::SHORT_BINUNICODE | op::SHORT_BINBYTES | op::SHORT_BINSTRING => {
                let [length] = self.array()?;
                length.into()
            }
            op::BINUNICODE | op::BINBYTES | op::BINSTRING => self.length4()?,
            op::BINUNICODE8 | op::BINBYTES8 | op::BYTEARRAY8 => {
                let length = self.array().map(u64::from_le_bytes)?;
                usize::try_from(length).map_err(|_| PickleFault::EndsEarly)?
            }
            _ => return Ok(false),
        };
        let bytes = self.slice(length)?;
        self.stack.push(match opcode {
            op::SHORT_BINUNICODE | op::BINUNICODE | op::BINUNICODE8 => text(bytes),
            op::SHORT_BINSTRING | op::BINSTRING => text(bytes), // of Python 2
            _ => Value::Other("bytes"),
        });
        Ok(true)
    }

    fn length4(&mut self) -> Result<usize, PickleFault> {
        Ok(self.array().map(u32::from_le_bytes)? as usize)
    }

    /// Protocol 0: numbers and text as a line each.
    fn line_of_text(&mut self, opcode: u8) -> Result<bool, PickleFault> {
        let value = match opcode {
            op::FLOAT => self.line().map(|_| Value::Other("float"))?,
            op::INT => match self.line()? {
                "00" | "01" => Value::Other("bool"),
                line => int(line),
            },
            op::LONG => int(self.line()?.trim_end_matches('L')),
            op::STRING => self.line().map(|_| Value::Other("str"))?,
            op::UNICODE => match self.line()? {
                line if line.is_ascii() && !line.contains('\\') => Value::Text(line),
                _ => Value::Other("str"),
            },
            op::PERSID => self.line().map(|_| Value::Other("object elsewhere"))?,
            _ => return Ok(false),
        };
        self.stack.push(value);
        Ok(true)
    }

    /// Remembering the value on top of the stack, and putting one that is remembered there.
    fn memo(&mut self, opcode: u8) -> Result<bool, PickleFault> {
        let is_put = matches!(opcode, op::PUT | op::BINPUT | op::LONG_BINPUT | op::MEMOIZE);
        let index = match opcode {
            op::PUT | op::GET => {
                let line = self.line()?.parse();
                line.map_err(|_| self.malformed("the number of a value", "other text"))?
            }
            op::BINPUT | op::BINGET => {
                let [index] = self.array()?;
                index.into()
            }
            op::LONG_BINPUT | op::LONG_BINGET => self.array().map(u32::from_le_bytes)?,
            op::MEMOIZE => self.memo.len() as u32,
            _ => return Ok(false),
        };
        if is_put {
            self.put(index)?;
        } else {
            self.get(index)?;
        }
        Ok(true)
    }

    /// Tuples, lists and sets.
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
            op::EMPTY_LIST => self.push(Object::List(vec![])),
            op::LIST => {
                let items = self.pop_mark()?;
                self.push(Object::List(items));
            }
            op::APPEND => {
                let item = self.pop("an item")?;
                self.extend_list(&[item])?;
            }
            op::APPENDS => {
                let items = self.pop_mark()?;
                self.extend_list(&items)?;
            }
            op::EMPTY_SET => self.stack.push(SET),
            op::ADDITEMS => {
                self.pop_mark()?;
                self.expect_set()?;
            }
            op::FROZENSET => {
                self.pop_mark()?;
                self.stack.push(Value::Other("frozenset"));
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
                self.extend_dict(&[[key, value]])?;
            }
            op::SETITEMS | op::DICT => {
                let items = self.pop_mark()?;
                let (pairs, rest) = items.as_chunks();
                if !rest.is_empty() {
                    return Err(self.malformed("keys and values in pairs", "a key alone"));
                }
                if opcode == op::DICT {
                    self.push(Object::Dict(vec![]));
                }
                self.extend_dict(pairs)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// LONG1, LONG4: an integer of any length, two's complement.
    fn long(&mut self, length: usize) -> Result<Value<'a>, PickleFault> {
        let bytes = self.slice(length)?;
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
}

/// Python also writes half of a surrogate pair, of a file's name for one, which is no text in Rust.
fn text(bytes: &[u8]) -> Value<'_> {
    str::from_utf8(bytes).map_or(Value::Other("str"), Value::Text)
}

fn int(line: &str) -> Value<'_> {
    line.parse()
        .map_or(Value::Other("int of more than 64 bits"), Value::Int)
}
