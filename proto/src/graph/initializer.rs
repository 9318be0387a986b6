//! The numbers of a float32 initializer: reading them, changing one.

use super::read::Graph;
use crate::onnx::TensorProto;
use crate::onnx::tensor_proto::DataType;

/// Why an initializer's elements cannot be had.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InitializerError {
    #[error("no initializer `{name}`; the graph has {}", .available.join(", "))]
    Unknown {
        name: String,
        available: Vec<String>,
    },
    #[error("initializer `{name}` is not float32")]
    NotFloat32 { name: String },
    #[error("initializer `{name}` keeps its data in a second file")]
    External { name: String },
    /// The element lies outside, or the data are shorter than the shape says.
    #[error("initializer `{name}` has no element {element}")]
    NoElement { name: String, element: usize },
}

impl Graph {
    pub fn initializer(&self, name: &str) -> Option<&TensorProto> {
        let mut all = self.graph().initializer.iter();
        all.find(|tensor| tensor.name() == name)
    }

    /// The float32 initializers: those whose elements can be changed.
    pub fn weight_names(&self) -> Vec<&str> {
        let all = self.graph().initializer.iter();
        let float32 = all.filter(|tensor| tensor.data_type == Some(DataType::Float as i32));
        float32.map(|tensor| tensor.name()).collect()
    }

    /// An initializer's axes; a negative one is taken as 0.
    pub fn initializer_shape(&self, name: &str) -> Result<Vec<usize>, InitializerError> {
        let tensor = self
            .initializer(name)
            .ok_or_else(|| self.unknown_initializer(name))?;
        let length = |&axis: &i64| usize::try_from(axis).unwrap_or_default();
        Ok(tensor.dims.iter().map(length).collect())
    }

    /// All elements of a float32 initializer, in C order.
    pub fn float32_elements(&self, name: &str) -> Result<Vec<f32>, InitializerError> {
        let tensor = self
            .initializer(name)
            .ok_or_else(|| self.unknown_initializer(name))?;
        check_float32(tensor)?;
        Ok(match tensor.raw_data() {
            [] => tensor.float_data.clone(),
            raw => raw.chunks_exact(4).map(from_bytes).collect(),
        })
    }

    /// Changes one element of a float32 initializer, which `element` counts in C order; gives the
    /// value that was there.
    pub fn change_float32(
        &mut self,
        name: &str,
        element: usize,
        change: impl FnOnce(f32) -> f32,
    ) -> Result<f32, InitializerError> {
        let mut all = self.graph().initializer.iter();
        let position = all
            .position(|tensor| tensor.name() == name)
            .ok_or_else(|| self.unknown_initializer(name))?;
        let tensor = &mut self.graph_mut().initializer[position];
        check_float32(tensor)?;
        let no_element = || InitializerError::NoElement {
            name: name.to_owned(),
            element,
        };
        if let Some(raw) = tensor.raw_data.as_mut().filter(|raw| !raw.is_empty()) {
            let bytes = raw
                .chunks_exact_mut(4)
                .nth(element)
                .ok_or_else(no_element)?;
            let old = from_bytes(bytes);
            bytes.copy_from_slice(&change(old).to_le_bytes());
            Ok(old)
        } else {
            let value = tensor.float_data.get_mut(element).ok_or_else(no_element)?;
            let old = *value;
            *value = change(old);
            Ok(old)
        }
    }

    /// Adds an initializer, for a node that is to be inserted.
    pub fn add_initializer(&mut self, tensor: TensorProto) {
        self.graph_mut().initializer.push(tensor);
    }

    pub(super) fn unknown_initializer(&self, name: &str) -> InitializerError {
        let available = self.weight_names().into_iter();
        InitializerError::Unknown {
            name: name.to_owned(),
            available: available.map(str::to_owned).collect(),
        }
    }
}

fn check_float32(tensor: &TensorProto) -> Result<(), InitializerError> {
    let name = || tensor.name().to_owned();
    if tensor.data_type != Some(DataType::Float as i32) {
        return Err(InitializerError::NotFloat32 { name: name() });
    }
    if tensor.is_external() {
        return Err(InitializerError::External { name: name() });
    }
    Ok(())
}

fn from_bytes(bytes: &[u8]) -> f32 {
    f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
