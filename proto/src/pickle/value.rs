//! What a pickle holds, as far as weights need it. All else is kept as the name of what it would
//! be.

use super::name::Name;
use super::unread::Unread;

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
pub enum Value<'a> {
    Int(i64),
    Text(&'a str),
    Global(Global),
    /// Index of an object.
    Object(usize),
    /// The name of its type is all that is kept.
    Other(&'static str),
}

/// A set, whose items no state dict needs.
pub(super) const SET: Value<'_> = Value::Other("set");

/// The names whose calls are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    RebuildParameterWithState,
    /// Of a tensor that bears attributes.
    RebuildFromType,
    /// A storage's class, by the dtype of its elements.
    Storage(&'static str),
}

#[derive(Debug)]
pub enum Object<'a> {
    Tuple(Vec<Value<'a>>),
    List(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Storage(Storage<'a>),
    Tensor(Box<View<'a>>),
    /// A tensor of a kind that is not read.
    Unread(Unread<'a>),
    /// A class or function that weights do not need.
    Named(Name<'a>),
    /// What that would make if it were called, which it never is.
    Inert(Name<'a>),
}

/// A run of elements in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage<'a> {
    /// As PyTorch calls it.
    pub dtype: &'static str,
    pub key: &'a str,
    pub elements: usize,
}

/// A tensor: which elements of a storage, all counts in elements.
#[derive(Debug, PartialEq, Eq)]
pub struct View<'a> {
    pub storage: Storage<'a>,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

impl View<'_> {
    /// The length and the stride of each axis.
    pub fn axes(&self) -> Vec<(usize, usize)> {
        let lengths = self.shape.iter().copied();
        lengths.zip(self.strides.iter().copied()).collect()
    }
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
            Object::List(_) => "list",
            Object::Dict(_) => "dict",
            Object::Storage(_) => "storage",
            Object::Tensor(_) => "tensor",
            Object::Unread(_) => "tensor of another kind",
            Object::Named(_) => "class or function",
            Object::Inert(_) => "object of an unknown class",
        },
    }
}

/// What a name stands for, if its calls are understood.
pub(super) fn global(Name { module, name }: Name<'_>) -> Option<Global> {
    match (module, name) {
        ("collections", "OrderedDict") => Some(Global::OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2") => Some(Global::RebuildTensor),
        ("torch._utils", "_rebuild_parameter") => Some(Global::RebuildParameter),
        ("torch._utils", "_rebuild_parameter_with_state") => {
            Some(Global::RebuildParameterWithState)
        }
        ("torch._tensor", "_rebuild_from_type_v2") => Some(Global::RebuildFromType),
        ("torch", name) => {
            let mut storages = STORAGES.iter();
            let (_, dtype) = storages.find(|(class, _)| *class == name)?;
            Some(Global::Storage(dtype))
        }
        _ => None,
    }
}
