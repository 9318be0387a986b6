//! Which positions of an axis a fault is at: one, several, or all of them.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Positions of one axis. Written `3`, `*`, `0:8`, `0:8+16:24` or `2::7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Positions {
    At(usize),
    All,
    /// Each from its start up to, but not including, its end; ascending and apart.
    Ranges(Vec<Range<usize>>),
    /// The first, and then every so many, 1 at least.
    Every {
        first: usize,
        step: usize,
    },
}

impl From<usize> for Positions {
    fn from(position: usize) -> Self {
        Self::At(position)
    }
}

impl Positions {
    /// Those of an axis of a length, ascending; `None` if one lies outside, or there is none.
    pub fn of_axis(&self, length: usize) -> Option<Vec<usize>> {
        let positions: Vec<usize> = match self {
            Self::At(position) => (*position < length).then(|| vec![*position])?,
            Self::All => (0..length).collect(),
            Self::Ranges(ranges) => {
                let is_inside = ranges.iter().all(|range| range.end <= length);
                is_inside.then(|| ranges.iter().cloned().flatten().collect())?
            }
            Self::Every { first, step } => (*first..length).step_by(*step).collect(),
        };
        (!positions.is_empty()).then_some(positions)
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(position) => write!(f, "{position}"),
            Self::All => f.write_str("*"),
            Self::Every { first, step } => write!(f, "{first}::{step}"),
            Self::Ranges(ranges) => {
                for (number, Range { start, end }) in ranges.iter().enumerate() {
                    let plus = if number == 0 { "" } else { "+" };
                    write!(f, "{plus}{start}:{end}")?;
                }
                Ok(())
            }
        }
    }
}

impl FromStr for Positions {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| ());
        if text.trim() == "*" {
            return Ok(Self::All);
        }
        if let Some((first, step)) = text.split_once("::") {
            let (first, step) = (number(first)?, number(step)?);
            return if step > 0 {
                Ok(Self::Every { first, step })
            } else {
                Err(())
            };
        }
        if !text.contains(':') {
            return number(text).map(Self::At);
        }
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for part in text.split('+') {
            let (start, end) = part.split_once(':').ok_or(())?;
            let range = number(start)?..number(end)?;
            let is_apart = ranges.last().is_none_or(|last| last.end <= range.start);
            if range.is_empty() || !is_apart {
                return Err(());
            }
            ranges.push(range);
        }
        Ok(Self::Ranges(ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_stands_for_its_positions() {
        let of_nine = |text: &str| {
            let positions: Positions = text.parse().expect(text);
            assert_eq!(positions.to_string(), text);
            positions.of_axis(9)
        };
        assert_eq!(of_nine("8"), Some(vec![8]));
        assert_eq!(of_nine("9"), None);
        assert_eq!(of_nine("*"), Some((0..9).collect()));
        assert_eq!(of_nine("2:4+7:9"), Some(vec![2, 3, 7, 8]));
        assert_eq!(of_nine("2:4+7:10"), None);
        assert_eq!(of_nine("1::3"), Some(vec![1, 4, 7]));
        assert_eq!(of_nine("9::3"), None);
    }

    #[test]
    fn what_stands_for_no_position_or_for_one_twice_is_refused() {
        for text in [
            "", "-1", "1::0", "4:4", "4:2", "0:4+3:5", "1:2+", "::", "**", "1:2:3",
        ] {
            assert!(text.parse::<Positions>().is_err(), "{text}");
        }
    }
}
