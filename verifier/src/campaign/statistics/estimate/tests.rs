//! Rates whose limits are known.

use super::super::outcome::{Outcome, Seen};
use super::super::population::{Samples, Site};
use super::*;

/// One site of a weight whose faults hit all of their samples or none, drawn alike.
#[test]
fn a_rate_near_one_has_the_limits_of_one_near_zero() {
    let meets = vec![Samples { all: 4, right: 2 }];
    let site = Site::weight("weight:w", 1 << 30, meets);
    let population = Population::new(vec![site], vec![Samples { all: 4, right: 2 }]);
    let population = population.expect("a population");
    let confidence = Confidence::new(0.95).expect("a level");
    let rate = |hits: u64, draws: u64, sampling| {
        let mut tally = Tally::new(&population);
        let seen = |outcome| {
            let [right, wrong] = [true, false].map(|right| Seen::one(outcome, right));
            right.plus(&right).plus(&wrong).plus(&wrong)
        };
        tally.add_alike(0, 0, &[seen(Outcome::CriticalSdc)], hits);
        tally.add_alike(0, 0, &[seen(Outcome::Masked)], draws - hits);
        let estimates = Estimates {
            population: &population,
            sampling,
            tally: &tally,
            confidence,
        };
        let rate = estimates.rate(&Question {
            domain: Domain {
                bit: Some(0),
                ..Domain::default()
            },
            event: Event::CriticalSdc,
            among: Among::All,
        });
        let estimate = rate.estimate.expect("a rate");
        assert!((estimate - hits as f64 / draws as f64).abs() < 1e-12);
        rate.interval
    };
    for sampling in [Sampling::Uniform, Sampling::Stratified] {
        for (hits, draws) in [(0, 76), (1, 20), (4, 200), (30, 76)] {
            let few = rate(hits, draws, sampling);
            let many = rate(draws - hits, draws, sampling).mirrored();
            assert!((few.low - many.low).abs() < 1e-12, "{few:?} {many:?}");
            assert!((few.high - many.high).abs() < 1e-12, "{few:?} {many:?}");
        }
        let none = rate(76, 76, sampling);
        assert!(none.low < 0.953 && none.high == 1.0, "{none:?}");
    }
}

/// A fault in a weight counts in a tier as much as the tier's samples are of all.
#[test]
fn a_uniform_campaign_weighs_sites_in_a_tier_by_their_pairs_there() {
    let tiers = vec![
        Samples { all: 10, right: 5 },
        Samples { all: 30, right: 30 },
    ];
    let meets = vec![Samples { all: 2, right: 1 }, Samples { all: 2, right: 2 }];
    let sites = vec![
        Site::of_samples("edge:v", 100),
        Site::weight("weight:w", 100, meets),
    ];
    let population = Population::new(sites, tiers).expect("a population");
    let mut tally = Tally::new(&population);
    // Half of all pairs are of each site: 40 draws each, of the edge 10 and 30 by tier. Of the
    // edge none is a hit; of the weight all are.
    tally.add_alike(0, 0, &[Seen::one(Outcome::Masked, true)], 10);
    tally.add_alike(0, 1, &[Seen::one(Outcome::Masked, true)], 30);
    let weight = 64;
    let two = Seen::one(Outcome::CriticalSdc, true).plus(&Seen::one(Outcome::CriticalSdc, true));
    assert!(population.is_cluster(&population.strata()[weight]));
    tally.add_alike(0, weight, &[two, two], 40);
    let estimates = Estimates {
        population: &population,
        sampling: Sampling::Uniform,
        tally: &tally,
        confidence: Confidence::new(0.95).expect("a level"),
    };
    for tier in [None, Some(0), Some(1)] {
        let rate = estimates.rate(&Question {
            domain: Domain {
                tier,
                ..Domain::default()
            },
            event: Event::CriticalSdc,
            among: Among::All,
        });
        let estimate = rate.estimate.expect("a rate");
        assert!((estimate - 0.5).abs() < 1e-12, "{tier:?}: {estimate}");
    }
}

