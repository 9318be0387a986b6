use crate::campaign::statistics::population::*;

const TIERS: [Samples; 3] = [
    Samples { all: 10, right: 4 },
    Samples { all: 0, right: 0 },
    Samples { all: 90, right: 90 },
];

fn population() -> Population {
    let meets = vec![
        Samples { all: 2, right: 1 },
        Samples::default(),
        Samples { all: 6, right: 6 },
    ];
    let sites = vec![
        Site::of_samples("edge:softmax", 7),
        Site::weight("weight:w", 5, meets),
    ];
    Population::new(sites, TIERS.to_vec()).expect("a population")
}

#[test]
fn strata_are_site_by_bit_by_tier_and_a_weight_has_no_tier() {
    let population = population();
    assert_eq!(population.strata().len(), 32 * 2 + 32);
    let stratum = |site, bit, tier, faults| Stratum {
        site,
        bit,
        tier,
        faults,
    };
    assert_eq!(population.strata()[1], stratum(0, 0, Some(2), 7 * 90));
    assert_eq!(population.strata()[2], stratum(0, 1, Some(0), 7 * 10));
    assert_eq!(population.strata()[95], stratum(1, 31, None, 5));
    let pairs: u64 = population
        .strata()
        .iter()
        .map(|own| population.pairs(own))
        .sum();
    assert_eq!(pairs, 32 * 100 * (7 + 5));
}

#[test]
fn a_weight_counts_in_each_tier_with_its_samples() {
    let population = population();
    let weight = population.strata()[95];
    let of_tier = |tier| Domain {
        tier,
        ..Domain::default()
    };
    let sizes = [None, Some(0), Some(2)].map(|tier| {
        let domain = of_tier(tier);
        let size = |among| population.size(&weight, &domain, among);
        (size(Among::All), size(Among::Right))
    });
    assert_eq!(sizes, [(500.0, 470.0), (50.0, 20.0), (450.0, 450.0)]);
    let edge = population.strata()[1];
    assert_eq!(population.size(&edge, &of_tier(Some(0)), Among::All), 0.0);
}

#[test]
fn a_population_that_cannot_be_sampled_is_refused() {
    let tiers = || TIERS.to_vec();
    let refused = |sites, tiers| Population::new(sites, tiers).expect_err("refused");
    let site = |name: &str, places| Site::of_samples(name, places);
    assert!(matches!(
        refused(vec![], tiers()),
        PopulationError::Empty(_)
    ));
    assert!(matches!(
        refused(vec![site("a", 1)], vec![Samples::default()]),
        PopulationError::Empty(_)
    ));
    assert_eq!(
        refused(vec![site("a", 0)], tiers()),
        PopulationError::EmptySite("a".to_owned())
    );
    assert_eq!(
        refused(vec![site("a", 1 << 60)], tiers()),
        PopulationError::TooLarge("a".to_owned())
    );
    assert!(matches!(
        refused(vec![Site::weight("w", 1, vec![])], tiers()),
        PopulationError::Tiers { found: 0, .. }
    ));
    let none = vec![Samples { all: 1, right: 0 }; 3];
    assert!(matches!(
        refused(vec![Site::weight("w", 1, none)], tiers()),
        PopulationError::MeetsNone { tier: 0, .. }
    ));
    assert!(matches!(
        refused(vec![site("a", 1)], vec![Samples { all: 1, right: 2 }]),
        PopulationError::Right { tier: 0, .. }
    ));
}
