//! What to try next, in the words of the flags.

use anyhow::{Error, anyhow};
use exporter::bundle::BundleError;
use exporter::golden::{GoldenError, RecordedError};
use proto::bundle::subset::SubsetError;
use proto::bundle::{ChoiceError, WriteError};
use proto::staging::StagingError;

/// Why `exporter bundle` failed.
pub(super) fn of_bundle(error: BundleError) -> Error {
    match error {
        BundleError::Write(WriteError::NoRoom(_)) => with_hint(
            &error,
            "fewer --samples, fewer --parts, or an --out on another file system",
        ),
        BundleError::FewerThanBatch { fixed_batch, .. } => with_hint(
            &error,
            &format!("--samples {fixed_batch} or more, or --test-data-sets 0"),
        ),
        BundleError::Write(ref reason) => of_write(&error, reason),
        BundleError::Golden(GoldenError::Recorded(ref reason)) => of_recorded(&error, reason),
        other => other.into(),
    }
}

fn of_recorded(error: &dyn std::error::Error, reason: &RecordedError) -> Error {
    let hint = match reason {
        RecordedError::Different { .. } => {
            "these may be other weights, another --module or, with --indices, other images; \
             --accept-differences takes the recorded values and notes how far off they are"
        }
        RecordedError::NoImage { .. } => {
            "these may be other weights or the other --split; --indices FILE says which images \
             were recorded"
        }
        _ => return anyhow!("{error}"),
    };
    with_hint(error, hint)
}

/// Why `exporter subset` failed.
pub(super) fn of_subset(error: SubsetError) -> Error {
    match error {
        SubsetError::Choice(ChoiceError::TooFew {
            ref asked,
            ref available,
        }) => match fitting(asked, available) {
            Some(sizes) => with_hint(&error, &format!("--group-sizes {sizes} would work")),
            None => error.into(),
        },
        SubsetError::Write(WriteError::NoRoom(_)) => {
            with_hint(&error, "fewer samples, or an --out on another file system")
        }
        SubsetError::Write(ref reason) => of_write(&error, reason),
        SubsetError::Itself(_) => with_hint(&error, "--out names another folder"),
        other => other.into(),
    }
}

fn of_write(error: &dyn std::error::Error, reason: &WriteError) -> Error {
    let hint = match reason {
        WriteError::Staging(StagingError::Exists(_)) => {
            "--force replaces it, --out names another folder"
        }
        WriteError::InsideBundle { .. } => "--out names a folder elsewhere",
        // The second is of a folder that somebody put something into meanwhile.
        WriteError::NotABundle { .. } | WriteError::Staging(StagingError::NotReplaced { .. }) => {
            "--force leaves it as it is; --out names another folder"
        }
        _ => return anyhow!("{error}"),
    };
    with_hint(error, hint)
}

fn with_hint(error: &dyn std::error::Error, hint: &str) -> Error {
    anyhow!("{error}\nhint: {hint}")
}

/// Sizes that would work, if any sample would be in them.
fn fitting(asked: &[usize], available: &[usize]) -> Option<String> {
    let pairs = asked.iter().zip(available);
    let sizes: Vec<usize> = pairs
        .map(|(&asked, &available)| asked.min(available))
        .collect();
    let texts: Vec<String> = sizes.iter().map(usize::to_string).collect();
    (sizes.iter().sum::<usize>() > 0).then(|| texts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_samples_are_answered_with_sizes_that_would_work() {
        let refused = |asked: &[usize], available: &[usize]| {
            let (asked, available) = (asked.to_vec(), available.to_vec());
            of_subset(ChoiceError::TooFew { asked, available }.into()).to_string()
        };
        let text = refused(&[3, 1, 1, 1], &[2, 1, 0, 2]);
        assert!(
            text.contains("\nhint: --group-sizes 2 1 0 1 would work"),
            "{text}"
        );
        assert!(!refused(&[3], &[0]).contains("hint"));
    }

    #[test]
    fn a_folder_that_was_not_replaced_is_answered_with_what_to_do() {
        let reason = "\"precious\" in it is none of the bundle's files".to_owned();
        let path = "bundles/nano".into();
        let error = WriteError::Staging(StagingError::NotReplaced { path, reason });
        let text = of_bundle(BundleError::Write(error)).to_string();
        let hint = "bundle's files\nhint: --force leaves it as it is; --out names another folder";
        assert!(
            text.starts_with("bundles/nano was not replaced: ") && text.ends_with(hint),
            "{text}"
        );
    }
}
