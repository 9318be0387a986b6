//! The model that a command runs: the bundle's own, or another one that the user names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use ndarray::ArrayViewD;
use proto::bundle::{Bundle, ModelFiles};
use proto::graph::Graph;
use proto::manifest::Part;
use proto::staging::ScratchFolder;
use verifier::engine::onnxruntime::{Expected, Library, Options, Ports, Session, Source};
use verifier::engine::other_model::OtherModel;
use verifier::engine::{Device, batch_size};
use verifier::inject::weights::with_weight_faults;
use verifier::inject::{Fault, Parameters, Target};
use verifier::report::other_model::OtherModelRecord;

use super::opened::Opened;

/// The bytes of a model, which have the hashes that the record names.
pub(super) struct Model {
    path: PathBuf,
    files: Files,
    /// Of the bundle's own, and of another one if it can be read as the bundle's are.
    graph: Option<Graph>,
    /// Samples of every run, if it fixes them.
    fixed_batch: Option<usize>,
    /// PyTorch's names of its weights; none of another model.
    parameters: Parameters,
}

/// Where a model is loaded, and as what.
pub(super) struct Place<'a> {
    pub(super) library: &'a Library,
    pub(super) options: &'a Options,
    pub(super) part: &'a Part,
    /// Names of the outputs that are wanted.
    pub(super) outputs: Vec<&'a str>,
    /// A batch `[batch, …]` for each input, for the proof of where it runs.
    pub(super) first_inputs: &'a [ArrayViewD<'a, f32>],
}

enum Files {
    Own(ModelFiles),
    Other(Box<OtherModel>),
}

impl Model {
    /// The part's model, or another one with the same inputs and outputs.
    pub(super) fn read(opened: &Opened, other: Option<&Path>) -> Result<Self> {
        let Some(other) = other else {
            return Self::own(&opened.bundle, &opened.part_name);
        };
        ensure!(
            other.exists(),
            "--model {}: no such file\n\
             hint: a bundle holds its model: `verifier check bundles/base`; --model names the ONNX \
             file of another one",
            other.display()
        );
        let model = OtherModel::read(other)?;
        Ok(Self {
            path: other.to_owned(),
            graph: Graph::read(other, &model.model, None).ok(),
            fixed_batch: model.fixed_batch,
            parameters: Parameters::default(),
            files: Files::Other(Box::new(model)),
        })
    }

