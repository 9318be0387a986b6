//! The part of pickle that state dicts are written in: a stack machine that keeps data and calls
//! nothing.
//!
//! Opcodes are those that `torch.load(weights_only=True)` accepts, protocol 2, and the few that
//! protocol 4 has instead (CPython's `Lib/pickletools.py` describes them all). Values that weights
//! do not need are reduced to the name of their type. Objects stand in a list and refer to one
//! another by index, so that no nesting is too deep and no cycle leaks.

use std::collections::HashMap;

use super::printable;

/// Tensors of more axes than this are refused: their shapes could take the memory that a small
/// pickle does not.
const MOST_AXES: usize = 8;

/// `torch.*Storage`: the classes of typed storages, and the dtype of their elements.
const STORAGES: [(&str, &str); 12] = [
    ("FloatStorage", "float32"),
    ("DoubleStorage", "float64"),
    ("HalfStorage", "float16"),
    ("BFloat16Storage", "bfloat16"),
    ("LongStorage", "int64"),
    ("IntStorage", "int32"),
    ("ShortStorage", "int16"),
    ("CharStorage", "int8"),
    ("ByteStorage", "uint8"),
    ("BoolStorage", "bool"),
    ("ComplexFloatStorage", "complex64"),
    ("ComplexDoubleStorage", "complex128"),
];

/// The rule that a pickle breaks.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PickleFault {
    /// It names something that a state dict has no use for.
    #[error(
        "its pickle calls or names `{0}`, which no state dict needs: refused, and nothing of it was run\nhint: if you trust the file's source, save the tensors alone: torch.save(model.state_dict(), FILE)"
    )]
    Global(String),
    /// It has an instruction that a state dict has no use for.
    #[error("its pickle has opcode {opcode:#04x} at byte {at}, which no state dict needs")]
    Opcode {
        /// The opcode.
        opcode: u8,
        /// Where.
        at: usize,
    },
    /// It is cut short.
    #[error("its pickle ends within an instruction or without STOP")]
    EndsEarly,
    /// It goes on after its end.
    #[error("its pickle has {0} bytes after STOP")]
    Trailing(usize),
    /// An instruction finds something else than it needs.
    #[error("its pickle is malformed at byte {at}: expected {expected}, found {found}")]
    Malformed {
        /// Where.
        at: usize,
        /// What the instruction needs.
        expected: &'static str,
        /// What it finds.
        found: &'static str,
    },
}

