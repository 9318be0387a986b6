//! The submodel's weights for PyTorch.

use std::collections::{BTreeMap, HashMap};

use proto::module::Module;
use safetensors::tensor::{Dtype, SafeTensorError, TensorView};
use trainer::vit::Vit;
use trainer::weights::shape_and_bytes;

pub(super) const SUBMODEL_WEIGHTS_FILE: &str = "weights/submodel.safetensors";

/// The module's parameters as a safetensors file, under their names less the module's own: what the
/// Python repository calls the weights of the partial network.
pub(super) fn submodel_weights(vit: &Vit, module: Module) -> Result<Vec<u8>, SafeTensorError> {
    let prefix = format!("{module}.");
    let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for (name, tensor) in vit.variables() {
        if let Some(name) = name.strip_prefix(&prefix) {
            tensors.insert(name.to_owned(), shape_and_bytes(&tensor));
        }
    }
    let views = tensors
        .iter()
        .map(|(name, (shape, bytes))| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes)?;
            Ok((name, view))
        })
        .collect::<Result<Vec<_>, SafeTensorError>>()?;
    // The key that other tools look for before they accept a file as PyTorch's.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(metadata))
}
