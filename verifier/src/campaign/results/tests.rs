use super::*;
use crate::campaign::coding::tests::some_effects;

fn header(plan: &str) -> Header {
    let shard = Shard { number: 1, of: 2 };
    let plan = plan.to_owned();
    Header { plan, shard }
}

/// A folder with a file of two batches.
fn two_batches() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("folder");
    let mut attempt = Attempt::create(folder.path(), &header("p")).expect("create");
    attempt.append(0, &some_effects()).expect("append");
    attempt.append(64, &some_effects()[..1]).expect("append");
    let path = attempt.path.clone();
    (folder, path)
}

#[test]
fn what_was_appended_is_read_back() {
    let (folder, _) = two_batches();
    let found = Found::read(folder.path(), "p").expect("read");
    assert_eq!((found.batches(), found.shards), (2, 2));
    assert_eq!(found.effects(0).expect("read"), Some(some_effects()));
    assert_eq!(
        found.effects(64).expect("read"),
        Some(some_effects()[..1].to_vec())
    );
    assert_eq!(found.effects(32).expect("read"), None);
}

#[test]
fn a_file_that_ends_anywhere_has_the_batches_before_its_end() {
    let (folder, path) = two_batches();
    let bytes = fs::read(&path).expect("read");
    let mut last = 0;
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).expect("write");
        let found = Found::read(folder.path(), "p").expect("a torn file is none");
        assert!(found.batches() >= last, "{length}");
        last = found.batches();
    }
    assert_eq!(last, 1);
}

#[test]
fn no_byte_can_be_changed_without_an_error() {
    let (folder, path) = two_batches();
    let bytes = fs::read(&path).expect("read");
    for at in 0..bytes.len() {
        for flip in [1, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            fs::write(&path, changed).expect("write");
            assert!(Found::read(folder.path(), "p").is_err(), "byte {at}");
        }
    }
}

#[test]
fn equal_batches_are_one_and_unequal_ones_an_error() {
    let (folder, _) = two_batches();
    let mut again = Attempt::create(folder.path(), &header("p")).expect("create");
    again.append(0, &some_effects()).expect("append");
    assert_eq!(Found::read(folder.path(), "p").expect("read").batches(), 2);
    again.append(64, &some_effects()).expect("append");
    let error = Found::read(folder.path(), "p").expect_err("unequal");
    assert!(
        matches!(error, ResultsError::Unequal { first: 64, .. }),
        "{error}"
    );
}

#[test]
fn another_plan_is_refused() {
    let (folder, _) = two_batches();
    let error = Found::read(folder.path(), "q").expect_err("another plan");
    assert!(error.to_string().contains("plan p, expected q"), "{error}");
}

#[test]
fn shards_are_counted_from_one() {
    assert_eq!("3/16".parse(), Ok(Shard { number: 3, of: 16 }));
    for text in ["17/16", "0/4", "3", "a/b", "1/0", "-1/2"] {
        assert!(text.parse::<Shard>().is_err(), "{text}");
    }
}
