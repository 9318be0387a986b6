//! Runs a campaign, or a shard of it, as far as it goes.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use console::{Progress, grouped, note, resumable_stop_flag, say};
use verifier::campaign::effect::Effects;
use verifier::campaign::model::FaultModel;
use verifier::campaign::results::{Attempt, Found, Header};
use verifier::campaign::rounds::{Batch, Progress as Reached, Step, go_through};
use verifier::campaign::settings::{Asked, CAMPAIGN_VERSION, Settings};
use verifier::campaign::statistics::{Event, Interval, Tally};
use verifier::campaign::study::Study;
use verifier::compare::Tolerance;

use super::folder::{PlanFile, results};
use super::open::{Backend, Subject};
use super::report::{Merged, check_places, hand_over};
use super::status::{RESUMABLE, done};
use super::workers::{Workers, side_by_side};
use crate::cli::CampaignRunArgs;

/// Half of the width that the interval of the total has where nothing else is asked for.
const MARGIN: f64 = 0.01;

/// Faults in a batch: a few hundred share the runs of some tens of sites, and last seconds.
const BATCH_FAULTS: u64 = 1024;
/// The same where some are of weights, each of which is run on many samples.
const BATCH_FAULTS_OF_WEIGHTS: u64 = 256;

pub(super) fn run(arguments: &CampaignRunArgs) -> Result<u8> {
    let stop = resumable_stop_flag(RESUMABLE.into())?;
    ensure!(
        !arguments.input.test_data,
        "--test-data: a campaign needs samples of the bundle's datasets"
    );
    check_places(&arguments.reports, &arguments.out)?;
    match Subject::open(&arguments.input)?.verified(&stop) {
        Err(_) if stop.load(Ordering::Relaxed) => {
            note!("ended before anything was run; the same command goes on");
            Ok(RESUMABLE)
        }
        subject => run_on(arguments, &subject?, &stop),
    }
}

fn run_on(arguments: &CampaignRunArgs, subject: &Subject, stop: &AtomicBool) -> Result<u8> {
    let backend = Backend::start(&arguments.target, subject)?;
    let runners = subject.runners(&backend, !arguments.no_tail)?;
    let settings = settings(arguments, subject, &backend, runners.know_classes())?;
    let mut study = subject.study(settings)?;
    note_settings(&study);
    let plan = PlanFile {
        plan: study.plan.hash(),
        bundle_path: std::path::absolute(&arguments.input.bundle)?,
        settings: study.settings.clone(),
    };
    let run_samples = study.settings.run_samples;
    let make = || runners.make(run_samples);
    if !PlanFile::is_in(&arguments.out) {
        // What cannot run here, or not at all, leaves no plan behind.
        let none = Tally::new(study.plan.population());
        study.clone().push_round(&none)?;
        make()?;
    }
    plan.keep(&arguments.out)?;
    let folder = results(&arguments.out);
    let found = Found::read(&folder, &plan.plan)?;
    if found.batches() > 0 {
        note!("{} batches are there already", grouped(found.batches()));
    }
    let header = Header {
        plan: plan.plan.clone(),
        shard: arguments.shard,
    };
    let reached = side_by_side(backend.side_by_side, stop, &make, |workers| {
        let mut part = ShardRun {
            found: &found,
            attempt: None,
            header,
            folder: &folder,
            workers,
            stop,
            progress: None,
        };
        let reached = go_through(&mut study, &mut |study, batch, tally| {
            part.step(study, batch, tally)
        })?;
        part.show_rate(&study, &reached.tally);
        Ok(reached)
    })?;
    subject.opened.bundle.check_unchanged()?;
    backend.library.check_unchanged()?;
    conclude(arguments, &study, &reached)
}

/// Says how far the campaign has come.
fn conclude(arguments: &CampaignRunArgs, study: &Study, reached: &Reached) -> Result<u8> {
    if reached.is_stopped {
        note!("ended before the end; the same command goes on");
        return Ok(RESUMABLE);
    }
    if reached.is_complete() {
        let bundle = Some(arguments.input.bundle.as_path());
        hand_over(&Merged::read(&arguments.out, bundle)?, &arguments.reports)?;
        return Ok(done());
    }
    let (shard, of) = (arguments.shard, arguments.shard.of);
    let shards = reached.missing_shards(of);
    let has_more = matches!(study.settings.sampling, Asked::Margin(_));
    if has_more {
        say!(
            "shard        {shard} has run its part of this round; others are missing, and the next \
             round waits for them: --array={shards}"
        );
        note!("the same command goes on after them");
    } else {
        say!("shard        {shard} has run its part; others are missing: --array={shards}");
    }
    if !arguments.reports.is_empty() {
        note!("no report was written: that takes the faults of all shards");
    }
    Ok(if has_more { RESUMABLE } else { done() })
}

/// Says where settings come to something else than one may think.
fn note_settings(study: &Study) {
    let settings = &study.settings;
    if matches!(settings.sampling, Asked::Margin(_)) && !settings.classes_known {
        note!("without classes the margin is that of the rate of what is beyond the tolerance");
    }
    let (asked, run) = (settings.samples_per_weight_fault, study.met.len());
    let all = settings.samples[1] - settings.samples[0];
    if study.weights_meet().is_some() && asked != run {
        let why = match run == all {
            true => "there are no more",
            false => "each tier has some that are classified correctly and some that are not",
        };
        note!("each fault of a weight is run on {run} of {all} samples, not {asked}: {why}");
    }
}

