//! Opens what a campaign is about: the bundle, the study, and what runs its faults.

use std::sync::atomic::AtomicBool;

use anyhow::{Result, ensure};
use console::{check_threads, note};
use proto::graph::Graph;
use proto::manifest::dataset;
use verifier::campaign::model::FaultModel;
use verifier::campaign::runner::{Classes, Runner};
use verifier::campaign::study::{EngineSettings, Settings, Study, choose_sites};
use verifier::campaign::{Load, Part};
use verifier::check::tail::Tail;
use verifier::engine::onnxruntime::locate::locate;
use verifier::engine::onnxruntime::{Library, Options, Session};
use verifier::engine::{Device, Engine, batch_size};
use verifier::inject::{Layout, SiteKind, sites};
use verifier::report::check::Check;
use verifier::report::record::Record;

use super::super::opened::{Opened, check_hashes};
use super::super::{tail, upstream};
use crate::cli::{PartArgs, TargetArgs};

/// The bundle of a campaign, and the graph of its part.
pub(super) struct Subject {
    pub(super) opened: Opened,
    pub(super) graph: Graph,
}

/// ONNX Runtime, as faults are run with it.
pub(super) struct Backend {
    pub(super) library: Library,
    pub(super) options: Options,
    other_parts: Options,
}

impl Subject {
    pub(super) fn open(input: &PartArgs) -> Result<Self> {
        let opened = Opened::new(input, None::<&mut Record<Check>>)?;
        let graph = opened.bundle.model(&opened.part_name)?.graph;
        ensure!(
            !graph.has_external_data(),
            "part `{}` keeps weights in a second file, and pieces of it are run from memory",
            opened.part_name
        );
        let is_free = sites(&graph)
            .iter()
            .any(|site| site.kind == SiteKind::Input);
        ensure!(
            is_free,
            "part `{}` has no input with a free batch: faults are run many at a time\n\
             hint: export the bundle without a fixed batch",
            opened.part_name
        );
        Ok(Self { opened, graph })
    }

    /// Hashes everything that is read.
    pub(super) fn verified(self, stop: &AtomicBool) -> Result<Self> {
        check_hashes(&self.opened, stop)?;
        let opened = self.opened.verified(stop)?;
        Ok(Self { opened, ..self })
    }

    /// The names of the sites that are asked for, as settings have them.
    pub(super) fn site_names(&self, asked: &[String], model: &FaultModel) -> Result<Vec<String>> {
        let chosen = choose_sites(&sites(&self.graph), asked, model, self.layout())?;
        Ok(chosen.iter().map(ToString::to_string).collect())
    }

    /// The campaign of these settings, without a round.
    pub(super) fn study(&self, settings: Settings) -> Result<Study> {
        let layout = self.layout();
        let all = sites(&self.graph);
        let chosen = choose_sites(&all, &settings.sites, &settings.model, layout)?;
        let tiers = self.tiers();
        let count = tiers.iter().max().map_or(1, |most| most + 1);
        let count = count.max(self.upper_bounds().len());
        let info = &self.opened.recordings.info;
        Ok(Study::new(settings, chosen, layout, info, (count, &tiers))?)
    }

    /// The confidence up to which each tier reaches.
    pub(super) fn upper_bounds(&self) -> &[f64] {
        &self.opened.bundle.manifest().tiers.upper_bounds
    }

    /// The tier of each sample; all are of the first where no confidence is recorded.
    fn tiers(&self) -> Vec<usize> {
        let tiers = &self.opened.bundle.manifest().tiers;
        let info = self.opened.recordings.info.iter();
        let of_sample = |confidence: Option<f32>| confidence.map_or(0, |own| tiers.tier_of(own));
        info.map(|info| of_sample(info.confidence)).collect()
    }

    fn layout(&self) -> Layout {
        Layout::of(&self.opened.bundle.manifest().model.config)
    }

    /// Where logits come from: the part's own output of this number, or `tail`.
    fn logits(&self) -> Option<usize> {
        let mut outputs = self.opened.part.outputs.iter();
        outputs.position(|output| output.name == dataset::LOGITS)
    }

    /// `tail`, unless it is not needed, not wanted or not possible, which is said.
    pub(super) fn tail(&self, backend: &Backend, is_wanted: bool) -> Option<Tail<'static>> {
        if self.logits().is_some() || !is_wanted {
            return None;
        }
        let loaded = tail::load(&self.opened, &backend.library, &backend.other_parts);
        loaded
            .inspect_err(|error| note!("warning: no classes, rates of SDC only: {error:#}"))
            .ok()
    }

    /// Whether the class of a faulty output is known.
    pub(super) fn knows_classes(&self, tail: Option<&Tail<'_>>) -> bool {
        self.logits().is_some() || tail.is_some()
    }

    /// What runs the faults.
    pub(super) fn runner<'a>(
        &self,
        backend: &'a Backend,
        tail: Option<Tail<'a>>,
        run_samples: usize,
    ) -> Result<Runner<'a>> {
        upstream::attach(&self.opened, &backend.library, &backend.other_parts)?;
        let mut load: Box<Load<'a>> = Box::new(move |graph: &Graph| {
            let Backend {
                library, options, ..
            } = backend;
            let session = Session::of_graph(library, graph, options, run_samples)?;
            Ok(Box::new(session) as Box<dyn Engine>)
        });
        let part = Part {
            engine: load(&self.graph)?,
            graph: self.graph.clone(),
        };
        let classes = match (self.logits(), tail) {
            (Some(output), _) => Classes::Logits(output),
            (None, Some(tail)) => Classes::Tail(Box::new(tail)),
            (None, None) => Classes::Unknown,
        };
        Ok(Runner::new(
            part,
            load,
            self.opened.recordings.inputs.clone(),
            classes,
        ))
    }

    /// Samples in one run, as asked for or chosen.
    pub(super) fn run_samples(&self, asked: Option<usize>, device: &Device) -> usize {
        let bytes = self.graph.largest_operator_bytes();
        asked.unwrap_or_else(|| batch_size::choose(device, bytes))
    }
}

impl Backend {
    pub(super) fn start(target: &TargetArgs) -> Result<Self> {
        ensure!(
            target.model.is_none(),
            "--model: a campaign puts faults into the bundle's own model"
        );
        let options = target.options();
        check_threads(options.threads)?;
        let path = locate(target.runtime.as_deref())?;
        Ok(Self {
            library: Library::start_with_one_pool(&path, options.threads)?,
            other_parts: upstream::options(target),
            options,
        })
    }

    /// As settings have it.
    pub(super) fn settings(&self) -> EngineSettings {
        let info = self.library.info();
        EngineSettings {
            version: info.version.clone(),
            sha256: info.sha256.clone(),
            device: self.options.device.clone(),
            other_parts_on: self.other_parts.device.clone(),
            optimization: self.options.optimization,
            allow_reduced_precision: self.options.allow_reduced_precision,
        }
    }
}
