//! Inputs and outputs of a model: those of the bundle's own are as the manifest says; those of
//! another one are matched by name, with types and a batch of their own.

use std::path::Path;

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use ndarray::{ArrayD, ArrayViewD, IxDyn};
use ort::session::SessionInputValue;
use ort::value::{DynValue, Outlet, Tensor as OrtTensor, TensorElementType, TensorRef, ValueType};
use proto::graph::BATCH;
use proto::manifest::{Part, Tensor};
use proto::npy::Dtype;

use super::error::{LoadError, one_line};
use crate::engine::interface::RunError;
use crate::samples::elements;

/// Which models are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// With exactly the tensors of the manifest.
    AsListed,
    /// With tensors of the same names; float16 and float64 are converted, and the batch may be
    /// fixed.
    ByName,
}

/// The part that a model is loaded as.
#[derive(Debug, Clone)]
pub struct Expected<'a> {
    pub part: &'a Part,
    pub ports: Ports,
    /// Names of those of its outputs that a run gives back, in this order.
    pub outputs: Vec<&'a str>,
}

/// One tensor of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) element: TensorElementType,
}

/// All of them, in the part's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
    /// Samples of every run, if the model fixes them.
    pub(super) batch: Option<usize>,
}

/// What a run gave for one output.
#[derive(Debug)]
pub(super) enum Output {
    /// As the runtime has it, float32.
    Runtime(DynValue),
    /// Converted, or without padding.
    Converted(ArrayD<f32>),
}

impl Interface {
    pub(super) fn new(
        path: &Path,
        expected: &Expected<'_>,
        inputs: &[Outlet],
        outputs: &[Outlet],
    ) -> Result<Self, LoadError> {
        let mut batch = None;
        let Expected { part, ports, .. } = *expected;
        let of_part: Vec<Tensor> = match ports {
            Ports::AsListed => part.outputs.clone(),
            // Of another model only what is compared need be there.
            Ports::ByName => {
                let compared = |tensor: &&Tensor| expected.outputs.contains(&tensor.name.as_str());
                part.outputs.iter().filter(compared).cloned().collect()
            }
        };
        let inputs = matched(path, "inputs", ports, &part.inputs, inputs, &mut batch)?;
        let mut outputs = matched(path, "outputs", ports, &of_part, outputs, &mut batch)?;
        outputs.retain(|port| expected.outputs.contains(&port.name.as_str()));
        Ok(Self {
            inputs,
            outputs,
            batch,
        })
    }
}

impl Interface {
    /// Of a graph as it is; `None` if a tensor of it is not float32.
    pub(super) fn of_graph(inputs: &[Outlet], outputs: &[Outlet]) -> Option<Self> {
        let ports = |outlets: &[Outlet]| -> Option<Vec<Port>> {
            let ports = outlets.iter().map(|outlet| match outlet.dtype() {
                ValueType::Tensor {
                    ty: element @ TensorElementType::Float32,
                    ..
                } => Some(Port {
                    name: outlet.name().to_owned(),
                    element: *element,
                }),
                _ => None,
            });
            ports.collect()
        };
        Some(Self {
            inputs: ports(inputs)?,
            outputs: ports(outputs)?,
            batch: None,
        })
    }
}

/// The ports of one side of a part.
fn matched(
    path: &Path,
    what: &'static str,
    ports: Ports,
    expected: &[Tensor],
    found: &[Outlet],
    batch: &mut Option<usize>,
) -> Result<Vec<Port>, LoadError> {
    let refused = || LoadError::Interface {
        path: path.to_owned(),
        what,
        expected: texts(expected.iter().map(describe)),
        found: texts(found.iter().map(describe_outlet)),
    };
    if ports == Ports::AsListed {
        let has_shapes = expected
            .iter()
            .all(|tensor| tensor.sample_shape().is_some());
        let same = expected
            .iter()
            .map(describe)
            .eq(found.iter().map(describe_outlet));
        if !has_shapes || expected.is_empty() || !same {
            return Err(refused());
        }
    }
    // A model may give more than is compared, but what it takes must be there.
    if what == "inputs" && found.len() != expected.len() {
        return Err(refused());
    }
    let mut of_part = Vec::with_capacity(expected.len());
    for tensor in expected {
        let mut outlets = found.iter();
        let outlet = outlets
            .find(|outlet| outlet.name() == tensor.name)
            .ok_or_else(refused)?;
        of_part.push(port(tensor, outlet, batch).ok_or_else(refused)?);
    }
    Ok(of_part)
}

/// A tensor of the model that fits one of the part; `None` if it does not.
fn port(tensor: &Tensor, outlet: &Outlet, batch: &mut Option<usize>) -> Option<Port> {
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return None;
    };
    let is_taken = match tensor.dtype {
        Dtype::Uint8 => *ty == TensorElementType::Uint8,
        _ => matches!(
            ty,
            TensorElementType::Float32 | TensorElementType::Float16 | TensorElementType::Float64
        ),
    };
    let expected = tensor.sample_shape()?;
    let (&first, axes) = shape.split_first()?;
    let fits = axes.len() == expected.len()
        && axes
            .iter()
            .zip(&expected)
            .all(|(&axis, &length)| axis < 0 || usize::try_from(axis) == Ok(length));
    if let Ok(fixed) = usize::try_from(first)
        && fixed > 0
        && *batch.get_or_insert(fixed) != fixed
    {
        return None;
    }
    (is_taken && fits).then(|| Port {
        name: outlet.name().to_owned(),
        element: *ty,
    })
}

