//! NumPy's dates and spans of time as text, by their unit: `datetime64[ns]` counts nanoseconds
//! since the beginning of 1970, without a time zone.

/// The count that stands for no time.
const NOT_A_TIME: i64 = i64::MIN;
const DAY: i128 = 86_400;

/// A date, or a date and time, as ISO 8601 has it; a count where the unit has no calendar.
pub(super) fn date(count: i64, unit: &str) -> String {
    if count == NOT_A_TIME {
        return "NaT".to_owned();
    }
    let Some((step, unit)) = step_and_unit(unit) else {
        return span(count, unit);
    };
    let count = i128::from(count) * step;
    match unit {
        "Y" => format!("{:04}", 1970 + count),
        "M" => format!(
            "{:04}-{:02}",
            1970 + count.div_euclid(12),
            1 + count.rem_euclid(12)
        ),
        "W" => day(7 * count),
        "D" => day(count),
        _ => match per_second(unit) {
            Some(per_second) => moment(count, per_second),
            None => match unit {
                "h" => moment(3600 * count, 1),
                "m" => moment(60 * count, 1),
                _ => span(count as i64, unit),
            },
        },
    }
}

/// A count and its unit.
pub(super) fn span(count: i64, unit: &str) -> String {
    match (count, unit) {
        (NOT_A_TIME, _) => "NaT".to_owned(),
        (count, "" | "generic") => count.to_string(),
        (count, unit) => format!("{count} × {unit}"),
    }
}

/// `25s` counts in steps of 25 seconds.
fn step_and_unit(unit: &str) -> Option<(i128, &str)> {
    let digits = unit.find(|character: char| !character.is_ascii_digit())?;
    match unit.split_at(digits) {
        ("", unit) => Some((1, unit)),
        (step, unit) => {
            let step: u32 = step.parse().ok()?;
            Some((step.into(), unit))
        }
    }
}

/// How many of a unit are a second.
fn per_second(unit: &str) -> Option<i128> {
    Some(match unit {
        "s" => 1,
        "ms" => 1_000,
        "us" => 1_000_000,
        "ns" => 1_000_000_000,
        "ps" => 1_000_000_000_000,
        "fs" => 1_000_000_000_000_000,
        "as" => 1_000_000_000_000_000_000,
        _ => return None,
    })
}

fn moment(count: i128, per_second: i128) -> String {
    let (seconds, fraction) = (count.div_euclid(per_second), count.rem_euclid(per_second));
    let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let time = format!("{}T{hour:02}:{minute:02}:{second:02}", day(days));
    let digits = per_second.ilog10() as usize;
    match digits {
        0 => time,
        _ => format!("{time}.{fraction:0digits$}"),
    }
}

/// A day after 1970-01-01, in the Gregorian calendar (`civil_from_days` of
/// <https://howardhinnant.github.io/date_algorithms.html>).
fn day(days: i128) -> String {
    let days = days + 719_468; // since 0000-03-01
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12 + 1;
    let year = year + era * 400 + i128::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `numpy.datetime64(count, unit)` prints them.
    #[test]
    fn dates_are_those_of_numpy() {
        for (count, unit, expected) in [
            (0, "D", "1970-01-01"),
            (-1, "D", "1969-12-31"),
            (11_016, "D", "2000-02-29"),
            (-135_140, "D", "1600-01-01"),
            (2, "W", "1970-01-15"),
            (56, "Y", "2026"),
            (-1, "M", "1969-12"),
            (682, "M", "2026-11"),
            (1_700_000_000, "s", "2023-11-14T22:13:20"),
            (-1, "ms", "1969-12-31T23:59:59.999"),
            (7, "ns", "1970-01-01T00:00:00.000000007"),
            (2, "25s", "1970-01-01T00:00:50"),
            (5, "m", "1970-01-01T00:05:00"),
            (30, "h", "1970-01-02T06:00:00"),
            (i64::MIN, "s", "NaT"),
            (3, "generic", "3"),
        ] {
            assert_eq!(date(count, unit), expected, "{count} {unit}");
        }
        assert_eq!(span(-4, "ms"), "-4 × ms");
        assert_eq!(span(i64::MIN, "ms"), "NaT");
        assert!(!date(i64::MAX, "Y").is_empty() && !date(i64::MAX, "as").is_empty());
    }
}
