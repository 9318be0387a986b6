//! How likely a number of hits is among faults drawn without replacement.

/// Terms smaller than this, against the largest, no longer change a sum.
const NEGLIGIBLE: f64 = 1e-18;

/// Faults drawn without replacement from a population in which some are hits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hypergeometric {
    pub(super) population: u64,
    /// Hits in the population.
    pub(super) hits: u64,
    pub(super) draws: u64,
}

impl Hypergeometric {
    /// The probability of `found` hits or more. Sums the terms from the most likely number of hits
    /// to both sides by their ratios, and divides by the sum of all: no factorials are needed.
    pub(super) fn at_least(&self, found: u64) -> f64 {
        let least = self.draws.saturating_sub(self.population - self.hits);
        let most = self.draws.min(self.hits);
        if found <= least {
            return 1.0;
        }
        if found > most {
            return 0.0;
        }
        let mode = self.mode().clamp(least, most);
        let (mut above, mut below) = (0.0, 0.0);
        let mut count = |hits: u64, term: f64| {
            let side = if hits >= found {
                &mut above
            } else {
                &mut below
            };
            *side += term;
        };
        let (mut term, mut hits) = (1.0, mode);
        while term > NEGLIGIBLE {
            count(hits, term);
            if hits == most {
                break;
            }
            term *= self.ratio(hits);
            hits += 1;
        }
        (term, hits) = (1.0, mode);
        while hits > least {
            hits -= 1;
            term /= self.ratio(hits);
            if term <= NEGLIGIBLE {
                break;
            }
            count(hits, term);
        }
        above / (above + below)
    }

    fn mode(&self) -> u64 {
        let above = (u128::from(self.draws) + 1) * (u128::from(self.hits) + 1);
        (above / (u128::from(self.population) + 2)) as u64
    }

    /// The probability of one hit more, against that of `hits`.
    fn ratio(&self, hits: u64) -> f64 {
        let misses = self.population - self.hits;
        let up = (self.hits - hits) as f64 * (self.draws - hits) as f64;
        let down = (hits + 1) as f64 * (misses + hits + 1 - self.draws) as f64;
        up / down
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_least(population: u64, hits: u64, draws: u64, found: u64) -> f64 {
        let of = Hypergeometric {
            population,
            hits,
            draws,
        };
        of.at_least(found)
    }

    fn assert_close(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-9, "{found}, {expected}");
    }

    #[test]
    fn small_cases_are_those_counted_by_hand() {
        // Of C(10, 4) = 210 draws, C(3, 1)·C(7, 3) = 105 have one of three hits, 63 two, 7 three.
        assert_close(at_least(10, 3, 4, 1), 175.0 / 210.0);
        assert_close(at_least(10, 3, 4, 2), 70.0 / 210.0);
        assert_close(at_least(10, 3, 4, 3), 7.0 / 210.0);
        assert_eq!(at_least(10, 3, 4, 0), 1.0);
        assert_eq!(at_least(10, 3, 4, 4), 0.0);
        // Nine of ten drawn, three hits: two or three.
        assert_eq!(at_least(10, 3, 9, 2), 1.0);
        assert_close(at_least(10, 3, 9, 3), 0.7);
    }

    #[test]
    fn a_huge_population_is_binomial() {
        // 1 − 0.99^100 and 1 − 0.99^100 − 100·0.01·0.99^99.
        let population = 1 << 60;
        let hits = (population as f64 * 0.01) as u64;
        let none = 0.99f64.powi(100);
        assert_close(at_least(population, hits, 100, 1), 1.0 - none);
        let one = 0.99f64.powi(99);
        assert_close(at_least(population, hits, 100, 2), 1.0 - none - one);
    }
}
