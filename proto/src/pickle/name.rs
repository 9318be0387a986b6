//! Names of classes and functions in a pickle.

use crate::printable::printable;

/// The name of a class or function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    pub module: &'a str,
    pub name: &'a str,
}

impl Name<'_> {
    /// Whether NumPy would make an array or a number of it.
    pub fn is_numpy(&self) -> bool {
        self.module.split('.').next() == Some("numpy")
            && matches!(
                self.name,
                "_reconstruct" | "_frombuffer" | "ndarray" | "scalar"
            )
    }

    /// As a person would say it: what NumPy calls by long names is an array or a number, and the
    /// classes of the language itself need no module.
    pub fn describe(&self) -> String {
        match (self.module, self.name) {
            (_, "scalar") if self.is_numpy() => "NumPy scalar".to_owned(),
            _ if self.is_numpy() => "NumPy array".to_owned(),
            ("builtins" | "__builtin__", name) => printable(name),
            (module, name) => printable(&format!("{module}.{name}")),
        }
    }
}
