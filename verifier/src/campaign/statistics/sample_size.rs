//! How many faults drawn uniformly give a margin at a confidence.

use super::confidence::Confidence;

/// Faults to draw from `population` so that a rate near `proportion` has an interval of
/// ± `margin`: n = N / (1 + e²(N − 1) / (t²p(1 − p))), rounded up; Leveugle, Calvez, Maistri and
/// Vanhauwaert 2009 (DATE), equation 1. A proportion of ½ asks for the most.
///
/// The quantile t has three decimals, as in tables: that gives the published figures (9,604 for
/// 95 % and 1 %), and differs from the exact one by less than 0.02 %.
pub fn sample_size(population: u64, margin: f64, confidence: Confidence, proportion: f64) -> u64 {
    let quantile = (confidence.quantile() * 1000.0).round() / 1000.0;
    let spread = quantile * quantile * proportion * (1.0 - proportion);
    let size = population as f64;
    let draws = size / (1.0 + margin * margin * (size - 1.0) / spread);
    // A figure such as 9,604 is not to become 9,605 by rounding.
    ((draws * (1.0 - 1e-9)).ceil() as u64).clamp(1, population.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(population: u64, level: f64, margin: f64, proportion: f64) -> u64 {
        let confidence = Confidence::new(level).expect("a level");
        sample_size(population, margin, confidence, proportion)
    }

    #[test]
    fn the_published_figures_for_an_endless_population() {
        let figures = [
            (0.95, 0.05, 385),
            (0.95, 0.01, 9_604),
            (0.99, 0.05, 664),
            (0.99, 0.01, 16_590),
            (0.95, 0.001, 960_400),
        ];
        for (level, margin, expected) in figures {
            let found = draws(u64::MAX, level, margin, 0.5);
            assert_eq!(found, expected, "{level}, {margin}");
        }
    }

    #[test]
    fn a_small_population_needs_fewer_and_never_more_than_all() {
        assert_eq!(draws(1_000, 0.95, 0.05, 0.5), 278);
        assert_eq!(draws(10, 0.95, 0.001, 0.5), 10);
        assert_eq!(draws(1, 0.95, 0.001, 0.5), 1);
        assert_eq!(draws(u64::MAX, 0.95, 0.01, 0.0), 1);
        assert!(draws(1 << 40, 0.95, 0.01, 0.02) < 9_604 / 10);
    }
}
