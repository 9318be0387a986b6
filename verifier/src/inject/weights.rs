//! Weight faults: put into a copy of the model in memory, before a session is made of it.

use proto::graph::{Graph, InitializerError};

use super::fault::{Fault, FaultError, Target};
use super::parameters::Parameters;

/// The model's bytes with the faults that are in weights; `None` if there are none. A weight is
/// named as the initializer, or as the parameter, with the index that PyTorch gives it.
pub fn with_weight_faults(
    mut model: Graph,
    faults: &[Fault],
    parameters: &Parameters,
) -> Result<Option<Vec<u8>>, FaultError> {
    let mut is_changed = false;
    for fault in faults {
        if let Target::Weight(name) = &fault.target {
            change(&mut model, fault, name, parameters)?;
            is_changed = true;
        }
    }
    Ok(is_changed.then(|| model.to_bytes()))
}

fn change(
    model: &mut Graph,
    fault: &Fault,
    name: &str,
    parameters: &Parameters,
) -> Result<(), FaultError> {
    let refused = |error: InitializerError| refusal(fault, name, error);
    let (initializer, is_transposed) = match parameters.find(name) {
        Some(found) if model.initializer(name).is_none() => found,
        _ => (name, false),
    };
    let shape = model.initializer_shape(initializer).map_err(refused)?;
    // A model in memory has no folder in which ONNX Runtime could find a second file.
    if model.has_external_data() {
        return Err(refused(InitializerError::External {
            name: name.to_owned(),
        }));
    }
    let element = match is_transposed {
        true => transposed_element(fault, name, &shape)?,
        false => fault.element(name, &shape)?,
    };
    let apply = |value: f32| fault.change.apply(value);
    model
        .change_float32(initializer, element, apply)
        .map_err(refused)?;
    Ok(())
}

/// The element of an initializer of this shape whose index PyTorch counts the other way round.
fn transposed_element(fault: &Fault, name: &str, shape: &[usize]) -> Result<usize, FaultError> {
    let of_parameter: Vec<usize> = shape.iter().rev().copied().collect();
    fault.element(name, &of_parameter)?;
    let stored = Fault {
        index: fault.index.iter().rev().copied().collect(),
        ..fault.clone()
    };
    stored.element(name, shape)
}

fn refusal(fault: &Fault, name: &str, error: InitializerError) -> FaultError {
    let reason = match error {
        InitializerError::Unknown { available, .. } => {
            return FaultError::NoTensor {
                fault: fault.to_string(),
                kind: "weight",
                name: name.to_owned(),
                available: available.join(", "),
            };
        }
        InitializerError::NotFloat32 { .. } => "is not float32",
        InitializerError::External { .. } => {
            "is of a model that keeps weights in a second file, which cannot be run from memory"
        }
        InitializerError::NoElement { .. } => "has less data than its shape",
    };
    FaultError::Weight {
        fault: fault.to_string(),
        name: name.to_owned(),
        reason,
    }
}
