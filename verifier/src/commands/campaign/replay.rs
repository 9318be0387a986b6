//! Runs one fault of a campaign again, with the faults that shared its runs.

use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result, ensure};
use console::say;
use verifier::campaign::effect::{Effect, Effects};
use verifier::campaign::results::Found;
use verifier::campaign::rounds::{Batch, Step, go_through};
use verifier::campaign::settings::EngineSettings;
use verifier::campaign::statistics::{Among, Event, Seen};
use verifier::campaign::study::Study;
use verifier::compare::Class;
use verifier::report::Verdict;
use verifier::report::campaign::short;

use super::folder::results;
use super::open::Backend;
use super::report;
use super::status::done;
use crate::cli::CampaignReplayArgs;

pub(super) fn replay(arguments: &CampaignReplayArgs) -> Result<u8> {
    let (plan, subject, mut study) = report::open(&arguments.folder, arguments.bundle.as_deref())?;
    let subject = subject.verified(&AtomicBool::new(false))?;
    let backend = Backend::start(&arguments.target(&plan.settings.engine), &subject)?;
    let engine = backend.settings();
    check_engine(&plan.settings.engine, &engine)?;
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
            study.plan.faults().saturating_sub(1)
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
    let classes_known = study.settings.classes_known;
    let class_before = logits
        .as_ref()
        .and_then(|logits| Some(Class::of(&logits.fault_free)?.class));
    let say_effects = |effects: &Effects| say_effects(effects, classes_known, class_before);
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

/// Refuses another engine than the campaign's, and says in what it differs.
fn check_engine(expected: &EngineSettings, found: &EngineSettings) -> Result<()> {
    let text = |allowed: bool| if allowed { "allowed" } else { "off" };
    let fields = |engine: &EngineSettings| {
        let precision = text(engine.allow_reduced_precision).to_owned();
        [
            ("ONNX Runtime", engine.version.clone()),
            ("its library's SHA-256", engine.sha256.clone()),
            ("reduced precision", precision),
        ]
    };
    let pairs = fields(expected).into_iter().zip(fields(found));
    let differing = pairs.filter(|(expected, found)| expected != found);
    let differing: Vec<String> = differing
        .map(|((name, expected), (_, found))| format!("{name}: expected {expected}, found {found}"))
        .collect();
    ensure!(
        expected == found,
        "the campaign ran with another engine: {}\n\
         hint: --runtime and --allow-reduced-precision choose the engine",
        differing.join("; ")
    );
    Ok(())
}

/// `class_before`: the class of the one sample without the fault, where it is known.
fn say_effects(effects: &Effects, classes_known: bool, class_before: Option<usize>) {
    match effects {
        Effects::One(effect) => say_effect(effect, classes_known, class_before),
        Effects::Many(tiers) => {
            let all = tiers
                .iter()
                .fold(Seen::default(), |sum, tier| sum.plus(tier));
            say!("samples      {}", all.samples(Among::All));
            for event in Event::ALL
                .into_iter()
                .filter(|event| has(*event, classes_known))
            {
                say!("  {:<20} {}", event.name(), all.of(event, Among::All));
            }
        }
    }
}

/// Whether the event means something; without classes what is finite is beyond the tolerance alone.
fn has(event: Event, classes_known: bool) -> bool {
    classes_known || !matches!(event, Event::TolerableSdc | Event::CriticalSdc)
}

fn say_effect(effect: &Effect, classes_known: bool, class_before: Option<usize>) {
    let seen = effect.seen(false);
    let outcome = Event::ALL
        .into_iter()
        .find(|event| has(*event, classes_known) && seen.of(*event, Among::All) > 0);
    say!("outcome      {}", outcome.map_or("none", Event::name));
    let pattern = effect
        .pattern
        .map_or("none".to_owned(), |pattern| pattern.to_string());
    say!("beyond       {} elements, pattern {pattern}", effect.beyond);
    say!("largest      {}", short(effect.largest));
    if let Some(class) = effect.class {
        let before = class_before.map_or("–".to_owned(), |class| class.to_string());
        say!("class        {before} before, {class} with the fault");
        say!(
            "change       {} of p(class before) − p(best other class)",
            short(effect.lead_change)
        );
    }
}

/// Values, in as many digits as tell them apart.
fn listed(values: &[f32]) -> String {
    let values = values.iter().map(f32::to_string);
    values.collect::<Vec<_>>().join(" ")
}