    /// A part's own model.
    pub(super) fn own(bundle: &Bundle, part: &str) -> Result<Self> {
        let (path, description) = bundle.part(part)?;
        let model = bundle.model(part)?;
        let manifest = bundle.manifest();
        Ok(Self {
            path,
            files: Files::Own(model.files),
            graph: Some(model.graph),
            fixed_batch: manifest.deployment().fixed_batch,
            parameters: Parameters::new(description, &manifest.module),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match &self.files {
            Files::Own(files) => &files.model,
            Files::Other(other) => &other.model,
        }
    }

    /// How its tensors have to fit the part's.
    pub(super) fn ports(&self) -> Ports {
        match &self.files {
            Files::Own(_) => Ports::AsListed,
            Files::Other(_) => Ports::ByName,
        }
    }

    /// What a calibration is bound to.
    pub(super) fn blake3(&self, opened: &Opened) -> String {
        match &self.files {
            Files::Own(_) => opened.model_blake3(),
            Files::Other(other) => other.blake3(),
        }
    }

    /// Outputs that another model has, those of the part among them; the bundle's own has no
    /// further ones.
    pub(super) fn output_names(&self) -> Vec<String> {
        match &self.files {
            Files::Own(_) => vec![],
            Files::Other(other) => other.output_names.clone(),
        }
    }

    /// Samples of every run, if the model fixes them.
    pub(super) fn fixed_batch(&self) -> Option<usize> {
        self.fixed_batch
    }

    /// As records have it; `None` of the bundle's own.
    pub(super) fn record(&self) -> Option<OtherModelRecord> {
        match &self.files {
            Files::Own(_) => None,
            Files::Other(other) => Some(OtherModelRecord {
                files: other.files.clone(),
            }),
        }
    }

    /// A copy of the files, where the model is in more than one.
    pub(super) fn copy(&self) -> io::Result<Option<(ScratchFolder, PathBuf)>> {
        let is_in_several = match &self.files {
            Files::Own(files) => files.external_data.is_some(),
            Files::Other(other) => other.has_external_data(),
        };
        if !is_in_several {
            return Ok(None);
        }
        let folder = ScratchFolder::create(None)?;
        let model = self.write_into(&folder.path().join("model"))?;
        Ok(Some((folder, model)))
    }

    /// Loads it as it is.
    pub(super) fn load(&self, place: &Place<'_>) -> Result<Session> {
        match self.copy().context("a copy of the model")? {
            // A runtime reads further files by itself: it gets copies of what was hashed.
            Some((_folder, copy)) => self.load_from(Source::File(&copy), place),
            None => self.load_from(Source::Memory(self.bytes()), place),
        }
    }

    /// Loads its bytes with changes in them.
    pub(super) fn load_changed(&self, bytes: &[u8], place: &Place<'_>) -> Result<Session> {
        self.load_from(Source::Memory(bytes), place)
    }

    fn load_from(&self, source: Source<'_>, place: &Place<'_>) -> Result<Session> {
        let expected = Expected {
            part: place.part,
            ports: self.ports(),
            outputs: place.outputs.clone(),
        };
        let Place {
            library,
            options,
            first_inputs,
            ..
        } = *place;
        let path = self.path();
        Ok(Session::load(
            library,
            source,
            path,
            &expected,
            options,
            first_inputs,
        )?)
    }

    /// Writes the files into a new folder; gives the model's path.
    pub(super) fn write_into(&self, folder: &Path) -> io::Result<PathBuf> {
        fs::create_dir(folder)?;
        let path = folder.join("model.onnx");
        match &self.files {
            Files::Other(other) => other.write_into(folder)?,
            Files::Own(files) => {
                fs::write(&path, &files.model)?;
                if let Some((name, data)) = &files.external_data {
                    fs::write(folder.join(name), data)?;
                }
            }
        }
        Ok(path)
    }

    /// The batch size that was asked for, the one that the model fixes, or one that is chosen.
    pub(super) fn batch_size(&self, asked: Option<usize>, device: &Device) -> Result<usize> {
        if let Some(fixed) = self.fixed_batch() {
            ensure!(
                asked.is_none_or(|asked| asked == fixed),
                "--batch-size {}: {} has a batch of {fixed}",
                asked.unwrap_or_default(),
                self.path.display()
            );
            return Ok(fixed);
        }
        let operator_bytes = self.largest_operator_bytes();
        Ok(asked.unwrap_or_else(|| batch_size::choose(device, operator_bytes)))
    }

    /// Bytes that the largest operator reads and writes for one sample, if that is known.
    pub(super) fn largest_operator_bytes(&self) -> Option<usize> {
        self.graph.as_ref().and_then(Graph::largest_operator_bytes)
    }

    /// Frees the bytes, of which nothing more is loaded.
    pub(super) fn release(&mut self) {
        self.graph = None;
        match &mut self.files {
            Files::Own(files) => {
                files.model = vec![];
                files.external_data = None;
            }
            Files::Other(other) => other.release(),
        }
    }

    /// The graph with its weight faults, and whether there are any; `None` where the model cannot
    /// be changed, which then has no faults inside. It can be had once.
    pub(super) fn with_weight_faults(&mut self, faults: &[Fault]) -> Result<Option<Graph>> {
        let mut targets = faults.iter().map(|fault| &fault.target);
        let is_inside = |target: &Target| matches!(target, Target::Weight(_) | Target::Edge(_));
        let has_inner_fault = targets.any(is_inside);
        if !has_inner_fault {
            return Ok(None);
        }
        let graph = self.graph.take().with_context(|| {
            format!(
                "{}: faults cannot be put into it: its weights are in other files, or of other \
                 types",
                self.path.display()
            )
        })?;
        Ok(Some(with_weight_faults(graph, faults, &self.parameters)?))
    }
}
