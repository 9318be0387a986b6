//! Merges the results that are there, and reports them.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use console::{grouped, say};
use proto::bundle::Bundle;
use proto::staging;
use verifier::campaign::results::Found;
use verifier::campaign::rounds::{Batch, Progress, Step, go_through};
use verifier::campaign::study::Study;
use verifier::campaign::summary::Summary;
use verifier::report::Format;
use verifier::report::campaign::{
    CampaignReport, FaultList, ImagesByPosition, html_page, report_of,
};
use verifier::report::record::BundleRecord;
use verifier::samples::Images;

use super::super::recorded::check_place;
use super::folder::{PlanFile, refuse_own, results};
use super::open::Subject;
use super::status::done;
use crate::cli::{CampaignReportArgs, PartArgs};

/// A campaign with its results.
pub(super) struct Merged {
    pub(super) subject: Subject,
    pub(super) study: Study,
    pub(super) found: Found,
    pub(super) progress: Progress,
    pub(super) summary: Summary,
}

pub(super) fn report(arguments: &CampaignReportArgs) -> Result<u8> {
    check_places(&arguments.reports, &arguments.folder)?;
    let merged = Merged::read(&arguments.folder, arguments.bundle.as_deref())?;
    merged.check_complete(&arguments.folder)?;
    hand_over(&merged, &arguments.reports)?;
    Ok(done())
}

/// Refuses a report that could not be written, or that would take the place of the campaign's own
/// files, before anything is run.
pub(super) fn check_places(reports: &[PathBuf], folder: &Path) -> Result<()> {
    reports.iter().try_for_each(|path| {
        check_place("--report", path)?;
        refuse_own("--report", path, folder)
    })
}

/// Says the rates on stdout, and writes the reports that were asked for.
pub(super) fn hand_over(merged: &Merged, reports: &[PathBuf]) -> Result<()> {
    let report = merged.report();
    say!("campaign     {}", report.extent());
    say!("{}", report.to_text().trim_end());
    for path in reports {
        write(merged, &report, path)
            .with_context(|| format!("{}: cannot be written", path.display()))?;
        say!("report       {}", path.display());
    }
    Ok(())
}

/// Opens the bundle of a plan, by the place where it was or another one.
pub(super) fn open(folder: &Path, bundle: Option<&Path>) -> Result<(PlanFile, Subject, Study)> {
    let plan = PlanFile::read(folder)?;
    let settings = &plan.settings;
    let bundle = bundle.unwrap_or(&plan.bundle_path);
    check_bundle(bundle, &settings.bundle)?;
    let input = PartArgs {
        bundle: bundle.to_owned(),
        expect_bundle: Some(settings.bundle.clone()),
        part: settings.part.clone(),
        range: Some(settings.samples.to_vec()),
        test_data: false,
    };
    let subject = Subject::open(&input)?;
    let study = subject.study(settings.clone())?;
    plan.check_hash(&study, folder)?;
    Ok((plan, subject, study))
}

/// Refuses a bundle that is not the campaign's, or no longer where it was.
fn check_bundle(path: &Path, expected: &str) -> Result<()> {
    let hint = "hint: --bundle DIR names the bundle that the campaign ran";
    ensure!(
        path.exists(),
        "{}: the campaign's bundle is not there\n{hint}",
        path.display()
    );
    let found = Bundle::open(path)?.blake3();
    ensure!(
        found == expected,
        "{}: not the campaign's bundle: its BLAKE3 is {found}, expected {expected}\n{hint}",
        path.display()
    );
    Ok(())
}

impl Merged {
    /// Reads the results of a folder as far as they go.
    pub(super) fn read(folder: &Path, bundle: Option<&Path>) -> Result<Self> {
        let (plan, subject, mut study) = open(folder, bundle)?;
        let found = Found::read(&results(folder), &plan.plan)?;
        let mut summary = Summary::new(&study);
        let progress = go_through(&mut study, &mut |study: &Study, batch: &Batch, _| {
            let Some(effects) = found.effects(batch.numbers.start)? else {
                return Ok::<_, anyhow::Error>(Step::Missing);
            };
            for (number, effects) in batch.numbers.clone().zip(&effects) {
                let planned = study.planned(number).context("a fault of a round")?;
                summary.add(study, &planned, effects);
            }
            Ok(Step::Ran(effects))
        })?;
        Ok(Self {
            subject,
            study,
            found,
            progress,
            summary,
        })
    }

    /// Refuses a report of a part of the faults: rates of it would be other rates.
    fn check_complete(&self, folder: &Path) -> Result<()> {
        if self.progress.is_complete() {
            return Ok(());
        }
        let (run, all) = (self.progress.tally.faults(), self.study.plan.faults());
        let shards = self.found.shards.max(1);
        let missing = self.progress.missing_shards(shards);
        let (run, all) = (grouped(run as usize), grouped(all as usize));
        bail!(
            "{}: {run} of {all} faults are there; of {shards} shards some have batches to run: \
             --array={missing}\n\
             hint: `verifier campaign run` with the same flags runs what is missing",
            folder.display()
        )
    }

    pub(super) fn report(&self) -> CampaignReport {
        let opened = &self.subject.opened;
        report_of(
            &self.study,
            &self.progress.tally,
            &self.summary,
            BundleRecord::new(&opened.bundle),
            &opened.recordings.info,
            self.subject.upper_bounds(),
        )
    }

    /// The images of the examples, as far as the bundle has pixels.
    fn images(&self, report: &CampaignReport) -> Result<ImagesByPosition> {
        let positions = report.examples.iter().map(|example| example.sample_index);
        match Images::of(&self.subject.opened.bundle)? {
            Some(images) => Ok(images.read(positions)?),
            None => Ok(ImagesByPosition::new()),
        }
    }

    /// A line for each fault.
    fn write_list(&self, writer: &mut dyn io::Write) -> Result<()> {
        let mut list = FaultList::new(writer)?;
        for first in self.found.firsts() {
            let effects = self.found.effects(first)?.unwrap_or_default();
            for (number, effects) in (first..).zip(&effects) {
                let planned = self.study.planned(number).context("a fault of a round")?;
                let info = &self.subject.opened.recordings.info;
                list.add(&self.study, &planned, effects, info)?;
            }
        }
        Ok(list.finish()?)
    }
}

fn write(merged: &Merged, report: &CampaignReport, path: &Path) -> Result<()> {
    let images = match Format::of(path) {
        Some(Format::Html) => merged.images(report)?,
        _ => ImagesByPosition::new(),
    };
    staging::write_file(path, |writer| match Format::of(path) {
        Some(Format::Csv) => merged.write_list(writer),
        Some(Format::Html) => Ok(writer.write_all(html_page(report, &images).as_bytes())?),
        Some(Format::Markdown) => Ok(writer.write_all(report.to_markdown().as_bytes())?),
        _ => Ok(writer.write_all(report.to_json().as_bytes())?),
    })
}
