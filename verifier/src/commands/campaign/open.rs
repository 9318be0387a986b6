//! Opens what a campaign is about: the bundle, the study, and what runs its faults.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result, ensure};
use console::{check_threads, note, threads_to_use};
use proto::graph::Graph;
use proto::manifest::{dataset, part};
use verifier::campaign::alone::RunsAlone;
use verifier::campaign::model::FaultModel;
use verifier::campaign::runner::{Classes, FaultFreeRuns, Runner};
use verifier::campaign::settings::{EngineSettings, Settings};
use verifier::campaign::study::{Study, choose_sites};
use verifier::campaign::{Load, Part};
use verifier::engine::onnxruntime::locate::locate;
use verifier::engine::onnxruntime::{Library, Options, Session};
use verifier::engine::{Device, Engine, batch_size};
use verifier::inject::{Layout, SiteKind, sites};
use verifier::report::check::Check;
use verifier::report::record::Record;
use verifier::samples::Recording;

use super::super::opened::{Opened, check_hashes};
use super::super::{tail, upstream};
use crate::cli::{PartArgs, TargetArgs};

/// Inputs of `tail` that are computed from pixels are kept where they take no more than this; and
/// so much of runs without a fault.
const MOST_BYTES_KEPT: usize = 512 << 20;

/// Pieces of the part that stay loaded, of all runners.
const MOST_BYTES_LOADED: usize = 1 << 30;

/// Of a model as small as this, a run is too short for many threads: each of them runs batches of
/// its own.
const MOST_BYTES_SIDE_BY_SIDE: usize = 64 << 20;

/// The bundle of a campaign, and the graph of its part.
pub(super) struct Subject {
    pub(super) opened: Opened,
    pub(super) graph: Graph,
}

/// What makes runners, which may run side by side.
pub(super) struct Runners<'a> {
    subject: &'a Subject,
    backend: &'a Backend,
    classes: ClassesFrom,
    shared: Arc<FaultFreeRuns>,
}

/// Where the class of a sample comes from.
enum ClassesFrom {
    /// The part's output of this number is the logits.
    Logits(usize),
    /// The rest of the model, which takes these inputs.
    Tail(Vec<Option<Recording>>),
    Nothing,
}

/// ONNX Runtime, as faults are run with it.
pub(super) struct Backend {
    pub(super) library: Library,
    pub(super) options: Options,
    other_parts: Options,
    /// Runners that run batches at the same time.
    pub(super) side_by_side: usize,
    /// Whether a run on the CPU is too short for many threads.
    is_small: bool,
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