#[test]
fn where_there_are_no_samples_nothing_is_known() {
    let tiers = vec![Samples { all: 10, right: 0 }, Samples { all: 0, right: 0 }];
    let sites = vec![Site::of_samples("edge:v", 100)];
    let population = Population::new(sites, tiers).expect("a population");
    let mut tally = Tally::new(&population);
    tally.add(0, 0, &[Seen::one(Outcome::Masked, false)]);
    let estimates = Estimates {
        population: &population,
        sampling: Sampling::Uniform,
        tally: &tally,
        confidence: Confidence::new(0.95).expect("a level"),
    };
    let empty = Domain {
        tier: Some(1),
        ..Domain::default()
    };
    for (domain, among) in [(Domain::default(), Among::Right), (empty, Among::All)] {
        let event = Event::CriticalSdc;
        let rate = estimates.rate(&Question {
            domain,
            event,
            among,
        });
        assert_eq!((rate.estimate, rate.interval), (None, Interval::UNKNOWN));
    }
}

#[test]
fn with_equal_weights_a_sum_has_the_limits_of_one_proportion() {
    let confidence = Confidence::new(0.95).expect("a level");
    let draws = 100_000.0;
    for hits in [1u32, 2, 5, 20, 100, 1_000] {
        let rate = f64::from(hits) / draws;
        let variance = rate * (1.0 - rate) / draws;
        let sum = Sum {
            estimate: rate,
            smoothed: rate,
            variance,
            third: variance / draws,
        };
        let found = sum.interval(confidence);
        let expected = one_proportion(hits.into(), draws as u64, 1 << 50, confidence);
        let differs = |a: f64, b: f64| (a - b).abs() * draws > 0.25;
        assert!(
            !differs(found.low, expected.low),
            "{hits}: {found:?}, {expected:?}"
        );
        assert!(
            !differs(found.high, expected.high),
            "{hits}: {found:?}, {expected:?}"
        );
    }
}

#[test]
fn a_rate_that_the_pilot_alone_knows_counts_the_pilots_faults() {
    let tiers = vec![Samples { all: 1, right: 1 }];
    let small = Site {
        bits: 4,
        ..Site::of_samples("edge:small", 1)
    };
    let large = Site {
        bits: 4,
        ..Site::of_samples("edge:large", 50)
    };
    let population = Population::new(vec![small, large], tiers).expect("a population");
    let mut tally = Tally::new(&population);
    for stratum in 0..8 {
        tally.add(0, stratum, &[Seen::one(Outcome::CriticalSdc, true)]);
    }
    tally.add_alike(1, 4, &[Seen::one(Outcome::Masked, true)], 3);
    for stratum in 5..8 {
        tally.add(1, stratum, &[Seen::one(Outcome::Masked, true)]);
    }
    let estimates = Estimates {
        population: &population,
        sampling: Sampling::Adaptive,
        tally: &tally,
        confidence: Confidence::new(0.95).expect("a level"),
    };
    let faults_of = |site| {
        let domain = Domain {
            site,
            ..Domain::default()
        };
        let rate = estimates.rate(&Question {
            domain,
            event: Event::CriticalSdc,
            among: Among::All,
        });
        assert!(rate.estimate.is_some(), "{rate:?}");
        rate.faults
    };
    // The small site's four faults were all in the pilot; the large one has six after it.
    assert_eq!([Some(0), Some(1), None].map(faults_of), [4, 6, 10]);
}

#[test]
fn a_proportion_has_the_exact_limits() {
    let confidence = Confidence::new(0.95).expect("a level");
    let found = one_proportion(34, 1_042, 34_611_200, confidence);
    assert_eq!(
        format!("{:.3} {:.3}", 100.0 * found.low, 100.0 * found.high),
        "2.270 4.530"
    );
}
