//! Names, storages, and what a pickle makes by calling something: the few calls that tensors need
//! are understood, of all others the name alone is kept. None is made.

use super::fault::PickleFault;
use super::name::Name;
use super::opcode as op;
use super::stack::Machine;
use super::unread::Unread;
use super::value::{Global, Object, Storage, Value, View, global};

/// Tensors of more axes than this are not understood: their shapes could take the memory that a
/// small pickle does not.
const MOST_AXES: usize = 8;

impl<'a> Machine<'a> {
    /// Says whether the opcode is one of its own.
    pub(super) fn object(&mut self, opcode: u8) -> Result<bool, PickleFault> {
        match opcode {
            op::GLOBAL => {
                let (module, name) = (self.line()?, self.line()?);
                self.push_name(Name { module, name });
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                self.push_name(Name { module, name });
            }
            op::BINPERSID => self.storage()?,
            op::REDUCE | op::NEWOBJ => {
                let (arguments, callable) = (self.pop("a tuple")?, self.pop("a function")?);
                self.call(callable, arguments)?;
            }
            op::NEWOBJ_EX => {
                self.pop("named arguments")?;
                let (arguments, callable) = (self.pop("a tuple")?, self.pop("a function")?);
                self.call(callable, arguments)?;
            }
            op::INST => {
                let (module, name) = (self.line()?, self.line()?);
                self.pop_mark()?;
                self.push(Object::Inert(Name { module, name }));
            }
            op::OBJ => {
                let items = self.pop_mark()?;
                let class = items.first().and_then(|&class| self.name(class));
                let class = class.ok_or_else(|| self.malformed("a class", "something else"))?;
                self.push(Object::Inert(class));
            }
            op::BUILD => {
                self.pop("a state")?;
                self.expect_stateful()?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn push_name(&mut self, name: Name<'a>) {
        match global(name) {
            Some(global) => self.stack.push(Value::Global(global)),
            None => self.push(Object::Named(name)),
        }
    }

    /// BINPERSID: torch.save writes ("storage", class, key, location, elements).
    fn storage(&mut self) -> Result<(), PickleFault> {
        let fields = self.pop("a tuple")?;
        let &[
            Value::Text("storage"),
            class,
            Value::Text(key),
            Value::Text(_),
            elements,
        ] = self.tuple(fields)?
        else {
            return Err(self.malformed(
                "a storage's class, key, location and size",
                "something else",
            ));
        };
        match (class, self.name(class)) {
            (Value::Global(Global::Storage(dtype)), _) => {
                let elements = self.count(elements)?;
                self.push(Object::Storage(Storage {
                    dtype,
                    key,
                    elements,
                }));
            }
            (_, Some(name)) => self.push(Object::Inert(name)), // without a dtype, or quantized
            _ => return Err(self.malformed("a storage's class", self.type_name(class))),
        }
        Ok(())
    }

    fn call(&mut self, callable: Value<'a>, arguments: Value<'a>) -> Result<(), PickleFault> {
        self.tuple(arguments)?;
        if let Some(name) = self.name(callable) {
            return self.unknown_call(name, arguments);
        }
        let Value::Global(callable) = callable else {
            return Err(self.malformed("a function", self.type_name(callable)));
        };
        match (callable, self.tuple(arguments)?) {
            // (function, class, arguments, attributes)
            (Global::RebuildFromType, &[function, class, arguments, _])
                if self.is_tensor_class(class) =>
            {
                match function {
                    Value::Global(Global::RebuildFromType) => Err(self.unusual_arguments()),
                    Value::Global(function) => self.known_call(function, arguments),
                    _ => match self.name(function) {
                        Some(name) => self.unknown_call(name, arguments),
                        None => Err(self.malformed("a function", self.type_name(function))),
                    },
                }
            }
            (Global::RebuildFromType, [_, _, _, _]) => {
                self.push(Object::Unread(Unread::OwnClass));
                Ok(())
            }
            _ => self.known_call(callable, arguments),
        }
    }

    /// Of a call that is not understood its name is kept, or which tensor it would make.
    fn unknown_call(&mut self, name: Name<'a>, arguments: Value<'a>) -> Result<(), PickleFault> {
        // The seventh argument of _rebuild_tensor_v3 is a dtype.
        let dtype = self.tuple(arguments)?.get(6).copied();
        let dtype = dtype.and_then(|dtype| self.name(dtype));
        self.push(match Unread::of_call(name, dtype) {
            Some(unread) => Object::Unread(unread),
            None => Object::Inert(name),
        });
        Ok(())
    }

    fn known_call(&mut self, callable: Global, arguments: Value<'a>) -> Result<(), PickleFault> {
        match (callable, self.tuple(arguments)?) {
            (Global::OrderedDict, []) => self.push(Object::Dict(vec![])),
            // (data, requires_grad, backward_hooks[, attributes])
            (Global::RebuildParameter, &[data, _, _])
            | (Global::RebuildParameterWithState, &[data, _, _, _]) => self.stack.push(data),
            // (storage, offset, size, stride, requires_grad, backward_hooks[, metadata])
            (Global::RebuildTensor, &[storage, offset, shape, strides, _, _]) => {
                self.tensor(storage, offset, shape, strides)?;
            }
            (Global::RebuildTensor, [_, _, _, _, _, _, _]) => {
                self.push(Object::Unread(Unread::Negated));
            }
            _ => return Err(self.unusual_arguments()),
        }
        Ok(())
    }

    fn unusual_arguments(&self) -> PickleFault {
        self.malformed("the arguments of torch.save", "other arguments")
    }

    /// Whether a class is that of plain tensors or of parameters.
    fn is_tensor_class(&self, class: Value<'a>) -> bool {
        self.name(class).is_some_and(|Name { module, name }| {
            matches!(
                (module, name),
                ("torch" | "torch._tensor", "Tensor") | ("torch.nn.parameter", "Parameter")
            )
        })
    }

    fn tensor(
        &mut self,
        storage: Value<'a>,
        offset: Value<'a>,
        shape: Value<'a>,
        strides: Value<'a>,
    ) -> Result<(), PickleFault> {
        let storage = match storage {
            Value::Object(index) => match self.objects[index] {
                Object::Storage(storage) => storage,
                Object::Inert(class) => {
                    self.push(Object::Unread(Unread::StoredAs(class)));
                    return Ok(());
                }
                _ => return Err(self.malformed("a storage", self.type_name(storage))),
            },
            other => return Err(self.malformed("a storage", self.type_name(other))),
        };
        let axes = (self.tuple(shape)?.len(), self.tuple(strides)?.len());
        if axes.0 != axes.1 {
            return Err(self.malformed("one stride for each axis", "more or fewer"));
        }
        if axes.0 > MOST_AXES {
            self.push(Object::Unread(Unread::ManyAxes));
            return Ok(());
        }
        let view = View {
            storage,
            offset: self.count(offset)?,
            shape: self.counts(shape)?,
            strides: self.counts(strides)?,
        };
        self.push(Object::Tensor(Box::new(view)));
        Ok(())
    }

    fn counts(&self, value: Value<'a>) -> Result<Vec<usize>, PickleFault> {
        let items = self.tuple(value)?.iter();
        items.map(|&item| self.count(item)).collect()
    }

    fn count(&self, value: Value<'a>) -> Result<usize, PickleFault> {
        match value {
            Value::Int(number) => usize::try_from(number)
                .map_err(|_| self.malformed("a count", "a number out of range")),
            other => Err(self.malformed("a count", self.type_name(other))),
        }
    }
}
