//! Do intervals contain the rates that they are of? Many campaigns each, on populations whose
//! rates are known.

use super::simulation::{Covered, TOTAL, Truth};
use crate::campaign::statistics::*;

const CAMPAIGNS: u64 = 2_000;

/// What 95 % intervals are to reach, for the total, for sums and for every stratum.
const LEAST: f64 = 0.94;

fn question(site: Option<usize>, bit: Option<u16>, tier: Option<usize>) -> Question {
    let domain = Domain { site, bit, tier };
    Question { domain, ..TOTAL }
}

/// The total, sums over strata, and single strata from all over the population.
fn questions(truth: &Truth) -> Vec<Question> {
    let sums = [
        TOTAL,
        question(Some(0), None, None),
        question(Some(15), None, None),
        question(None, Some(7), None),
        question(None, None, Some(0)),
        question(None, None, Some(3)),
        question(Some(15), Some(7), None),
    ];
    let strata = truth.population.strata().iter().step_by(53);
    let single = strata.map(|own| question(Some(own.site), Some(own.bit), own.tier));
    sums.into_iter().chain(single).collect()
}

fn assert_covered(truth: &Truth, questions: &[Question], covered: &Covered) {
    let campaigns = covered.campaigns as f64;
    for (at, question) in questions.iter().enumerate() {
        let share = covered.covered[at] as f64 / campaigns;
        let rate = truth.rate(&question.domain);
        assert!(
            share >= LEAST,
            "{:?}: {share} of intervals contain {rate}",
            question.domain
        );
    }
}

/// How wide the intervals are on average, against ±z standard deviations of the estimates: what an
/// interval would be that knew the variance.
fn width(covered: &Covered, at: usize) -> f64 {
    let campaigns = covered.campaigns as f64;
    let deviation = (covered.squares[at] / campaigns).sqrt();
    covered.half_widths[at] / campaigns / (1.96 * deviation)
}

/// How far the mean of the estimates is off, against their standard deviation.
fn bias(covered: &Covered, at: usize) -> f64 {
    let campaigns = covered.campaigns as f64;
    covered.errors[at] / campaigns / (covered.squares[at] / campaigns).sqrt()
}

#[test]
fn uniform_campaigns_cover_total_sums_and_strata() {
    let truth = Truth::unequal();
    let questions = questions(&truth);
    let run = |seed| truth.uniform(20_000, seed);
    let covered = truth.covered(Sampling::Uniform, &questions, CAMPAIGNS, run);
    assert_covered(&truth, &questions, &covered);
    assert!(width(&covered, 0) < 1.05, "{}", width(&covered, 0));
}

#[test]
fn adaptive_campaigns_cover_total_sums_and_strata() {
    let truth = Truth::unequal();
    let questions = questions(&truth);
    let targets = [Target {
        question: TOTAL,
        margin: 0.003,
    }];
    let run = |seed| truth.adaptive(&targets, seed);
    let covered = truth.covered(Sampling::Adaptive, &questions, CAMPAIGNS, run);
    assert_covered(&truth, &questions, &covered);
    assert!(width(&covered, 0) < 1.08, "{}", width(&covered, 0));
    assert!(covered.half_widths[0] <= 0.003 * CAMPAIGNS as f64);
    assert!(bias(&covered, 0).abs() < 0.1, "{}", bias(&covered, 0));
}

#[test]
fn where_rates_differ_strongly_adaptive_campaigns_need_a_third_of_the_faults() {
    let truth = Truth::network();
    let margin = 0.001;
    let targets = [Target {
        question: TOTAL,
        margin,
    }];
    let run = |seed| truth.adaptive(&targets, seed);
    let campaigns = 500;
    let covered = truth.covered(Sampling::Adaptive, &[TOTAL], campaigns, run);
    assert_covered(&truth, &[TOTAL], &covered);
    assert!(covered.half_widths[0] <= margin * campaigns as f64);
    let confidence = Confidence::new(0.95).expect("a level");
    let uniform = sample_size(u64::MAX, margin, confidence, truth.rate(&TOTAL.domain));
    let adaptive = covered.faults / campaigns;
    assert!(adaptive * 3 <= uniform, "{adaptive} against {uniform}");
}

#[test]
fn every_target_is_reached_or_drawn_to_its_end() {
    let truth = Truth::unequal();
    let strata = truth.population.strata();
    let single = |at: usize| question(Some(strata[at].site), Some(strata[at].bit), strata[at].tier);
    let target = |question, margin| Target { question, margin };
    let targets = [
        target(TOTAL, 0.01),
        target(question(Some(3), None, None), 0.05),
        target(question(None, Some(2), Some(1)), 0.02),
        // 200 faults, of which the margin needs nearly all; and one with more than enough.
        target(single(0), 0.005),
        target(single(700), 0.03),
    ];
    for seed in 0..20 {
        let tally = truth.adaptive(&targets, seed);
        let estimates = truth.estimates(Sampling::Adaptive, &tally);
        for target in &targets {
            let rate = estimates.rate(&target.question);
            let half_width = rate.interval.half_width();
            assert!(half_width <= target.margin, "{seed}, {target:?}: {rate:?}");
        }
    }
}
