//! Shares in percent, with as many digits as they mean something.

use super::super::RateRecord;

/// A share of 0 to 1.
pub(super) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    match percent {
        0.0 => "0 %".to_owned(),
        10.0.. => format!("{percent:.1} %"),
        1.0.. => format!("{percent:.2} %"),
        0.001.. => format!("{percent:.3} %"),
        _ => format!("{percent:.1e} %"),
    }
}

/// The limits of an interval, without the sign.
pub(super) fn interval(rate: &RateRecord) -> String {
    let [low, high] = [rate.low, rate.high].map(percent);
    let number = |text: &str| text.trim_end_matches(" %").to_owned();
    format!("{}–{}", number(&low), number(&high))
}

/// A rate with its interval, in a line.
pub(super) fn line(rate: &RateRecord) -> String {
    match rate.estimate {
        Some(estimate) => format!("{} ({})", percent(estimate), interval(rate)),
        None => "not known".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn small_shares_keep_their_digits_and_none_is_zero_that_is_not() {
        let shares = [0.0, 1e-7, 1.234e-5, 0.000_432_1, 0.012_345, 0.5, 1.0];
        let texts = [
            "0 %", "1.0e-5 %", "0.001 %", "0.043 %", "1.23 %", "50.0 %", "100.0 %",
        ];
        assert_eq!(shares.map(percent), texts);
    }
}
