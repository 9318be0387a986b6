//! What a campaign came to in a sentence, and in a few large numbers.

use console::grouped;
use maud::{Markup, html};

use super::super::setting::{main_event, percent_of, sites};
use super::super::{CampaignReport, RateRecord};
use super::percent::{interval, line, percent};
use crate::campaign::statistics::{Among, Event};

/// What was done to what, and the rate that matters most.
pub(super) fn sentence(report: &CampaignReport) -> String {
    let settings = &report.settings;
    let what = match settings.classes_known {
        true => "changes the class",
        false => "takes the output beyond the tolerance",
    };
    let rate = report.total(main_event(settings), Among::All);
    format!(
        "{} faults ({} in one {}) at {} of the {} of {} ({}), in {} samples. Such a fault {what} \
         in {} of cases, {} interval.",
        grouped(report.faults as usize),
        settings.model.effect,
        settings.model.region,
        sites(report),
        settings.part,
        report.bundle.preset,
        report.bundle.module,
        grouped(report.population.samples as usize),
        rate.map_or("an unknown share".to_owned(), line),
        percent_of(settings.confidence),
    )
}

/// The numbers at the top.
pub(super) fn figures(report: &CampaignReport) -> Markup {
    let of = |event| report.total(event, Among::All);
    html! {
        dl.figures {
            (figure("faults", &grouped(report.faults as usize), pilot(report).as_deref()))
            (figure("population", &format!("{:.2e}", report.population.members), None))
            (rate("beyond tolerance", of(Event::Beyond)))
            @if report.settings.classes_known {
                (rate("tolerable SDC", of(Event::TolerableSdc)))
                (rate("critical SDC", of(Event::CriticalSdc)))
            }
            (rate("not finite", of(Event::NonFinite)))
        }
    }
}

fn pilot(report: &CampaignReport) -> Option<String> {
    let pilot = report.pilot()?;
    Some(format!("{} of them the pilot", grouped(pilot as usize)))
}

fn rate(name: &str, rate: Option<&RateRecord>) -> Markup {
    let known = rate.and_then(|rate| Some((percent(rate.estimate?), interval(rate))));
    match known {
        Some((estimate, interval)) => figure(name, &estimate, Some(&interval)),
        None => figure(name, "–", None),
    }
}

fn figure(name: &str, value: &str, below: Option<&str>) -> Markup {
    html! {
        div {
            dt { (name) }
            dd { (value) }
            @if let Some(below) = below { dd.interval { (below) } }
        }
    }
}
