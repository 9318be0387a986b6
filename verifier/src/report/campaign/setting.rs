//! What a report says of its plan: how faults were drawn, what ran them, and what rates hold for.

use console::grouped;

use super::super::table::range_text;
use super::{CampaignReport, WeightSamples};
use crate::campaign::settings::{Asked, Settings};
use crate::campaign::statistics::Event;

/// What faults of this kind do not say; below every set of rates.
pub(super) const LIMITS: &str = "\
A fault here is a change of values between two operations of the network, as if they had been read
wrongly once. Faults in control, addresses, caches and registers that hold several values are not
among them, nor are crashes and hangs; how often a fault happens at all is not part of any rate.
Rates hold for these samples, this network and this model of faults.";

/// What was asked for, name and value.
pub(super) fn setting(report: &CampaignReport) -> Vec<(&'static str, String)> {
    let settings = &report.settings;
    let population = &report.population;
    let classes = match settings.classes_known {
        true => "by the rest of the model",
        false => "not computed: rates of SDC only",
    };
    let right = grouped(population.right as usize);
    let model = format!("{}, {}", report.bundle.preset, report.bundle.module);
    let samples = range_text(settings.samples);
    let mut rows = vec![
        ("model", model),
        ("part", settings.part.clone()),
        (
            "samples",
            format!("{samples}, {right} of them classified correctly"),
        ),
        (
            "faults",
            format!("{} in one {}", settings.model.effect, settings.model.region),
        ),
        (
            "population",
            format!("{:.4e} in {} strata", population.members, population.strata),
        ),
        ("sampling", sampling(settings)),
        ("faults run", rounds(report)),
    ];
    if let Some(WeightSamples { run, of, .. }) = &population.weight_samples {
        rows.push(("samples of a weight's fault", format!("{run} of {of}")));
    }
    let [atol, rtol] = [settings.tolerance.atol, settings.tolerance.rtol].map(short);
    rows.extend([
        ("tolerance", format!("atol {atol}, rtol {rtol}")),
        ("classes", classes.to_owned()),
        ("confidence of intervals", percent_of(settings.confidence)),
        ("seed", settings.seed.to_string()),
    ]);
    rows
}

/// What ran, and by which hashes it is known.
pub(super) fn identity(report: &CampaignReport) -> Vec<(&'static str, String)> {
    let settings = &report.settings;
    let engine = &settings.engine;
    let name = format!("ONNX Runtime {} on {}", engine.version, engine.device);
    vec![
        ("engine", name),
        ("runtime SHA-256", engine.sha256.clone()),
        ("verifier", settings.verifier.clone()),
        ("bundle BLAKE3", settings.bundle.clone()),
        ("plan BLAKE3", report.plan.clone()),
    ]
}

/// How many sites.
pub(super) fn sites(report: &CampaignReport) -> String {
    match report.sites.len() {
        1 => "one site".to_owned(),
        many => format!("{many} sites"),
    }
}

/// Faults of each round.
fn rounds(report: &CampaignReport) -> String {
    let faults = report.rounds.iter().map(|&faults| grouped(faults as usize));
    let mut faults: Vec<String> = faults.collect();
    if report.pilot().is_some() {
        faults[0].push_str(" (pilot)");
    }
    faults.join(" + ")
}

fn sampling(settings: &Settings) -> String {
    match settings.sampling {
        Asked::Faults(_) => "uniform from the population".to_owned(),
        Asked::PerStratum(faults) => format!("{faults} of each stratum"),
        Asked::Margin(margin) => {
            let of: Vec<String> = settings.margin_of.iter().map(ToString::to_string).collect();
            let rate = match settings.classes_known {
                true => "the rate of critical SDC",
                false => "the rate of what is beyond the tolerance (there are no classes)",
            };
            format!(
                "in rounds, until {rate} is known to ± {}, half of its interval's width: {}",
                percent_of(margin),
                of.join(", ")
            )
        }
    }
}

/// The rate that matters most: of critical SDC, without classes of all beyond the tolerance.
pub(super) fn main_event(settings: &Settings) -> Event {
    match settings.classes_known {
        true => Event::CriticalSdc,
        false => Event::Beyond,
    }
}

impl CampaignReport {
    /// Faults of the pilot, where rates are made of later rounds.
    pub fn pilot(&self) -> Option<u64> {
        let is_adaptive = matches!(self.settings.sampling, Asked::Margin(_));
        (is_adaptive && self.rounds.len() > 1).then(|| self.rounds[0])
    }

    /// How many faults at how many sites.
    pub fn extent(&self) -> String {
        let faults = grouped(self.faults as usize);
        let sites = sites(self);
        match self.pilot() {
            None => format!("{faults} faults at {sites}"),
            Some(pilot) => {
                let pilot = grouped(pilot as usize);
                format!("{faults} faults at {sites}, {pilot} of them the pilot")
            }
        }
    }

    /// Says that rates with faults of weights in them hold for some of the samples alone, where
    /// they do.
    pub fn note_on_weights(&self) -> Option<String> {
        let samples = self.population.weight_samples.as_ref();
        let WeightSamples { run, of, .. } = samples.filter(|own| (own.run as u64) < own.of)?;
        Some(format!(
            "Faults of weights were run on {run} of {of} samples. Their rates, and those of all \
             sites, bits and tiers that they are part of, hold for these samples, and so do the \
             intervals; --samples-per-weight-fault takes more."
        ))
    }
}

/// Whether the rate of the event means something.
pub(super) fn is_known(settings: &Settings, event: Event) -> bool {
    settings.classes_known || !matches!(event, Event::TolerableSdc | Event::CriticalSdc)
}

/// A share as it was asked for, in percent: a product with 100 is not always as short.
pub(super) fn percent_of(share: f64) -> String {
    format!("{} %", (share * 1e14).round() / 1e12)
}

/// A number as short as tells it apart: 0, 1e-5, inf, nan.
pub fn short(number: f32) -> String {
    match number {
        0.0 => "0".to_owned(),
        number if number.is_nan() => "nan".to_owned(),
        number => format!("{number:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_as_short_in_percent_as_they_were_asked_for() {
        for (share, text) in [(0.58, "58 %"), (0.001, "0.1 %"), (0.999_999, "99.9999 %")] {
            assert_eq!(percent_of(share), text);
        }
    }

    #[test]
    fn numbers_are_short_and_those_that_are_none_have_a_name() {
        let numbers = [0.0, 1e-5, 2.5, f32::INFINITY, f32::NAN].map(short);
        assert_eq!(numbers, ["0", "1e-5", "2.5e0", "inf", "nan"]);
    }
}