fn settings(
    arguments: &CampaignRunArgs,
    subject: &Subject,
    backend: &Backend,
    classes_known: bool,
) -> Result<Settings> {
    let model = FaultModel {
        effect: arguments.faults,
        region: arguments.region,
    };
    let sites = subject.site_names(&arguments.sites, &model)?;
    let has_weights = sites.iter().any(|site| site.starts_with("weight:"));
    let samples = &subject.opened.samples;
    let CampaignRunArgs {
        count,
        per_stratum,
        margin,
        ..
    } = arguments;
    Ok(Settings {
        campaign_version: CAMPAIGN_VERSION.to_owned(),
        verifier: env!("CARGO_PKG_VERSION").to_owned(),
        bundle: subject.opened.bundle.blake3(),
        part: subject.opened.part_name.clone(),
        samples: [samples.start, samples.end],
        sites,
        model,
        tolerance: Tolerance {
            atol: arguments.atol,
            rtol: arguments.rtol,
        },
        sampling: match (count, per_stratum) {
            (Some(faults), _) => Asked::Faults(*faults as u64),
            (_, Some(faults)) => Asked::PerStratum(*faults as u64),
            (None, None) => Asked::Margin(margin.unwrap_or(MARGIN)),
        },
        margin_of: match count.or(*per_stratum) {
            Some(_) => vec![],
            None => BTreeSet::from_iter(arguments.margin_of.iter().copied())
                .into_iter()
                .collect(),
        },
        confidence: arguments.confidence,
        seed: arguments.seed,
        classes_known,
        samples_per_weight_fault: arguments.samples_per_weight_fault,
        batch_faults: match has_weights {
            true => BATCH_FAULTS_OF_WEIGHTS,
            false => BATCH_FAULTS,
        },
        run_samples: subject.run_samples(arguments.batch_size, backend),
        engine: backend.settings(),
    })
}

/// Runs the batches of a shard that no file has.
struct ShardRun<'a> {
    found: &'a Found,
    /// The file of this process, once it has something to write.
    attempt: Option<Attempt>,
    header: Header,
    folder: &'a std::path::Path,
    workers: &'a mut Workers,
    stop: &'a AtomicBool,
    /// Of the rounds so far, with their faults.
    progress: Option<(u64, Progress)>,
}

impl ShardRun<'_> {
    fn step(&mut self, study: &Study, batch: &Batch, tally: &Tally) -> Result<Step> {
        let first = batch.numbers.start;
        if let Some(effects) = self.found.effects(first)? {
            return Ok(Step::Ran(effects));
        }
        if !batch.is_of(self.header.shard) {
            return Ok(Step::Missing);
        }
        if self.stop.load(Ordering::Relaxed) {
            return self.finish();
        }
        self.show(study, batch, tally);
        self.give(study, batch);
        let (first, effects) = self.workers.take_first().expect("the batch was given");
        let Some(effects) = effects else {
            self.check_stopped()?;
            return self.finish();
        };
        let effects = effects?;
        self.keep(first, &effects)?;
        if let Some((_, progress)) = &self.progress {
            progress.advance(batch.numbers.end - first);
        }
        Ok(Step::Ran(effects))
    }

    /// A batch that nobody began is one after the end, or its thread is gone.
    fn check_stopped(&self) -> Result<()> {
        ensure!(
            self.stop.load(Ordering::Relaxed),
            "the thread that ran a batch ended"
        );
        Ok(())
    }

    /// Keeps the batches that were begun.
    fn finish(&mut self) -> Result<Step> {
        while let Some((first, effects)) = self.workers.take_first() {
            if let Some(effects) = effects {
                self.keep(first, &effects?)?;
            }
        }
        Ok(Step::Stop)
    }

    /// Gives the workers this batch and those behind it that are to be run.
    fn give(&mut self, study: &Study, batch: &Batch) {
        for batch in batch.and_following(study) {
            if self.workers.have_enough() {
                break;
            }
            let is_ours = batch.is_of(self.header.shard);
            if is_ours && !self.found.has(batch.numbers.start) {
                self.workers.give(study, batch.numbers);
            }
        }
    }

    fn keep(&mut self, first: u64, effects: &[Effects]) -> Result<()> {
        let attempt = match &mut self.attempt {
            Some(attempt) => attempt,
            none => none.insert(Attempt::create(self.folder, &self.header)?),
        };
        Ok(attempt.append(first, effects)?)
    }

    /// Shows how far the rounds are, and the rate so far.
    fn show(&mut self, study: &Study, batch: &Batch, tally: &Tally) {
        let faults = study.plan.faults();
        if self.progress.as_ref().is_none_or(|(of, _)| *of != faults) {
            self.show_rate(study, tally);
            let progress = Progress::count("faults", faults).starting_at(batch.numbers.start);
            self.progress = Some((faults, progress));
        }
        self.show_rate(study, tally);
    }

    /// Shows the rate of what has been run.
    fn show_rate(&self, study: &Study, tally: &Tally) {
        let question = study.question();
        let rate = study.estimates(tally).rate(&question);
        if let (Some(estimate), Some((_, progress))) = (rate.estimate, &self.progress) {
            progress.set_message(rate_text(question.event, estimate, rate.interval));
        }
    }
}

/// A rate with its interval, in percent.
fn rate_text(event: Event, estimate: f64, Interval { low, high }: Interval) -> String {
    let [estimate, low, high] = [estimate, low, high].map(|rate| 100.0 * rate);
    format!("{}: {estimate:.3} % ({low:.3} to {high:.3})", event.name())
}
