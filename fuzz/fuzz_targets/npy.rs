//! An NPY file: it opens with as many values as its header says, or not at all.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use proto::npy::{Element, Npy};
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("folder"));

fn read<T: Element>() {
    let Ok(npy) = Npy::<T>::open(&FOLDER.path().join("array.npy")) else { return };
    let rows = npy.rows(0..npy.rows_len()).expect("all rows");
    assert_eq!(rows.len(), npy.shape().iter().product::<usize>());
    assert_eq!(rows.view().shape(), npy.shape());
}

fuzz_target!(|bytes: &[u8]| {
    fs::write(FOLDER.path().join("array.npy"), bytes).expect("write");
    read::<f32>();
    read::<f64>();
    read::<i64>();
});