    /// The names of the sites that are asked for, as settings have them; of weights PyTorch's names
    /// are taken too.
    pub(super) fn site_names(&self, asked: &[String], model: &FaultModel) -> Result<Vec<String>> {
        let all = sites(&self.graph);
        let parameters = self.opened.parameters();
        let graphs_name = |name: &String| {
            let own = name.strip_prefix("weight:").unwrap_or(name);
            match parameters.find(own) {
                Some((initializer, _)) => format!("weight:{initializer}"),
                None => name.clone(),
            }
        };
        let asked: Vec<String> = asked.iter().map(graphs_name).collect();
        let chosen = choose_sites(&all, &asked, model, self.layout())?;
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

    /// What makes the runners of faults; `with_classes` unless classes are not wanted.
    pub(super) fn runners<'a>(
        &'a self,
        backend: &'a Backend,
        with_classes: bool,
    ) -> Result<Runners<'a>> {
        let classes = match self.logits() {
            Some(output) => ClassesFrom::Logits(output),
            None if with_classes => self.tail(backend),
            None => ClassesFrom::Nothing,
        };
        upstream::attach(&self.opened, &backend.library, &backend.other_parts)?;
        let samples = self.opened.recordings.info.len();
        let alone = RunsAlone::new(MOST_BYTES_KEPT);
        Ok(Runners {
            subject: self,
            backend,
            classes,
            shared: Arc::new(FaultFreeRuns::new(samples, alone)),
        })
    }

    /// What `tail` takes, unless it cannot run, which is said.
    fn tail(&self, backend: &Backend) -> ClassesFrom {
        match tail::inputs(&self.opened, &backend.library, &backend.other_parts) {
            Ok(mut inputs) => {
                for input in inputs.iter_mut().flatten() {
                    input.keep_computed(batch_size::LARGEST, MOST_BYTES_KEPT);
                }
                ClassesFrom::Tail(inputs)
            }
            Err(error) => {
                note!("warning: no classes, rates of SDC only: {error:#}");
                ClassesFrom::Nothing
            }
        }
    }

    /// Whether a run is too short for many threads.
    fn is_small(&self) -> Result<bool> {
        let bundle = &self.opened.bundle;
        let mut bytes = self.graph.to_bytes().len();
        if bundle.part(part::TAIL).is_ok() {
            bytes += bundle.model(part::TAIL)?.graph.to_bytes().len();
        }
        Ok(bytes <= MOST_BYTES_SIDE_BY_SIDE)
    }

    /// Samples in one run, as asked for or chosen.
    pub(super) fn run_samples(&self, asked: Option<usize>, backend: &Backend) -> usize {
        let bytes = self.graph.largest_operator_bytes();
        match asked {
            Some(samples) => samples,
            // One thread runs samples alone as fast as together, and what comes of them without a
            // fault can be kept.
            None if backend.is_small => 1,
            None => batch_size::choose(&backend.options.device, bytes),
        }
    }
}

impl<'a> Runners<'a> {
    /// Whether the class of a faulty output is known.
    pub(super) fn know_classes(&self) -> bool {
        !matches!(self.classes, ClassesFrom::Nothing)
    }

    /// One of them, with sessions of its own, for runs of so many samples.
    pub(super) fn make(&self, run_samples: usize) -> Result<Runner<'a>> {
        let Backend {
            library,
            options,
            other_parts,
            ..
        } = self.backend;
        let mut load: Box<Load<'a>> = Box::new(move |graph: &Graph| {
            let session = Session::of_graph(library, graph, options, run_samples)?;
            Ok(Box::new(session) as Box<dyn Engine>)
        });
        let Subject { opened, graph } = self.subject;
        let part = Part {
            engine: load(graph)?,
            graph: graph.clone(),
        };
        let classes = match &self.classes {
            ClassesFrom::Logits(output) => Classes::Logits(*output),
            ClassesFrom::Tail(inputs) => {
                let tail = tail::load_with(inputs.clone(), opened, library, other_parts);
                let tail = tail.context("hint: --no-tail runs without classes")?;
                Classes::Tail(Box::new(tail))
            }
            ClassesFrom::Nothing => Classes::Unknown,
        };
        let inputs = opened.recordings.inputs.clone();
        let bytes = MOST_BYTES_LOADED / self.backend.side_by_side;
        let shared = self.shared.clone();
        Ok(Runner::new(part, load, inputs, classes, shared, bytes))
    }
}

impl Backend {
    /// Starts it as suits the subject.
    pub(super) fn start(target: &TargetArgs, subject: &Subject) -> Result<Self> {
        ensure!(
            target.model.is_none(),
            "--model: a campaign puts faults into the bundle's own model"
        );
        let options = target.options();
        check_threads(options.threads)?;
        let path = locate(target.runtime.as_deref())?;
        let other_parts = upstream::options(target);
        let is_on_cpu = [&options, &other_parts].map(|own| own.device == Device::Cpu) == [true; 2];
        let is_small = is_on_cpu && subject.is_small()?;
        let (side_by_side, threads) = match is_small {
            true => (threads_to_use(options.threads), Some(1)),
            false => (1, options.threads),
        };
        Ok(Self {
            library: Library::start_with_one_pool(&path, threads)?,
            options,
            other_parts,
            side_by_side,
            is_small,
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
