//! Why a checkpoint cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use proto::checkpoint::{ArchiveFault, NotCheckpoint, Part};
use proto::config::Preset;
use proto::pickle::PickleFault;
use safetensors::tensor::SafeTensorError;

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct PthError {
    pub path: PathBuf,
    pub fault: PthFault,
}

/// The rule that a checkpoint breaks.
#[derive(Debug, thiserror::Error)]
pub enum PthFault {
    #[error("no such file")]
    Absent,
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Another format.
    #[error(transparent)]
    NotCheckpoint(#[from] NotCheckpoint),
    /// Not a valid safetensors file.
    #[error(
        "not a valid safetensors file: {0}\n\
         hint: it may have been cut short; copy or download it again"
    )]
    Safetensors(#[from] SafeTensorError),
    /// Weights that need no import.
    #[error(
        "not a checkpoint: a weights file of `trainer` already, which every command takes as it is"
    )]
    OwnWeights,
    /// The archive breaks a rule.
    #[error(transparent)]
    Archive(Box<ArchiveFault>),
    /// The pickle breaks a rule.
    #[error(transparent)]
    Pickle(#[from] PickleFault),
    /// There is no tensor with the name of a parameter.
    #[error(
        "no weights of the network in it: expected tensors by name, such as `pos_embedding`, \
         found {found}{hint}"
    )]
    NoWeights { found: String, hint: &'static str },
    /// Something is called where weights are looked for.
    #[error(
        "{}\nhint: if you trust the file's source, save its tensors alone, in Python: {}",
        refused(called),
        save_alone(*is_all)
    )]
    Called {
        called: String,
        /// Whether the file is nothing else.
        is_all: bool,
    },
    /// No one prefix has all tensors of the network.
    #[error(transparent)]
    Prefixes(Box<Prefixes>),
    /// A second tensor may be the value of a parameter.
    #[error(transparent)]
    TwoValues(Box<TwoValues>),
    /// One of the files that a checkpoint is split into.
    #[error("{0}")]
    Part(Part),
    /// Several places in the file have all tensors of the network.
    #[error("several entries are weights of the network: {0}")]
    Several(String),
    /// No tensors of the network stand under the key asked for.
    #[error("no weights under `{key}`: expected one of {found}")]
    NoKey { key: String, found: String },
    /// The tensors are not those of the network.
    #[error("{}{difference}", place(at.as_deref()))]
    Difference {
        /// Where in the file they stand, if something else is there too.
        at: Option<String>,
        /// The first difference, in the order of the network's state dict; tensors without a
        /// parameter come last.
        difference: Box<Difference>,
        /// Another preset, whose names and shapes these are.
        fits: Option<Preset>,
    },
    /// A parameter has numbers of another kind.
    #[error("tensor `{name}`: expected dtype float32, float16 or bfloat16, found {found}")]
    Dtype {
        name: String,
        /// The file's dtype, as PyTorch calls it.
        found: &'static str,
    },
    /// Something else than whole numbers.
    #[error("expected whole numbers, a list of them or lists in a list, found {0}")]
    NotNumbers(String),
    /// There is no such tensor.
    #[error("expected {expected}, found {found}")]
    NoTensor { expected: String, found: String },
    /// Recorded numbers are of another kind.
    #[error("tensor `{name}`: expected dtype float32, found {found}")]
    NotFloat32 {
        name: String,
        /// The file's dtype, as PyTorch calls it.
        found: &'static str,
    },
    /// A tensor without an axis, or with an empty one.
    #[error("tensor `{name}`: expected rows, found shape {found:?}")]
    NoRows { name: String, found: Vec<usize> },
    /// Rows do not stand one after the other.
    #[error(
        "tensor `{0}`: expected its elements in C order\n\
         hint: in Python, torch.save({{name: tensor.contiguous() for name, tensor in \
         torch.load(FILE).items()}}, NEW)"
    )]
    Strided(String),
    /// A view reaches past its storage.
    #[error("tensor `{name}`: reaches past the {elements} elements of its storage `{key}`")]
    OutOfBounds {
        name: String,
        key: String,
        /// Elements of the storage.
        elements: usize,
    },
    /// Numbers of float64 that float32 has not.
    #[error(
        "tensor `{name}`: {count} of {of} numbers are beyond the range of float32, such as \
         {value:e} at element {element}"
    )]
    Beyond {
        name: String,
        count: usize,
        /// How many numbers the tensor has.
        of: usize,
        /// The first one's flat index, C order.
        element: usize,
        value: f64,
    },
    /// A parameter is infinite or not a number.
    #[error("tensor `{name}`: element {element} is {value}, expected a finite number")]
    NotFinite {
        name: String,
        /// Flat index, C order.
        element: usize,
        value: f32,
    },
}

