//! What a bundle says of a sample, in words.

use proto::preprocessing::CIFAR10_CLASSES;

use crate::samples::SampleInfo;

/// Something a bundle may say: its name, and how it is read from what is known of a sample.
pub(super) type Fact = (&'static str, fn(&SampleInfo) -> Option<String>);

/// All there is.
pub(super) const FACTS: [Fact; 5] = [
    ("image", |info| Some(info.sample_index.to_string())),
    ("label", |info| info.label.map(class)),
    ("prediction", |info| info.prediction.map(class)),
    ("confidence", |info| {
        info.confidence.map(|value| format!("{value:.4}"))
    }),
    ("tier", |info| info.tier.map(|tier| tier.to_string())),
];

/// Names and values of what is known.
pub(super) fn facts(info: &SampleInfo) -> Vec<(&'static str, String)> {
    let known = FACTS.iter().map(|(name, of)| Some((*name, of(info)?)));
    known.flatten().collect()
}

/// What is known, in a line.
pub(super) fn line(info: &SampleInfo) -> String {
    let facts = facts(info).into_iter();
    let texts: Vec<String> = facts
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    texts.join(", ")
}

/// A class by its number and, if CIFAR-10 has it, its name.
pub(super) fn class(number: i64) -> String {
    let index = usize::try_from(number).ok();
    match index.and_then(|index| CIFAR10_CLASSES.get(index)) {
        Some(name) => format!("{number} {name}"),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bundle_does_not_say_is_left_out() {
        let mut info = SampleInfo {
            sample_index: 7,
            prediction: Some(9),
            ..SampleInfo::default()
        };
        assert_eq!(line(&info), "image 7, prediction 9 truck");
        info.label = Some(0);
        info.prediction = Some(10);
        info.tier = Some(2);
        assert_eq!(
            line(&info),
            "image 7, label 0 airplane, prediction 10, tier 2"
        );
        info.label = Some(-1);
        assert!(line(&info).contains("label -1, "), "no name is made up");
    }
}
