//! The parts as model files, written side by side.

use std::collections::BTreeMap;
use std::io::Write as _;

use proto::bundle::{BundleWriter, WriteError};
use proto::digest::FileDigest;
use proto::graph::write::{message_size, write, write_external};
use proto::manifest::Part;
use rayon::prelude::*;

use crate::vit_graph::PartModel;

/// What lies beside a model that one file cannot hold.
const EXTERNAL_DATA: &str = "model.onnx.data";

/// A part, and the files that it is written to.
type Written = (Part, Vec<(String, FileDigest)>);

/// Writes the models; one of more than `largest` bytes keeps its weights in a second file.
pub(super) fn write_models(
    writer: &mut BundleWriter,
    models: Vec<(String, PartModel)>,
    largest: usize,
) -> Result<BTreeMap<String, Part>, WriteError> {
    let place: &BundleWriter = writer;
    let written = models
        .into_par_iter()
        .map(|(name, model)| Ok((write_model(place, &name, model, largest)?, name)))
        .collect::<Result<Vec<(Written, String)>, WriteError>>()?;
    let mut parts = BTreeMap::new();
    for ((part, files), name) in written {
        for (file, digest) in files {
            writer.add(file, digest);
        }
        parts.insert(name, part);
    }
    Ok(parts)
}

fn write_model(
    writer: &BundleWriter,
    name: &str,
    PartModel { model, mut part }: PartModel,
    largest: usize,
) -> Result<Written, WriteError> {
    let file = part.file.clone();
    if message_size(&model) <= largest {
        let digest = writer.stream(&file, |out| write(&model, out))?;
        return Ok((part, vec![(file, digest)]));
    }
    let external = format!("onnx/{name}/{EXTERNAL_DATA}");
    let mut bytes = Vec::new();
    let external_digest = writer.stream(&external, |out| {
        write_external(&model, EXTERNAL_DATA, &mut bytes, out)
    })?;
    let digest = writer.stream(&file, |out| out.write_all(&bytes))?;
    part.external_data = Some(external.clone());
    Ok((part, vec![(file, digest), (external, external_digest)]))
}
