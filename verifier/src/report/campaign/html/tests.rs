//! A literal report in, the page out.

use ndarray::Array3;
use serde_json::{Value, json};

use super::super::CampaignReport;
use super::{ImagesByPosition, html_page};
use crate::campaign::settings::{Asked, RatesOf};

fn rate(event: &str, among: &str, estimate: f64) -> Value {
    let (low, high) = (estimate / 2.0, (estimate * 2.0 + 0.01).min(1.0));
    json!({
        "event": event, "among": among, "estimate": estimate, "low": low, "high": high,
        "faults": 1_024
    })
}

fn rates(scale: f64) -> Value {
    let events = [
        ("masked", 0.1),
        ("within-tolerance", 0.2),
        ("tolerable-sdc", 0.3),
        ("critical-sdc", 0.012_4),
        ("non-finite", 0.0),
        ("beyond", 0.4),
    ];
    let rates = ["all", "right"].into_iter().flat_map(|among| {
        let of = move |(event, share)| rate(event, among, share * scale);
        events.map(of)
    });
    rates.collect()
}

fn site(name: &str, positions: Value) -> Value {
    let bit = |bit: u16| {
        let scale = f64::from(bit) / 31.0;
        json!({
            "bit": bit,
            "rates": [
                rate("beyond", "all", scale), rate("critical-sdc", "all", scale * scale),
                rate("non-finite", "all", 0.0)
            ]
        })
    };
    json!({
        "site": name, "shape": [2, 17, 17], "places": 578, "rates": rates(1.0),
        "bits": (0..32).map(bit).collect::<Vec<_>>(),
        "patterns": {"single": 3, "row": 9, "column": 0, "block": 1, "scattered": 0},
        "positions": positions
    })
}

fn report() -> CampaignReport {
    let position = |axis: &str, position: usize| {
        json!({
            "axis": axis, "position": position, "faults": 70,
            "rates": [rate("beyond", "all", 0.5), rate("critical-sdc", "all", 0.25)]
        })
    };
    let positions = [
        position("head", 0),
        position("head", 1),
        position("token", 16),
    ];
    let sites = [
        site("edge:soft<max", json!(positions)),
        site("weight:a&b", json!([])),
    ];
    let report = json!({
        "report_version": "1.0",
        "plan": "b3-of-the-plan",
        "settings": {
            "campaign_version": "1.0", "verifier": "1.2.3", "bundle": "b3", "part": "submodel",
            "samples": [0, 8], "sites": ["edge:soft<max", "weight:a&b"],
            "model": {"effect": "bit", "region": "element"}, "atol": 5e-6, "rtol": 1e-5,
            "sampling": {"faults": 2_048}, "margin_of": [], "confidence": 0.95, "seed": 7,
            "classes_known": true,
            "samples_per_weight_fault": 32, "batch_faults": 256, "run_samples": 4,
            "engine": {
                "version": "1.31.1", "sha256": "cc", "device": "cpu", "other_parts_on": "cpu",
                "optimization": "all", "allow_reduced_precision": false
            }
        },
        "bundle": {
            "blake3": "b3", "files": 41, "preset": "nano", "module": "<script>alert(1)</script>",
            "weights_sha256": "aa",
            "golden": {
                "libtorch": "2.13.0", "device": "cpu", "dtype": "float32", "threads": 2,
                "batch_size": 100, "cpu_features": ["avx2"]
            }
        },
        "population": {
            "members": 147_968.0, "samples": 8, "right": 6, "strata": 96,
            "patterns": 1,
            "weight_samples": {"run": 8, "of": 8, "samples": []}
        },
        "rounds": [2_048],
        "faults": 2_048,
        "total": rates(0.5),
        "sites": sites,
        "bits": sites[0]["bits"],
        "tiers": [
            {"tier": 0, "upper_bound": 0.25, "samples": 8, "right": 6, "rates": rates(0.7)}
        ],
        "lead_changes": [{"upper_bound": 0.0, "faults": 12}, {"faults": 3}],
        "examples": [example(1_234, 40), example(1_235, 41)]
    });
    serde_json::from_value(report).expect("a report")
}

fn example(number: u64, sample_index: i64) -> Value {
    json!({
        "number": number, "fault": format!("edge:softmax[3,1,12,{number}]^30"), "sample": 3,
        "class": 8, "lead_change": -0.75, "sample_index": sample_index, "class_before": 5,
        "label": 5
    })
}

fn images() -> ImagesByPosition {
    [(40, Array3::from_elem((32, 32, 3), 9))].into()
}

#[track_caller]
fn expect(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "{text} is not in\n{page}");
    }
}

#[test]
fn a_page_has_rates_with_intervals_maps_and_what_they_are_of() {
    let page = html_page(&report(), &images());
    expect(
        &page,
        &[
            "2,048 faults (bit in one element) at 2 sites",
            "changes the class in 0.620 % (0.310–2.24) of cases, 95 % interval",
            "<th>critical SDC</th><td class=\"plot\">",
            "1.24 %<div class=\"interval\">0.620–3.48</div>",
            "<th>0: up to 0.25</th>",
            "<th class=\"n\">critical SDC of those classified correctly</th>",
            "<th>samples of a weight's fault</th><td>8 of 8</td>",
            "<th>up to 0</th>",
            "<th>above 0</th>",
            "colspan=\"23\">mantissa",
            "title=\"100.0 % (50.0–100.0); 1,024 faults\">100</td>",
            "By head",
            "By token",
            "title=\"no fault was run\"",
            "title=\"row: 69.2 %\">9</td>",
            "of 64 cells of a heat map, some 3 may miss",
            "b3-of-the-plan",
            "how often a fault happens at all is not part of any rate",
        ],
    );
    assert_eq!(
        page.matches("<svg class=\"whiskers\"").count(),
        6 + 2 + 1 + 3
    );
}

