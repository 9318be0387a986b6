//! Rates at heads whose limits are known.

use serde_json::json;

use super::*;
use crate::inject::{Layout, Site, SiteKind};
use crate::samples::SampleInfo;

/// So many faults of a softmax of two heads, of all that there are in one sample.
fn study(faults: u64) -> Study {
    let settings = json!({
        "campaign_version": "1.0", "verifier": "1.2.3", "bundle": "b3", "part": "submodel",
        "samples": [0, 1], "sites": ["edge:softmax"],
        "model": {"effect": "bit", "region": "element"}, "atol": 5e-6, "rtol": 1e-5,
        "sampling": {"faults": faults}, "margin_of": [], "confidence": 0.95, "seed": 7,
        "classes_known": true,
        "samples_per_weight_fault": 8, "batch_faults": 256, "run_samples": 4,
        "engine": {
            "version": "1.31.1", "sha256": "cc", "device": "cpu", "other_parts_on": "cpu",
            "optimization": "all", "allow_reduced_precision": false
        }
    });
    let site = Site {
        kind: SiteKind::Edge,
        name: "softmax".to_owned(),
        shape: vec![2, 5, 5],
    };
    let layout = Layout {
        tokens: 5,
        heads: 2,
        dim_head: 4,
    };
    let info = SampleInfo {
        sample_index: 3,
        label: None,
        prediction: None,
        confidence: None,
        tier: None,
    };
    let settings = serde_json::from_value(settings).expect("settings");
    Study::new(settings, vec![site], layout, &[info], (1, &[0])).expect("a study")
}

/// What all faults of the study did at each head, where every fifth one is critical.
fn heads(study: &mut Study) -> BTreeMap<usize, AtPosition> {
    let none = crate::campaign::statistics::Tally::new(study.plan.population());
    study.push_round(&none).expect("a round");
    let mut summary = Summary::new(study);
    for number in 0..study.plan.faults() {
        let planned = study.planned(number).expect("a fault");
        let outcome = match number % 5 {
            0 => Outcome::CriticalSdc,
            _ => Outcome::Masked,
        };
        let effect = Effect {
            outcome,
            beyond: u32::from(outcome == Outcome::CriticalSdc),
            pattern: None,
            largest: 0.0,
            class: None,
            lead_change: 0.0,
        };
        summary.add(study, &planned, &Effects::One(effect));
    }
    let confidence = Confidence::new(0.95).expect("a level");
    summary.positions(study, 0, Axis::Head, confidence)
}

#[test]
fn a_head_of_a_uniform_campaign_has_the_limits_of_one_proportion_of_its_members() {
    let mut study = study(400);
    let heads = heads(&mut study);
    assert_eq!(heads.len(), 2);
    let confidence = Confidence::new(0.95).expect("a level");
    for (head, found) in heads {
        let critical = (found.critical.estimate * found.faults as f64).round() as u64;
        // 5 × 5 elements of 32 bits.
        let expected = one_proportion(critical, found.faults, 800, confidence);
        assert_eq!(found.critical.interval, expected, "head {head}");
        let wilson = wilson(found.critical.estimate, found.faults as f64, confidence);
        assert!(expected.half_width() < wilson.half_width(), "{expected:?}");
    }
}

#[test]
fn a_head_all_of_whose_faults_were_run_is_known() {
    for (head, found) in heads(&mut study(1_600)) {
        assert_eq!(found.faults, 800, "head {head}");
        let Rate { estimate, interval } = found.critical;
        assert_eq!((interval.low, interval.high), (estimate, estimate));
    }
}