impl From<ArchiveFault> for PthFault {
    fn from(fault: ArchiveFault) -> Self {
        Self::Archive(Box::new(fault))
    }
}

impl PthFault {
    /// The same, unless tensors are missing because the file is one of several.
    pub(super) fn in_file(self, path: &Path) -> Self {
        let is_incomplete = match &self {
            Self::NoWeights { .. } => true,
            Self::Difference { difference, .. } => {
                matches!(**difference, Difference::Missing { .. })
            }
            _ => false,
        };
        match Part::of(path) {
            Some(part) if is_incomplete => Self::Part(part),
            _ => self,
        }
    }
}

/// The prefixes of a network's names, which are not the same before all.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}no prefix is shared by all names of the network: {found}\nhint: {hint}",
    place(at.as_deref())
)]
pub struct Prefixes {
    /// The dict that they stand in, if something else is there too.
    pub at: Option<String>,
    /// The prefixes, each with how many names it stands before.
    pub found: String,
    pub hint: String,
}

/// Two tensors, each of which may be the value of a parameter.
#[derive(Debug, thiserror::Error)]
#[error("two values of the parameter `{name}`: `{chosen}` and `{other}`")]
pub struct TwoValues {
    pub name: String,
    /// The one among all tensors of a network.
    pub chosen: String,
    pub other: String,
    /// What [`Options::key`](super::Options) calls the network of the first.
    pub key: String,
}

/// What a state dict has otherwise than the network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Difference {
    #[error("tensor `{name}` is missing, expected with shape {expected:?}")]
    Missing { name: String, expected: Vec<usize> },
    /// A tensor belongs to no parameter.
    #[error("tensor `{name}` of shape {found:?} is no parameter of the network")]
    Extra { name: String, found: Vec<usize> },
    /// A parameter has another shape.
    #[error(
        "tensor `{name}`: expected shape {expected:?}, found {found:?}{}",
        transposed(expected, found)
    )]
    Shape {
        name: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    /// A tensor of a kind that is not read.
    #[error("tensor `{name}`: expected plain numbers, found a {found}{}", made_plain(*.plain))]
    Unread {
        name: String,
        found: String,
        /// What makes a plain one of it, in Python.
        plain: Option<&'static str>,
    },
    /// A name stands twice.
    #[error("tensor `{0}` appears twice")]
    Twice(String),
    /// A parameter is no tensor.
    #[error("tensor `{name}`: expected a tensor, found {found}")]
    NotTensor { name: String, found: String },
    /// A parameter is of NumPy.
    #[error(
        "tensor `{name}`: expected a tensor, found a {found}\n\
         hint: torch.from_numpy makes a tensor of an array; \
         torch.save writes a dict of tensors again"
    )]
    NumPy { name: String, found: String },
    /// A parameter would be made by a call.
    #[error("tensor `{name}`: {}", refused(called))]
    Called { name: String, called: String },
}

/// What is said of a call where weights should be.
fn refused(called: &str) -> String {
    format!(
        "its pickle calls or names `{called}`, which no state dict needs: \
         refused, and nothing of it was run"
    )
}

/// How the tensors of a file are saved alone, by someone who has no more than the file.
fn save_alone(is_all: bool) -> &'static str {
    if is_all {
        "torch.save(torch.load(FILE, weights_only=False).state_dict(), NEW), \
         where the class of what was saved can be imported"
    } else {
        "torch.save(torch.load(FILE, weights_only=False)[KEY], NEW)"
    }
}

fn transposed(expected: &[usize], found: &[usize]) -> &'static str {
    match (expected, found) {
        (&[rows, columns], &[first, second]) if (columns, rows) == (first, second) => {
            ": it lies transposed"
        }
        _ => "",
    }
}

/// How all tensors of a file are saved as plain ones.
fn made_plain(plain: Option<&str>) -> String {
    match plain {
        Some(plain) => format!(
            "\nhint: in Python, torch.save({{name: {plain} for name, tensor in \
             torch.load(FILE).items()}}, NEW)"
        ),
        None => "\nhint: the file has no numbers of it; another file of the same training may"
            .to_owned(),
    }
}

pub(super) fn place(at: Option<&str>) -> String {
    at.map(|at| format!("in `{at}`: ")).unwrap_or_default()
}
