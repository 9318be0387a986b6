//! Runs one fault of a campaign again, with the faults that shared its runs.

use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result, ensure};
use console::say;
use verifier::campaign::effect::{Effect, Effects};
use verifier::campaign::results::Found;
use verifier::campaign::rounds::{Batch, Step, go_through};
use verifier::campaign::statistics::{Among, Event, Seen};
use verifier::campaign::study::Study;
use verifier::report::Verdict;

use super::folder::results;
use super::open::Backend;
use super::report;
use super::status::done;
use crate::cli::CampaignReplayArgs;

pub(super) fn replay(arguments: &CampaignReplayArgs) -> Result<u8> {
    let (plan, subject, mut study) = report::open(&arguments.folder, arguments.bundle.as_deref())?;
    let subject = subject.verified(&AtomicBool::new(false))?;
    let backend = Backend::start(&arguments.target, &subject)?;
    let engine = backend.settings();
    ensure!(
        engine == plan.settings.engine,
        "the campaign ran with {:?}, expected the same, found {engine:?}\n\
         hint: --device, --runtime and --optimization choose the engine",
        plan.settings.engine
    );
    let found = Found::read(&results(&arguments.folder), &plan.plan)?;
    let number = arguments.number;
    let mut wanted: Option<(Batch, Option<Vec<Effects>>)> = None;
    go_through(&mut study, &mut |_: &Study, batch: &Batch, _| {
        let effects = found.effects(batch.numbers.start)?;
        if batch.numbers.contains(&number) {
            wanted = Some((batch.clone(), effects));
            return Ok::<_, anyhow::Error>(Step::Stop);
        }
        Ok(effects.map_or(Step::Missing, Step::Ran))
    })?;
    let (batch, before) = wanted.with_context(|| {
        format!(
            "fault {number}: the rounds so far have faults 0 to {}",
            study.plan.faults()
        )
    })?;
    let runners = subject.runners(&backend, study.settings.classes_known)?;
    let mut runner = runners.make(study.settings.run_samples)?;
    let (effects, logits) = runner.run_and_trace(&study, batch.numbers.clone(), number)?;
    let position = (number - batch.numbers.start) as usize;
    let planned = study.planned(number).context("a fault of a round")?;
    say!("fault        {}", planned.fault);
    if let Some(sample) = planned.sample {
        let info = subject.opened.recordings.info[sample];
        say!("sample       {sample}, image {}", info.sample_index);
    }
    say_effects(&effects[position]);
    if let (Effects::One(_), Some(logits)) = (&effects[position], logits) {
        say!("logits       {}", listed(&logits.fault_free));
        say!("with fault   {}", listed(&logits.corrupted));
    }
    let Some(before) = before else {
        say!("recorded     not yet run by the campaign");
        return Ok(done());
    };
    if before.get(position) == Some(&effects[position]) {
        say!("recorded     the same");
        return Ok(done());
    }
    say!("recorded     OTHERWISE:");
    if let Some(before) = before.get(position) {
        say_effects(before);
    }
    Ok(Verdict::Fail.exit_status())
}

fn say_effects(effects: &Effects) {
    match effects {
        Effects::One(effect) => say_effect(effect),
        Effects::Many(tiers) => {
            let all = tiers
                .iter()
                .fold(Seen::default(), |sum, tier| sum.plus(tier));
            say!("samples      {}", all.samples(Among::All));
            for event in Event::ALL {
                say!("  {:<20} {}", name(event), all.of(event, Among::All));
            }
        }
    }
}

fn say_effect(effect: &Effect) {
    let seen = effect.seen(false);
    let outcome = Event::ALL
        .into_iter()
        .find(|event| seen.of(*event, Among::All) > 0);
    say!("outcome      {}", outcome.map_or("none", name));
    let pattern = effect
        .pattern
        .map_or("none".to_owned(), |pattern| pattern.to_string());
    say!("beyond       {} elements, pattern {pattern}", effect.beyond);
    say!("largest      {:e}", effect.largest);
    if let Some(class) = effect.class {
        say!(
            "class        {class}, lead changed by {:e}",
            effect.lead_change
        );
    }
}

/// Values, in as many digits as tell them apart.
fn listed(values: &[f32]) -> String {
    let values = values.iter().map(f32::to_string);
    values.collect::<Vec<_>>().join(" ")
}

fn name(event: Event) -> &'static str {
    match event {
        Event::Masked => "masked",
        Event::WithinTolerance => "within tolerance",
        Event::TolerableSdc => "tolerable SDC",
        Event::CriticalSdc => "critical SDC",
        Event::NonFinite => "not finite",
        Event::Beyond => "beyond tolerance",
    }
}