/// A value, as far as weights need it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Int(i64),
    Text(&'a str),
    Global(Global),
    /// Index of an object.
    Object(usize),
    /// The name of its type is all that is kept.
    Other(&'static str),
}

/// A list, whose items no state dict needs.
const LIST: Value<'_> = Value::Other("list");

/// The names that a pickle may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// A storage's class, by the dtype of its elements.
    Storage(&'static str),
}

#[derive(Debug)]
enum Object<'a> {
    Tuple(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Storage(Storage<'a>),
    Tensor(Box<View<'a>>),
}

/// A run of elements in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Storage<'a> {
    /// As PyTorch calls it.
    pub(super) dtype: &'static str,
    pub(super) key: &'a str,
    pub(super) elements: usize,
}

/// A tensor: which elements of a storage, all counts in elements.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct View<'a> {
    pub(super) storage: Storage<'a>,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// A pickle, parsed.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    objects: Vec<Object<'a>>,
    /// The saved object.
    pub(super) root: Value<'a>,
}

impl<'a> Pickle<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, PickleFault> {
        let mut machine = Machine {
            bytes,
            ..Machine::default()
        };
        let root = machine.run()?;
        Ok(Self {
            objects: machine.objects,
            root,
        })
    }

    /// The entries of a dict, in order.
    pub(super) fn dict(&self, value: Value<'a>) -> Option<&[(Value<'a>, Value<'a>)]> {
        match value {
            Value::Object(index) => match &self.objects[index] {
                Object::Dict(entries) => Some(entries),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn tensor(&self, value: Value<'a>) -> Option<&View<'a>> {
        match value {
            Value::Object(index) => match &self.objects[index] {
                Object::Tensor(view) => Some(view),
                _ => None,
            },
            _ => None,
        }
    }

    /// The name of a value's type.
    pub(super) fn type_name(&self, value: Value<'a>) -> &'static str {
        type_name(&self.objects, value)
    }
}

fn type_name(objects: &[Object<'_>], value: Value<'_>) -> &'static str {
    match value {
        Value::Int(_) => "int",
        Value::Text(_) => "str",
        Value::Global(_) => "class or function",
        Value::Other(name) => name,
        Value::Object(index) => match objects[index] {
            Object::Tuple(_) => "tuple",
            Object::Dict(_) => "dict",
            Object::Storage(_) => "storage",
            Object::Tensor(_) => "tensor",
        },
    }
}

fn global(module: &str, name: &str) -> Result<Global, PickleFault> {
    match (module, name) {
        ("collections", "OrderedDict") => Ok(Global::OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2") => Ok(Global::RebuildTensor),
        ("torch._utils", "_rebuild_parameter") => Ok(Global::RebuildParameter),
        ("torch", name)
            if let Some((_, dtype)) = STORAGES.iter().find(|(class, _)| *class == name) =>
        {
            Ok(Global::Storage(dtype))
        }
        _ => Err(PickleFault::Global(printable(&format!("{module}.{name}")))),
    }
}

#[derive(Default)]
struct Machine<'a> {
    bytes: &'a [u8],
    /// The next byte to read.
    next: usize,
    /// The instruction that is being carried out.
    at: usize,
    stack: Vec<Value<'a>>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    objects: Vec<Object<'a>>,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Value<'a>, PickleFault> {
        loop {
            self.at = self.next;
            let [opcode] = self.array()?;
            if opcode == b'.' {
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
        match opcode {
            0x80 => drop(self.array::<1>()?), // PROTO
            0x95 => drop(self.array::<8>()?), // FRAME
            b'(' => self.marks.push(self.stack.len()),

            b'N' => self.stack.push(Value::Other("None")),
            0x88 | 0x89 => self.stack.push(Value::Other("bool")), // NEWTRUE, NEWFALSE
            b'G' => {
                self.array::<8>()?; // BINFLOAT
                self.stack.push(Value::Other("float"));
            }
            b'K' => self
                .array()
                .map(|[byte]| self.stack.push(Value::Int(byte.into())))?,
            b'M' => self.array().map(|bytes| {
                self.stack
                    .push(Value::Int(u16::from_le_bytes(bytes).into()))
            })?,
            b'J' => self.array().map(|bytes| {
                self.stack
                    .push(Value::Int(i32::from_le_bytes(bytes).into()))
            })?,
            0x8a => self.long()?,
            b'X' => {
                let length = self.array().map(u32::from_le_bytes)?;
                self.text(length as usize)?;
            }
            0x8c => {
                let [length] = self.array()?; // SHORT_BINUNICODE
                self.text(length.into())?;
            }

            b'q' => self
                .array()
                .map(|[index]| index.into())
                .and_then(|index| self.put(index))?,
            b'r' => self
                .array()
                .map(u32::from_le_bytes)
                .and_then(|index| self.put(index))?,
            0x94 => self.put(self.memo.len() as u32)?, // MEMOIZE
            b'h' => self
                .array()
                .map(|[index]| index.into())
                .and_then(|index| self.get(index))?,
            b'j' => self
                .array()
                .map(u32::from_le_bytes)
                .and_then(|index| self.get(index))?,

            b')' => self.push(Object::Tuple(vec![])),
            0x85..=0x87 => self.short_tuple(usize::from(opcode - 0x84))?,
            b't' => {
                let items = self.pop_mark()?;
                self.push(Object::Tuple(items));
            }
            b']' => self.stack.push(LIST),
            b'a' => {
                self.pop("an item")?;
                self.list()?;
            }
            b'e' => {
                self.pop_mark()?;
                self.list()?;
            }
            b'}' => self.push(Object::Dict(vec![])),
            b's' => {
                let (value, key) = (self.pop("a value")?, self.pop("a key")?);
                self.dict()?.push((key, value));
            }
            b'u' => {
                let items = self.pop_mark()?;
                let (pairs, rest) = items.as_chunks();
                if !rest.is_empty() {
                    return Err(self.malformed("keys and values in pairs", "a key alone"));
                }
                self.dict()?
                    .extend(pairs.iter().map(|&[key, value]| (key, value)));
            }

            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.stack.push(Value::Global(global(module, name)?));
            }
            0x93 => {
                let (name, module) = (self.pop_text()?, self.pop_text()?); // STACK_GLOBAL
                self.stack.push(Value::Global(global(module, name)?));
            }
            b'Q' => self.storage()?,
            b'R' => self.reduce()?,
            b'b' => {
                self.pop("a state")?; // of an OrderedDict: `_metadata`, the versions of modules
                self.dict()?;
            }
            _ => {
                return Err(PickleFault::Opcode {
                    opcode,
                    at: self.at,
                });
            }
        }
        Ok(())
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
    fn long(&mut self) -> Result<(), PickleFault> {
        let [length] = self.array()?;
        let bytes = self.slice(length.into())?;
        let sign = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) {
            0xff
        } else {
            0
        };
        let mut wide = [sign; 8];
        self.stack.push(match wide.get_mut(..bytes.len()) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(wide))
            }
            None => Value::Other("int of more than 64 bits"),
        });
        Ok(())
    }

    fn text(&mut self, length: usize) -> Result<(), PickleFault> {
        let text = str::from_utf8(self.slice(length)?)
            .map_err(|_| self.malformed("UTF-8", "other bytes"))?;
        self.stack.push(Value::Text(text));
        Ok(())
    }

    /// A line of GLOBAL, without its end.
    fn line(&mut self) -> Result<&'a str, PickleFault> {
        let rest = &self.bytes[self.next..];
        let length = rest
            .iter()
            .position(|&byte| byte == b'\n')
            .ok_or(PickleFault::EndsEarly)?;
        self.next += length + 1;
        str::from_utf8(&rest[..length]).map_err(|_| self.malformed("UTF-8", "other bytes"))
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], PickleFault> {
        let slice = self.bytes[self.next..]
            .get(..length)
            .ok_or(PickleFault::EndsEarly)?;
        self.next += length;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleFault> {
        Ok(self.slice(N)?.try_into().expect("as many as asked for"))
    }

    fn push(&mut self, object: Object<'a>) {
        self.stack.push(Value::Object(self.objects.len()));
        self.objects.push(object);
    }

    fn pop(&mut self, expected: &'static str) -> Result<Value<'a>, PickleFault> {
        let value = self
            .top()
            .ok_or_else(|| self.malformed(expected, "nothing"))?;
        self.stack.pop();
        Ok(value)
    }

    fn pop_mark(&mut self) -> Result<Vec<Value<'a>>, PickleFault> {
        let height = self
            .marks
            .pop()
            .ok_or_else(|| self.malformed("a mark", "none"))?;
        Ok(self.stack.split_off(height))
    }

    fn pop_text(&mut self) -> Result<&'a str, PickleFault> {
        match self.pop("a str")? {
            Value::Text(text) => Ok(text),
            other => Err(self.malformed("a str", type_name(&self.objects, other))),
        }
    }

    fn pop_tuple(&mut self) -> Result<Vec<Value<'a>>, PickleFault> {
        match self.pop("a tuple")? {
            Value::Object(index) if let Object::Tuple(items) = &self.objects[index] => {
                Ok(items.clone())
            }
            other => Err(self.malformed("a tuple", type_name(&self.objects, other))),
        }
    }

    fn short_tuple(&mut self, length: usize) -> Result<(), PickleFault> {
        let mut items = (0..length)
            .map(|_| self.pop("an item"))
            .collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.push(Object::Tuple(items));
        Ok(())
    }

    /// Checks that a list is on top of the stack.
    fn list(&mut self) -> Result<(), PickleFault> {
        match self.top() {
            Some(LIST) => Ok(()),
            other => Err(self.malformed(
                "a list",
                other.map_or("nothing", |value| type_name(&self.objects, value)),
            )),
        }
    }

    /// The dict on top of the stack.
    fn dict(&mut self) -> Result<&mut Vec<(Value<'a>, Value<'a>)>, PickleFault> {
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

    fn put(&mut self, index: u32) -> Result<(), PickleFault> {
        let value = self
            .top()
            .ok_or_else(|| self.malformed("a value", "nothing"))?;
        self.memo.insert(index, value);
        Ok(())
    }

    fn get(&mut self, index: u32) -> Result<(), PickleFault> {
        let value = self
            .memo
            .get(&index)
            .copied()
            .ok_or_else(|| self.malformed("a remembered value", "none"))?;
        self.stack.push(value);
        Ok(())
    }

    fn malformed(&self, expected: &'static str, found: &'static str) -> PickleFault {
        PickleFault::Malformed {
            at: self.at,
            expected,
            found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::write::Pickler;
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        Pickle::parse(bytes)
            .expect_err("must be refused")
            .to_string()
    }

    /// A tensor of shape [2, 3] in Fortran order, from the second element of a storage of ten.
    fn tensor(pickler: &mut Pickler) -> &mut Pickler {
        pickler
            .global("torch._utils", "_rebuild_tensor_v2")
            .op(b'(')
            .storage("FloatStorage", "7", "cuda:0", 10);
        pickler
            .int(1)
            .counts(&[2, 3])
            .counts(&[1, 2])
            .op(0x89)
            .ordered_dict()
    }

    #[test]
    fn a_tensor_is_a_view_of_a_storage_wherever_that_was() {
        let mut pickler = Pickler::new();
        tensor(&mut pickler).op(b't').op(b'R');
        let bytes = pickler.stop();
        let pickle = Pickle::parse(&bytes).expect("a tensor");
        let storage = Storage {
            dtype: "float32",
            key: "7",
            elements: 10,
        };
        let view = View {
            storage,
            offset: 1,
            shape: vec![2, 3],
            strides: vec![1, 2],
        };
        assert_eq!(pickle.tensor(pickle.root), Some(&view));
        for length in 0..bytes.len() {
            assert_eq!(
                refusal(&bytes[..length]),
                PickleFault::EndsEarly.to_string()
            );
        }
    }

    #[test]
    fn what_optimizers_and_schedulers_save_is_understood_and_dropped() {
        // pickle.dumps({"a": [1, 2.5, None, True], "b": (2**40, -1, {}), "c": [3]}, 2)
        let two = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01G@\x04\x00\x00\x00\x00\x00\x00N\x88eX\x01\x00\x00\x00bq\x03\x8a\x06\x00\x00\x00\x00\x00\x01J\xff\xff\xff\xff}q\x04\x87q\x05X\x01\x00\x00\x00cq\x06]q\x07K\x03au.";
        // pickle.dumps({"a": "b"}, 4)
        let four = b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94\x8c\x01b\x94s.";
        let pickle = Pickle::parse(two).expect("protocol 2");
        let entries = pickle.dict(pickle.root).expect("a dict");
        let types: Vec<_> = entries
            .iter()
            .map(|&(key, value)| (key, pickle.type_name(value)))
            .collect();
        assert_eq!(
            types,
            [
                (Value::Text("a"), "list"),
                (Value::Text("b"), "tuple"),
                (Value::Text("c"), "list")
            ]
        );
        let pickle = Pickle::parse(four).expect("protocol 4");
        assert_eq!(
            pickle.dict(pickle.root),
            Some(&[(Value::Text("a"), Value::Text("b"))][..])
        );
    }

    #[test]
    fn functions_are_refused_by_name_in_every_protocol() {
        // pickle.dumps of an object whose __reduce__ is (os.system, ("id",)), protocols 2 and 4.
        let two = b"\x80\x02cposix\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02Rq\x03.";
        let four =
            b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94.";
        for bytes in [&two[..], &four[..]] {
            assert!(
                refusal(bytes).contains("`posix.system`, which no state dict needs"),
                "{}",
                refusal(bytes)
            );
        }
        // What looks much like the names that are known.
        for (module, name) in [
            ("torch", "load"),
            ("torch", "Storage"),
            ("torch._utils", "_rebuild_tensor"),
            ("torch.storage", "_load_from_bytes"),
            ("collections", "defaultdict"),
            ("collections.OrderedDict", "fromkeys"),
            ("builtins", "eval"),
        ] {
            let mut pickler = Pickler::new();
            pickler.global(module, name);
            assert!(
                refusal(&pickler.stop()).contains(&format!("`{module}.{name}`")),
                "{module}.{name}"
            );
        }
        assert!(refusal(b"\x80\x02cos\x1b[2J\nsystem\n.").contains(r"`os\u{1b}[2J.system`"));
    }

    #[test]
    fn each_instruction_checks_what_it_finds() {
        let malformed = |code: &[u8], expected: &str, found: &str| {
            let text = format!(": expected {expected}, found {found}");
            assert!(
                refusal(code).ends_with(&text),
                "{}\nexpected {text}",
                refusal(code)
            );
        };
        malformed(b".", "a result", "nothing");
        malformed(b"(.", "a result", "nothing");
        malformed(b"K\x01(\x85.", "an item", "nothing");
        malformed(b"t.", "a mark", "none");
        malformed(b"q\x00.", "a value", "nothing");
        malformed(b"h\x00.", "a remembered value", "none");
        malformed(b"NNNs.", "a dict", "None");
        malformed(b"}(Nu.", "keys and values in pairs", "a key alone");
        malformed(b"}Na.", "a list", "dict");
        malformed(b"]Nb.", "a dict", "list");
        malformed(b"NK\x01R.", "a tuple", "int");
        malformed(b"N)R.", "a function", "None");
        malformed(
            b"ccollections\nOrderedDict\nN\x85R.",
            "the arguments of torch.save",
            "other arguments",
        );
        malformed(
            b")Q.",
            "a storage's class, key, location and size",
            "something else",
        );
        malformed(b"X\x01\x00\x00\x00\xff.", "UTF-8", "other bytes");
        malformed(b"NN\x93.", "a str", "None");
        assert_eq!(
            refusal(b"N\x81."),
            "its pickle has opcode 0x81 at byte 1, which no state dict needs"
        );
        assert_eq!(refusal(b"N.N."), "its pickle has 2 bytes after STOP");
        assert_eq!(
            refusal(b"X\xff\xff\xff\xffa."),
            PickleFault::EndsEarly.to_string()
        );
    }

    #[test]
    fn tensors_of_another_make_are_refused() {
        type Build<'a> = &'a dyn Fn(&mut Pickler);
        let rebuilt = |build: Build<'_>| {
            let mut pickler = Pickler::new();
            pickler
                .global("torch._utils", "_rebuild_tensor_v2")
                .op(b'(');
            build(&mut pickler);
            pickler.op(0x89).ordered_dict().op(b't').op(b'R');
            refusal(&pickler.stop())
        };
        let storage = |pickler: &mut Pickler| {
            pickler.storage("FloatStorage", "0", "cpu", 10);
        };
        let cases: [(&str, Build<'_>); 5] = [
            ("expected a storage, found int", &|p| {
                p.int(3).int(0).counts(&[2]).counts(&[1]);
            }),
            ("expected one stride for each axis", &|p| {
                storage(p);
                p.int(0).counts(&[2, 5]).counts(&[1]);
            }),
            ("expected at most 8 axes", &|p| {
                storage(p);
                p.int(0).counts(&[1; 9]).counts(&[1; 9]);
            }),
            ("expected a tuple, found int", &|p| {
                storage(p);
                p.int(0).int(10).counts(&[1]);
            }),
            ("expected a count, found a number out of range", &|p| {
                storage(p);
                p.int(0)
                    .counts(&[2])
                    .op(b'J')
                    .op(0xff)
                    .op(0xff)
                    .op(0xff)
                    .op(0xff)
                    .op(0x85); // a stride of -1
            }),
        ];
        for (expected, build) in cases {
            assert!(rebuilt(build).contains(expected), "{}", rebuilt(build));
        }
        // torch.save(torch._neg_view(tensor)) adds a seventh argument: the numbers are not those in
        // the storage.
        let mut pickler = Pickler::new();
        tensor(&mut pickler)
            .op(b'}')
            .text("neg")
            .op(0x88)
            .op(b's')
            .op(b't')
            .op(b'R');
        assert!(refusal(&pickler.stop()).contains("found one that is conjugated or negated"));
    }

    #[test]
    fn nesting_and_cycles_of_any_depth_end() {
        let deep = [&b")"[..], &[0x85; 1_000_000], b"."].concat();
        assert!(Pickle::parse(&deep).is_ok());
        // A dict that is its own value.
        let cycle = b"}q\x00X\x01\x00\x00\x00ah\x00s.";
        let pickle = Pickle::parse(cycle).expect("a dict");
        assert_eq!(
            pickle.dict(pickle.root),
            Some(&[(Value::Text("a"), pickle.root)][..])
        );
    }
}
