//! What a pickle holds, as far as weights need it.

use super::fault::PickleFault;
use crate::pth::printable::printable;

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

/// A value, as far as weights need it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Int(i64),
    Text(&'a str),
    Global(Global),
    /// Index of an object.
    Object(usize),
    /// The name of its type is all that is kept.
    Other(&'static str),
}

/// A list, whose items no state dict needs.
pub(super) const LIST: Value<'_> = Value::Other("list");

/// The names that a pickle may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// A storage's class, by the dtype of its elements.
    Storage(&'static str),
}

#[derive(Debug)]
pub(super) enum Object<'a> {
    Tuple(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Storage(Storage<'a>),
    Tensor(Box<View<'a>>),
}

/// A run of elements in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Storage<'a> {
    /// As PyTorch calls it.
    pub(crate) dtype: &'static str,
    pub(crate) key: &'a str,
    pub(crate) elements: usize,
}

/// A tensor: which elements of a storage, all counts in elements.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct View<'a> {
    pub(crate) storage: Storage<'a>,
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
}

/// The name of a value's type in Python.
pub(super) fn type_name(objects: &[Object<'_>], value: Value<'_>) -> &'static str {
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

/// What a name stands for; refuses every name that no state dict needs.
pub(super) fn global(module: &str, name: &str) -> Result<Global, PickleFault> {
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
