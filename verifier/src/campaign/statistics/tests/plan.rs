use std::collections::{BTreeMap, BTreeSet};

use crate::campaign::statistics::plan::*;
use crate::campaign::statistics::population::{Population, Samples, Site};
use rand_chacha::rand_core::Rng as _;

fn population() -> Population {
    let tiers = vec![Samples { all: 2, right: 1 }, Samples { all: 5, right: 5 }];
    let edge = Site {
        bits: 2,
        patterns: 4,
        ..Site::of_samples("edge:v", 3)
    };
    let weight = Site {
        bits: 2,
        ..Site::weight("weight:w", 3, tiers.clone())
    };
    Population::new(vec![edge, weight], tiers).expect("a population")
}

fn plan(sampling: Sampling, seed: u64) -> Plan {
    Plan::new(population(), sampling, seed, "flip of one bit")
}

fn draws(plan: &Plan) -> Vec<Draw> {
    let fault = |number| plan.fault(number).expect("a fault");
    (0..plan.faults()).map(fault).collect()
}

#[test]
fn a_stratified_plan_draws_as_asked_and_no_fault_twice() {
    let mut plan = plan(Sampling::Stratified, 7);
    // Strata of 24, 60, 24, 60 faults of samples, and 3, 3 of the weight.
    assert_eq!(
        plan.push(&Round::Stratified(vec![4, 10, 0, 1, 3, 1])),
        Ok(0..19)
    );
    assert_eq!(
        plan.push(&Round::Stratified(vec![20, 50, 24, 59, 0, 2])),
        Ok(19..174)
    );
    let draws = draws(&plan);
    let mut by_stratum: BTreeMap<usize, BTreeSet<_>> = BTreeMap::new();
    for draw in &draws {
        let fault = (draw.place, draw.pattern, draw.sample);
        assert!(
            by_stratum.entry(draw.stratum).or_default().insert(fault),
            "{draw:?} again"
        );
        assert_eq!(draw.round, usize::from(draw.number >= 19));
    }
    let drawn: Vec<usize> = by_stratum.values().map(BTreeSet::len).collect();
    assert_eq!(drawn, [24, 60, 24, 60, 3, 3]);
    assert!(
        draws
            .iter()
            .all(|draw| draw.sample.is_none() == (draw.stratum >= 4))
    );
    assert!(draws[..18].is_sorted_by_key(|draw| draw.stratum));
    assert_eq!(plan.fault(174), None);
}

#[test]
fn a_fault_depends_on_plan_and_number_alone() {
    let mut whole = plan(Sampling::Stratified, 7);
    whole.push(&Round::Stratified(vec![3; 6])).expect("a round");
    let again = {
        let mut plan = plan(Sampling::Stratified, 7);
        plan.push(&Round::Stratified(vec![3; 6])).expect("a round");
        plan.push(&Round::Stratified(vec![1, 1, 1, 1, 0, 0]))
            .expect("a round");
        plan
    };
    let backwards: Vec<Draw> = (0..18).rev().filter_map(|at| again.fault(at)).collect();
    assert!(draws(&whole).iter().eq(backwards.iter().rev()));
    let value = |plan: &Plan, number| plan.generator(number).next_u64();
    assert_eq!(value(&whole, 5), value(&again, 5));
    assert_ne!(value(&whole, 5), value(&whole, 6));
}

#[test]
fn another_seed_or_model_is_another_plan() {
    let plans = [
        plan(Sampling::Uniform, 7),
        plan(Sampling::Uniform, 8),
        plan(Sampling::Stratified, 7),
        Plan::new(population(), Sampling::Uniform, 7, "stuck at one"),
    ];
    let hashes: BTreeSet<String> = plans.iter().map(Plan::hash).collect();
    assert_eq!(hashes.len(), plans.len());
    assert_eq!(plans[0].hash(), plan(Sampling::Uniform, 7).hash());
}

#[test]
fn a_uniform_plan_draws_every_member_of_the_population_once() {
    let mut plan = plan(Sampling::Uniform, 3);
    assert_eq!(plan.push(&Round::Uniform(100)), Ok(0..100));
    assert_eq!(plan.push(&Round::Uniform(110)), Ok(100..210));
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for draw in draws(&plan) {
        let fault = (draw.stratum, draw.place, draw.pattern, draw.sample);
        *counts.entry(fault).or_default() += 1;
    }
    assert_eq!(counts.len(), 168 + 6);
    let expected = |stratum| if stratum < 4 { 1 } else { 7 };
    assert!(
        counts
            .iter()
            .all(|(fault, &count)| count == expected(fault.0))
    );
}

#[test]
fn uniform_draws_fall_into_strata_by_their_size() {
    let mut counts = [0u32; 6];
    for seed in 0..2_000 {
        let mut plan = plan(Sampling::Uniform, seed);
        plan.push(&Round::Uniform(2)).expect("a round");
        draws(&plan)
            .iter()
            .for_each(|draw| counts[draw.stratum] += 1);
    }
    // χ² of 5 degrees of freedom is above 20.5 once in a thousand times.
    let pairs = [24.0, 60.0, 24.0, 60.0, 21.0, 21.0];
    let expected = pairs.map(|pairs| 4_000.0 * pairs / 210.0);
    let terms = counts.iter().zip(expected);
    let chi_squared: f64 = terms
        .map(|(&count, expected)| (f64::from(count) - expected).powi(2) / expected)
        .sum();
    assert!(chi_squared < 20.5, "{chi_squared}: {counts:?}");
}

#[test]
fn a_round_that_the_population_does_not_have_is_refused() {
    let mut uniform = plan(Sampling::Uniform, 1);
    let (left, asked) = (210, 211);
    assert_eq!(
        uniform.push(&Round::Uniform(asked)),
        Err(RoundError::AllDrawn { left, asked })
    );
    let refused = RoundError::AllDrawn {
        left: 8_192,
        asked: 99_999_999,
    };
    assert_eq!(
        refused.to_string(),
        "the population has 8,192 pairs of sample and fault left to draw, 99,999,999 faults are \
         asked for"
    );
    let mut stratified = plan(Sampling::Stratified, 1);
    assert_eq!(
        stratified.push(&Round::Uniform(1)),
        Err(RoundError::Sampling(Sampling::Stratified))
    );
    let (expected, found) = (6, 1);
    assert_eq!(
        stratified.push(&Round::Stratified(vec![1])),
        Err(RoundError::Strata { expected, found })
    );
    stratified
        .push(&Round::Stratified(vec![0, 0, 0, 0, 0, 2]))
        .expect("a round");
    let (stratum, left, asked) = (5, 1, 2);
    assert_eq!(
        stratified.push(&Round::Stratified(vec![0, 0, 0, 0, 0, 2])),
        Err(RoundError::Exhausted {
            stratum,
            left,
            asked
        })
    );
    assert_eq!(stratified.faults(), 2);
}
