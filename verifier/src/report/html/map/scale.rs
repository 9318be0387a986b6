//! Errors by their size, in few levels that are equally far apart on a logarithmic scale.

/// Most levels of a scale; the style sheet has as many shades.
pub(super) const LEVELS: usize = 6;

/// One error in so many is taken for an exception, and does not set the lower end.
const FEW: usize = 20;

/// Levels of errors. The lowest one holds all smaller errors too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scale {
    /// The upper end of each level, as an exponent of ten; none where no error is finite.
    pub(super) upper_ends: Vec<i32>,
    /// Whether there are errors that are not finite.
    pub(super) has_infinite: bool,
}

impl Scale {
    /// That fits these errors; those of 0 are none.
    pub(super) fn of(errors: impl Iterator<Item = f64>) -> Self {
        let (finite, infinite): (Vec<f64>, Vec<f64>) = errors
            .filter(|&error| error > 0.0)
            .partition(|error| error.is_finite());
        let mut decades: Vec<i32> = finite.into_iter().map(decade).collect();
        decades.sort_unstable();
        let upper_ends = match (decades.get(decades.len() / FEW), decades.last()) {
            (Some(&lowest), Some(&highest)) => upper_ends(lowest, highest + 1),
            _ => vec![],
        };
        Self {
            upper_ends,
            has_infinite: !infinite.is_empty(),
        }
    }

    /// The level of a finite error above 0, from 0.
    pub(super) fn level(&self, error: f64) -> usize {
        let decade = decade(error);
        let level = self.upper_ends.partition_point(|&end| end <= decade);
        level.min(self.upper_ends.len().saturating_sub(1))
    }

    /// The shade of a level: those of a scale with few levels are spread over all shades.
    pub(super) fn shade(&self, level: usize) -> usize {
        match self.upper_ends.len() {
            0 | 1 => LEVELS - 1,
            levels => (level * (LEVELS - 1) + (levels - 1) / 2) / (levels - 1),
        }
    }
}

fn upper_ends(lowest: i32, end: i32) -> Vec<i32> {
    let step = (end - lowest).max(1).unsigned_abs() as usize;
    let step = step.div_ceil(LEVELS);
    let mut ends: Vec<i32> = (lowest..end).step_by(step).skip(1).collect();
    ends.push(end);
    ends
}

/// The exponent of the power of ten that is not above it.
fn decade(error: f64) -> i32 {
    error.log10().floor() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_whole_powers_of_ten_from_the_smallest_to_the_largest() {
        let scale = Scale::of([0.0, 3e-8, 2e-7, 5e-5, f64::INFINITY].into_iter());
        assert_eq!(scale.upper_ends, [-7, -6, -5, -4]);
        assert!(scale.has_infinite);
        let levels = [1e-12, 3e-8, 1e-7, 2e-6, 1e-5, 9e-5, 1.0].map(|error| scale.level(error));
        assert_eq!(levels, [0, 0, 1, 2, 3, 3, 3]);
        assert_eq!([0, 1, 2, 3].map(|level| scale.shade(level)), [0, 2, 3, 5]);
    }

    #[test]
    fn a_wide_range_has_wide_levels_and_a_narrow_one_few() {
        let wide = Scale::of([1e-8, 1e38].into_iter());
        assert_eq!(wide.upper_ends, [0, 8, 16, 24, 32, 39]);
        let one = Scale::of([2.0].into_iter());
        assert_eq!(
            (one.upper_ends.as_slice(), one.shade(0)),
            ([1].as_slice(), 5)
        );
        let none = Scale::of([0.0, f64::INFINITY].into_iter());
        assert!(none.upper_ends.is_empty() && none.has_infinite);
    }

    #[test]
    fn few_tiny_errors_do_not_widen_the_scale() {
        let errors = [vec![1e-30; 4], vec![2e-7; 96]].concat();
        let scale = Scale::of(errors.into_iter());
        assert_eq!(
            (scale.upper_ends.as_slice(), scale.level(1e-30)),
            ([-6].as_slice(), 0)
        );
    }
}
