//! Real files with bytes flipped, cut, inserted and moved: every reader ends in a value or an
//! error, and takes little memory. `fuzz/` does the same without an end.

use std::fs;
use std::path::Path;

use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use proptest::sample::Index;
use proto::bundle::{Bundle, BundleError};
use proto::graph::Graph;
use proto::npy::{Dtype, Header, Npy, NpyError, read_header};
use verifier::engine::probe::Probe;
use verifier::inject::Parameters;
use verifier::inject::weights::with_weight_faults;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Measured: less than 256 KiB with all tests of this file side by side, on files of a few
/// kilobytes.
const MOST_BYTES: usize = 4 << 20;

/// `exporter bundle --weights vit_nano_cifar10.safetensors --samples 2 --parts submodel`, of fresh
/// weights.
const MANIFEST: &str = include_str!("fixtures/manifest.json");

#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    /// What stands between two places, to a third.
    Move(Index, Index, Index),
    /// The same, and it stays where it was.
    Copy(Index, Index, Index),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |index: &Index, bytes: &[u8]| index.index(bytes.len() + 1);
        match self {
            Self::Flip(at, bit) => {
                let at = place(at, bytes);
                bytes
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte ^= 1 << bit);
            }
            Self::Cut(at) => bytes.truncate(place(at, bytes)),
            Self::Insert(at, inserted) => {
                let at = place(at, bytes);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Self::Move(a, b, to) | Self::Copy(a, b, to) => {
                let (a, b) = (place(a, bytes), place(b, bytes));
                let span = a.min(b)..a.max(b);
                let text = bytes[span.clone()].to_vec();
                if matches!(self, Self::Move(..)) {
                    bytes.drain(span);
                }
                let to = place(to, bytes);
                bytes.splice(to..to, text);
            }
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let index = any::<Index>;
    // Lengths and numbers in the three formats are made of these.
    let inserted = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..12),
        prop::collection::vec(prop_oneof![Just(0xffu8), Just(0x7f), Just(0)], 1..12),
        "[0-9]{1,24}|[(\\[{\"',:}\\])-]{1,6}".prop_map(String::into_bytes),
    ];
    let change = prop_oneof![
        4 => (index(), 0u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        1 => index().prop_map(Change::Cut),
        3 => (index(), inserted).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => (index(), index(), index()).prop_map(|(a, b, to)| Change::Move(a, b, to)),
        1 => (index(), index(), index()).prop_map(|(a, b, to)| Change::Copy(a, b, to)),
    ];
    prop::collection::vec(change, 1..6)
}

fn changed(unchanged: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = unchanged.to_vec();
    changes.iter().for_each(|change| change.apply(&mut bytes));
    bytes
}

/// Runs a reader on a file with these bytes.
fn read<T>(name: &str, bytes: &[u8], reader: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("write");
    let result = reader(&path);
    assert!(
        MEMORY.peak_usage() < MOST_BYTES,
        "{} bytes of memory",
        MEMORY.peak_usage()
    );
    result
}

fn open_bundle(bytes: &[u8]) -> BundleError {
    read("manifest.json", bytes, |path| {
        Bundle::open(path.parent().expect("folder"))
    })
    .expect_err("the bundle has no other file")
}

fn array() -> Vec<u8> {
    let values: Vec<u8> = (0..24u8)
        .flat_map(|value| f32::from(value).to_le_bytes())
        .collect();
    [
        Header {
            dtype: Dtype::Float32,
            shape: vec![4, 2, 3],
        }
        .to_bytes(),
        values,
    ]
    .concat()
}

/// Sums what a reader takes for the values.
fn read_array(path: &Path) -> Result<f32, NpyError> {
    let npy = Npy::<f32>::open(path)?;
    assert_eq!(read_header(path)?.shape, npy.shape());
    Ok(npy.rows(0..npy.rows_len())?.iter().sum())
}

fn read_model(path: &Path, external_data: Option<&str>) -> Option<Vec<u8>> {
    let fault = "weight:w[15,15]^30".parse().expect("a fault");
    let model = Graph::open(path, external_data).ok()?;
    let _ = model.largest_operator_bytes();
    with_weight_faults(model, &[fault], &Parameters::default())
        .ok()
        .map(|model| model.to_bytes())
}

#[test]
fn the_files_are_read_before_they_are_changed() {
    assert!(
        matches!(open_bundle(MANIFEST.as_bytes()), BundleError::Missing(_)),
        "{}",
        open_bundle(MANIFEST.as_bytes())
    );
    assert_eq!(
        read("array.npy", &array(), read_array).expect("array"),
        276.0
    );
    let faulty = read("model.onnx", &Probe::new().model, |path| {
        read_model(path, None)
    })
    .expect("model");
    assert_ne!(faulty, Probe::new().model);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_manifest_makes_a_reader_panic(changes in changes()) {
        open_bundle(&changed(MANIFEST.as_bytes(), &changes));
    }

    #[test]
    fn no_array_makes_a_reader_panic(changes in changes()) {
        let _ = read("array.npy", &changed(&array(), &changes), read_array);
    }

    #[test]
    fn no_model_makes_a_reader_panic(changes in changes(), is_external in any::<bool>()) {
        let bytes = changed(&Probe::new().model, &changes);
        let _ = read("model.onnx", &bytes, |path| read_model(path, is_external.then_some("w.bin")));
    }
}
