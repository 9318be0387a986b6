//! Weight faults: put into a copy of the model in memory, before a session is made of it.

use proto::graph::{Graph, InitializerError};

use super::fault::{Fault, FaultError, Target};

/// The model with the faults that are in weights.
pub fn with_weight_faults(mut model: Graph, faults: &[Fault]) -> Result<Graph, FaultError> {
    for fault in faults {
        if let Target::Weight(name) = &fault.target {
            change(&mut model, fault, name)?;
        }
    }
    Ok(model)
}

fn change(model: &mut Graph, fault: &Fault, name: &str) -> Result<(), FaultError> {
    let refused = |error: InitializerError| refusal(fault, name, error);
    let shape = model.initializer_shape(name).map_err(refused)?;
    // A model in memory has no folder in which ONNX Runtime could find a second file.
    if model.has_external_data() {
        return Err(refused(InitializerError::External {
            name: name.to_owned(),
        }));
    }
    for element in fault.elements(name, &shape)? {
        let apply = |value: f32| fault.change.apply(value);
        model
            .change_float32(name, element, apply)
            .map_err(refused)?;
    }
    Ok(())
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
