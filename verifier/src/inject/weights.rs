//! Weight faults: put into a copy of the model in memory, before a session is made of it.

use proto::graph::{Graph, InitializerError};

use super::fault::{Fault, FaultError, Target, index_in};
use super::parameters::Parameters;

/// The model with the faults that are in weights. A weight is named as the initializer, or as the
/// parameter, with the index that PyTorch gives it.
pub fn with_weight_faults(
    mut model: Graph,
    faults: &[Fault],
    parameters: &Parameters,
) -> Result<Graph, FaultError> {
    for fault in faults {
        if let Target::Weight(name) = &fault.target {
            change(&mut model, fault, name, parameters)?;
        }
    }
    Ok(model)
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
    let elements = match is_transposed {
        true => transposed_elements(fault, name, &shape)?,
        false => fault.elements(name, &shape)?,
    };
    for element in elements {
        let apply = |value: f32| fault.change.apply(value);
        model
            .change_float32(initializer, element, apply)
            .map_err(refused)?;
    }
    Ok(())
}

/// The elements of an initializer of this shape whose axes PyTorch counts the other way round.
fn transposed_elements(
    fault: &Fault,
    name: &str,
    shape: &[usize],
) -> Result<Vec<usize>, FaultError> {
    let of_parameter: Vec<usize> = shape.iter().rev().copied().collect();
    let elements = fault.elements(name, &of_parameter)?.into_iter();
    let mut stored: Vec<usize> = elements
        .map(|element| {
            let index = index_in(&of_parameter, element);
            let axes = index.iter().rev().zip(shape);
            axes.fold(0, |element, (&at, &length)| element * length + at)
        })
        .collect();
    stored.sort_unstable();
    Ok(stored)
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proto::bundle::Bundle;
    use proto::manifest::part;

    use super::*;

    /// The changed model, of the tiny bundle's submodel.
    fn changed(fault: &str) -> Result<Vec<u8>, FaultError> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tiny_bundle");
        let bundle = Bundle::open(&folder).expect("a bundle");
        let (_, submodel) = bundle.part(part::SUBMODEL).expect("a submodel");
        let parameters = Parameters::new(submodel, &bundle.manifest().module);
        let graph = bundle.graph(part::SUBMODEL).expect("a graph");
        let faults = [fault.parse().expect("a fault")];
        with_weight_faults(graph, &faults, &parameters).map(|model| model.to_bytes())
    }

    #[test]
    fn a_parameters_name_with_its_own_index_means_the_same_element() {
        // PyTorch has it as [48, 16], the graph as [16, 48].
        let by_onnx = changed("weight:to_qkv_weight[3,5]^30").expect("an element");
        for name in ["to_qkv.weight", "transformer.layers.0.0.fn.to_qkv.weight"] {
            let by_pytorch = changed(&format!("weight:{name}[5,3]^30")).expect(name);
            assert!(by_pytorch == by_onnx, "{name}");
        }
        let other = changed("weight:to_qkv.weight[3,5]^30").expect("an element");
        assert!(other != by_onnx);
        let rows = changed("weight:to_qkv_weight[3:5,*]^30").expect("two rows");
        let columns = changed("weight:to_qkv.weight[*,3:5]^30").expect("two columns");
        assert!(rows == columns && rows != by_onnx);
        let bias = changed("weight:to_out_0_bias[7]=0x7fc00000").expect("an element");
        let by_pytorch = changed("weight:to_out.0.bias[7]=nan").expect("an element");
        assert!(by_pytorch == bias);
        assert!(changed("weight:scale[]^30").expect("a scalar") != bias);
    }

    #[test]
    fn what_no_weight_has_is_refused_with_pytorchs_shape() {
        let refused = |fault: &str| changed(fault).expect_err(fault).to_string();
        let outside = refused("weight:to_qkv.weight[5,16]^30");
        assert!(outside.contains("outside `to_qkv.weight`"), "{outside}");
        assert!(outside.contains("[48, 16]"), "{outside}");
        assert!(refused("weight:to_qkv_weight[16,5]^30").contains("[16, 48]"));
        let unknown = refused("weight:to_q.weight[5,1]^30");
        assert!(unknown.contains("no weight `to_q.weight`"), "{unknown}");
        // Numbers that an operator takes as shapes are no weights.
        let offered = unknown.rsplit("there are").next().expect("a list");
        assert_eq!(
            offered.trim(),
            "to_qkv_weight, scale, to_out_0_weight, to_out_0_bias"
        );
        let shape = refused("weight:query_by_token_shape[0]^30");
        assert!(shape.contains("is not float32"), "{shape}");
    }
}