/// An input as the model takes it: converted, and padded with zeros to the model's batch.
pub(super) fn value<'v>(
    port: &Port,
    input: &'v ArrayViewD<'_, f32>,
    batch: Option<usize>,
) -> Result<SessionInputValue<'v>, RunError> {
    // A scalar, such as a weight that became an input, has no samples.
    let samples = input.shape().first().copied().unwrap_or(1);
    if let Some(batch) = batch.filter(|&batch| batch < samples) {
        return Err(RunError(format!(
            "{samples} samples in one run of a model that takes {batch}"
        )));
    }
    let padded = batch.filter(|&batch| batch != samples);
    if port.element == TensorElementType::Float32 && padded.is_none() {
        let tensor = TensorRef::from_array_view((input.shape(), elements(input)));
        return Ok(tensor.map_err(failed)?.into());
    }
    let mut shape = input.shape().to_vec();
    let mut values = elements(input).to_vec();
    if let Some(batch) = padded {
        values.resize(values.len() / samples.max(1) * batch, 0.0);
        shape[0] = batch;
    }
    Ok(match port.element {
        TensorElementType::Float16 => {
            let mut halves = vec![f16::ZERO; values.len()];
            halves.convert_from_f32_slice(&values);
            OrtTensor::from_array((shape, halves))
                .map_err(failed)?
                .into()
        }
        TensorElementType::Float64 => {
            let wide: Vec<f64> = values.into_iter().map(f64::from).collect();
            OrtTensor::from_array((shape, wide)).map_err(failed)?.into()
        }
        // Pixels, as whole numbers from 0 to 255.
        TensorElementType::Uint8 => {
            let bytes: Vec<u8> = values.into_iter().map(|value| value as u8).collect();
            OrtTensor::from_array((shape, bytes))
                .map_err(failed)?
                .into()
        }
        _ => OrtTensor::from_array((shape, values))
            .map_err(failed)?
            .into(),
    })
}

/// An output as it is compared: float32, without the samples of padding.
pub(super) fn output(
    port: &Port,
    value: DynValue,
    samples: usize,
    batch: Option<usize>,
) -> Result<Output, RunError> {
    let is_padded = batch.is_some_and(|batch| batch != samples);
    let (shape, mut values) = match port.element {
        TensorElementType::Float16 => {
            let (shape, halves) = value.try_extract_tensor::<f16>().map_err(failed)?;
            let mut values = vec![0.0; halves.len()];
            halves.convert_to_f32_slice(&mut values);
            (axes(shape), values)
        }
        TensorElementType::Float64 => {
            let (shape, wide) = value.try_extract_tensor::<f64>().map_err(failed)?;
            let values = wide.iter().map(|&value| value as f32).collect();
            (axes(shape), values)
        }
        _ if !is_padded => return Ok(Output::Runtime(value)),
        _ => {
            let (shape, values) = value.try_extract_tensor::<f32>().map_err(failed)?;
            (axes(shape), values.to_vec())
        }
    };
    if shape.iter().product::<usize>() != values.len()
        || (is_padded && shape.first() == batch.as_ref() && shape[0] < samples)
    {
        return Err(RunError(format!(
            "output `{}` has shape {shape:?}, expected {samples} samples",
            port.name
        )));
    }
    let mut kept = shape.clone();
    if is_padded && shape.first() == batch.as_ref() {
        kept[0] = samples;
        values.truncate(kept.iter().product());
    }
    let array = ArrayD::from_shape_vec(IxDyn(&kept), values)
        .map_err(|error| RunError(format!("an output of shape {shape:?}: {error}")))?;
    Ok(Output::Converted(array))
}

impl Output {
    pub(super) fn view(&self) -> Result<ArrayViewD<'_, f32>, RunError> {
        let value = match self {
            Self::Converted(array) => return Ok(array.view()),
            Self::Runtime(value) => value,
        };
        let (shape, elements) = value.try_extract_tensor::<f32>().map_err(failed)?;
        let shape = axes(shape);
        ArrayViewD::from_shape(IxDyn(&shape), elements)
            .map_err(|error| RunError(format!("an output of shape {shape:?}: {error}")))
    }
}

fn axes(shape: &[i64]) -> Vec<usize> {
    let axes = shape.iter().map(|&axis| usize::try_from(axis));
    axes.map(Result::unwrap_or_default).collect()
}

pub(super) fn failed(error: ort::Error) -> RunError {
    RunError(one_line(&error.to_string()))
}

fn texts(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join(", ")
}

fn describe(tensor: &Tensor) -> String {
    let (name, dtype) = (&tensor.name, tensor.dtype.name());
    format!("{name} {dtype} [{}]", join(&tensor.shape))
}

fn describe_outlet(outlet: &Outlet) -> String {
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => {
            let first = shape.first().filter(|&&axis| axis >= 0);
            let first = first.map_or_else(|| BATCH.to_owned(), i64::to_string);
            let axes = shape.iter().skip(1).map(i64::to_string);
            let axes: Vec<String> = std::iter::once(first).chain(axes).collect();
            let dtype = match ty {
                TensorElementType::Float32 => Dtype::Float32.name().to_owned(),
                TensorElementType::Uint8 => Dtype::Uint8.name().to_owned(),
                other => other.to_string(),
            };
            format!("{} {dtype} [{}]", outlet.name(), join(&axes))
        }
        other => format!("{} {other:?}", outlet.name()),
    }
}

fn join(axes: &[impl ToString]) -> String {
    let axes: Vec<String> = axes.iter().map(ToString::to_string).collect();
    axes.join(", ")
}