#[test]
fn examples_have_their_image_if_there_is_one_and_the_fault_as_a_flag_takes_it() {
    let page = html_page(&report(), &images());
    expect(
        &page,
        &[
            "<h3>Fault 1,234</h3>",
            "<code>edge:softmax[3,1,12,1234]^30</code>",
            "<dt>before</dt><dd>5 dog</dd>",
            "<dt>after</dt><dd>8 ship</dd>",
            "alt=\"image 40 of the split\"",
        ],
    );
    assert_eq!(page.matches("<img").count(), 1, "of two, one is there");
}

#[test]
fn names_are_no_markup_and_nothing_is_fetched() {
    let page = html_page(&report(), &images());
    assert!(!page.contains("<script"), "{page}");
    expect(
        &page,
        &["edge:soft&lt;max", "weight:a&amp;b", "&lt;script&gt;"],
    );
    for address in page.split("src=\"").skip(1) {
        assert!(address.starts_with("data:"), "{address}");
    }
}

#[test]
fn without_classes_nothing_is_said_of_them() {
    let mut report = report();
    report.settings.classes_known = false;
    report.examples.clear();
    let page = html_page(&report, &images());
    let (_, body) = page.split_once("<body>").expect("a body");
    assert!(!body.to_lowercase().contains("critical"), "{body}");
    expect(body, &["takes the output beyond the tolerance in 20.0 %"]);
}

#[test]
fn faults_without_bits_have_no_map_of_bits() {
    let mut report = report();
    report.bits.clear();
    for site in &mut report.sites {
        site.bits.clear();
    }
    let page = html_page(&report, &images());
    assert!(
        !page.contains("By site and bit") && !page.contains("mantissa"),
        "{page}"
    );
}

#[test]
fn rates_of_weights_that_met_some_of_the_samples_say_so_wherever_they_are_shown() {
    let mut report = report();
    let note = "Faults of weights were run on 3 of 8 samples.";
    let shown = |report: &CampaignReport| {
        let texts = [report.to_text(), report.to_markdown()];
        let texts = texts.into_iter().chain([html_page(report, &images())]);
        texts.filter(|text| text.contains("were run on")).count()
    };
    assert_eq!(shown(&report), 0, "all samples were met");
    let samples = report.population.weight_samples.as_mut();
    samples.expect("there are weights").run = 3;
    assert_eq!(shown(&report), 3);
    assert!(report.to_text().contains(note), "{}", report.to_text());
    report.population.weight_samples = None;
    assert_eq!(shown(&report), 0, "no weights");
    assert!(!report.to_markdown().contains("weight's fault"));
}

#[test]
fn a_page_says_how_its_intervals_are_made() {
    let mut report = report();
    report.population.weight_samples = None;
    let page = html_page(&report, &images());
    let uniform = "Intervals are Wilson's for one proportion, corrected for the finite population, \
                   with each limit moved out to the exact one (Clopper and Pearson)";
    expect(&page, &[uniform]);
    report.settings.sampling = Asked::PerStratum(4);
    let page = html_page(&report, &images());
    expect(
        &page,
        &[
            "The interval of a single stratum of samples is",
            "for the effective number",
        ],
    );
}

#[test]
fn the_pilot_is_told_from_the_faults_that_are_counted() {
    let mut report = report();
    report.settings.sampling = Asked::Margin(0.005);
    report.settings.margin_of = vec![RatesOf::Total];
    report.sites.truncate(1);
    assert_eq!(report.extent(), "2,048 faults at one site");
    report.rounds = vec![96, 1_952];
    assert_eq!(
        report.extent(),
        "2,048 faults at one site, 96 of them the pilot"
    );
    let page = html_page(&report, &images());
    expect(
        &page,
        &[
            "96 of them the pilot</dd>",
            "<td>96 (pilot) + 1,952</td>",
            "until the rate of critical SDC is known to ± 0.5 %",
        ],
    );
    report.settings.classes_known = false;
    let text = "until the rate of what is beyond the tolerance (there are no classes) is known";
    assert!(
        report.to_markdown().contains(text),
        "{}",
        report.to_markdown()
    );
}

#[test]
fn a_cell_of_few_faults_has_a_corner() {
    let mut report = report();
    let page = html_page(&report, &images());
    assert!(!page.contains("few\""), "{page}");
    report.sites[0].bits[30].rates[0].faults = 9;
    let page = html_page(&report, &images());
    expect(&page, &["class=\"hot few\"", "9 faults"]);
    assert_eq!(page.matches("few\"").count(), 1, "{page}");
}

#[test]
fn a_rate_without_a_fault_is_null_in_json() {
    let mut report = report();
    report.total[0].estimate = None;
    let value: Value = serde_json::from_str(&report.to_json()).expect("JSON");
    let rate = value["total"][0].as_object().expect("a rate");
    assert_eq!(rate.get("estimate"), Some(&Value::Null));
    let back: CampaignReport = serde_json::from_value(value).expect("a report");
    assert_eq!(back, report);
}
