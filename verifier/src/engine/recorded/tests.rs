//! One output of six samples `[2, 3]`, `0, 1, 2 …`, in every form.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn};
use proto::npy::{Dtype, Header};
use tempfile::TempDir;

use super::*;
use crate::samples::elements;

const SHAPE: [usize; 3] = [6, 2, 3];

fn values() -> Vec<f32> {
    (0..36u8).map(f32::from).collect()
}

fn golden() -> Recording {
    let values = ArrayD::from_shape_vec(IxDyn(&SHAPE), values()).expect("36 values");
    Recording::in_memory("y", values).expect("an axis of samples")
}

/// The bundle has a further tensor.
fn tensors() -> TensorNames {
    TensorNames {
        outputs: vec!["y".to_owned()],
        all: vec!["residual".to_owned(), "y".to_owned()],
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// An NPY file with a type string and an order of its own.
fn npy(descr: &str, shape: &[usize], order: bool, data: Vec<u8>) -> Vec<u8> {
    let header = Header {
        dtype: Dtype::Float32,
        shape: shape.to_vec(),
    };
    let mut text = String::from_utf8(header.to_bytes()[10..].to_vec()).expect("ASCII");
    text = text.replace("<f4", descr);
    if order {
        text = text.replace("False", "True");
    }
    let length = u16::try_from(text.len()).expect("short").to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes(), &data].concat()
}

fn bytes<const N: usize>(values: &[f32], bytes: impl Fn(f32) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| bytes(value)).collect()
}

fn little(values: &[f32]) -> Vec<u8> {
    bytes(values, f32::to_le_bytes)
}

fn open(path: &Path, reading: &Reading) -> Result<Recorded, RecordedError> {
    Recorded::open(path, reading, &tensors(), &[golden()], 0..6)
}

/// All outputs, read in batches of four and two.
fn read(recorded: &mut Recorded) -> Vec<f32> {
    let mut all = Vec::new();
    for samples in [0..4, 4..6] {
        let outputs = recorded.run(&samples, &[]).expect("outputs");
        assert_eq!(outputs[0].shape(), [samples.len(), 2, 3]);
        all.extend_from_slice(elements(&outputs[0]));
    }
    all
}

fn read_from(path: &Path, reading: &Reading) -> Vec<f32> {
    let mut recorded = open(path, reading).expect("outputs");
    read(&mut recorded)
}

fn refusal(path: &Path, reading: &Reading) -> String {
    open(path, reading)
        .expect_err("must be refused")
        .to_string()
}

fn typed(dtype: FloatType) -> Reading {
    Reading {
        dtype: Some(dtype),
        ..Reading::default()
    }
}

#[test]
fn every_element_type_is_read_from_an_npy_file() {
    let folder = folder();
    let path = folder.path().join("any name.npy");
    for (descr, data) in [
        ("<f4", little(&values())),
        (">f4", bytes(&values(), f32::to_be_bytes)),
        (
            "<f8",
            bytes(&values(), |value| f64::from(value).to_le_bytes()),
        ),
        (
            "<f2",
            bytes(&values(), |value| f16::from_f32(value).to_le_bytes()),
        ),
        (
            "<u2",
            bytes(&values(), |value| bf16::from_f32(value).to_le_bytes()),
        ),
        (
            "|V2",
            bytes(&values(), |value| bf16::from_f32(value).to_le_bytes()),
        ),
    ] {
        fs::write(&path, npy(descr, &SHAPE, false, data)).expect("write");
        assert_eq!(read_from(&path, &Reading::default()), values(), "{descr}");
    }
    fs::write(&path, npy("<i4", &SHAPE, false, little(&values()))).expect("write");
    let refused = refusal(&path, &Reading::default());
    assert!(
        refused.contains("any name.npy: elements of type <i4"),
        "{refused}"
    );
}

#[test]
fn columns_and_reordered_axes_become_rows_only_where_the_file_or_the_user_says_so() {
    let folder = folder();
    let path = folder.path().join("y.npy");
    let array = ArrayD::from_shape_vec(IxDyn(&SHAPE), values()).expect("36 values");
    let columns: Vec<f32> = array.t().iter().copied().collect();
    fs::write(&path, npy("<f4", &SHAPE, true, little(&columns))).expect("write");
    assert_eq!(read_from(&path, &Reading::default()), values());

    let swapped = array.permuted_axes(vec![0, 2, 1]);
    let swapped: Vec<f32> = swapped.iter().copied().collect();
    fs::write(&path, npy("<f4", &[6, 3, 2], false, little(&swapped))).expect("write");
    let refused = refusal(&path, &Reading::default());
    assert!(
        refused.contains("shape [6, 3, 2], expected [6, 2, 3]") && refused.contains("--transpose"),
        "{refused}"
    );
    let reordered = |order: &[usize]| Reading {
        transpose: Some(order.to_vec()),
        ..Reading::default()
    };
    assert_eq!(read_from(&path, &reordered(&[0, 2, 1])), values());
    for order in [&[2, 1, 0][..], &[0, 1], &[0, 1, 1], &[0, 1, 3], &[]] {
        let refused = refusal(&path, &reordered(order));
        assert!(refused.contains("has 3 axes"), "{refused}");
    }
}

#[test]
fn raw_files_say_what_they_are_by_flag_or_as_trtexec_names_them() {
    let folder = folder();
    let path = folder.path().join("y.bin");
    fs::write(&path, little(&values())).expect("write");
    let refused = refusal(&path, &Reading::default());
    assert!(refused.contains("--dtype"), "{refused}");
    assert_eq!(read_from(&path, &typed(FloatType::Float32)), values());
    let refused = refusal(&path, &typed(FloatType::Float16));
    assert!(
        refused.contains("12 samples in 1 file, expected 6"),
        "{refused}"
    );
    fs::write(&path, &little(&values())[..143]).expect("write");
    let refused = refusal(&path, &typed(FloatType::Float32));
    assert!(
        refused.contains("143 bytes are not a whole number"),
        "{refused}"
    );
    fs::write(&path, &little(&values())[..140]).expect("write");
    let refused = refusal(&path, &typed(FloatType::Float32));
    assert!(
        refused.contains("35 elements of `y` are not a whole"),
        "{refused}"
    );

    let path = folder.path().join("y.output.6.2.3.fp16.raw");
    fs::write(
        &path,
        bytes(&values(), |value| f16::from_f32(value).to_le_bytes()),
    )
    .expect("write");
    assert_eq!(read_from(&path, &Reading::default()), values());
}

#[test]
fn batches_come_in_the_order_of_their_numbers_and_a_padded_end_is_left_out() {
    let folder = folder();
    let write = |name: &str, values: &[f32], samples: usize| {
        let file = npy("<f4", &[samples, 2, 3], false, little(values));
        fs::write(folder.path().join(name), file).expect("write");
    };
    let values = values();
    write("b_9.npy", &values[..24], 4);
    write("b_10.npy", &[&values[24..], &[7.0; 12][..]].concat(), 4);
    let mut recorded = open(folder.path(), &Reading::default()).expect("two batches");
    assert_eq!(
        (read(&mut recorded), recorded.padding()),
        (values.clone(), 2)
    );
    // Its hash is of the whole file, the padding included.
    recorded.finish().expect("files");
    let files = recorded.files();
    assert_eq!((files.len(), files[1].bytes), (2, 128 + 96));

    write("b_12.npy", &values[..24], 4);
    let refused = refusal(folder.path(), &Reading::default());
    assert!(
        refused.contains("a file between them is missing"),
        "{refused}"
    );
    fs::remove_file(folder.path().join("b_12.npy")).expect("remove");
    write("b_11.npy", &values[..24], 4);
    let refused = refusal(folder.path(), &Reading::default());
    assert!(
        refused.contains("12 samples in 3 files, expected 6"),
        "{refused}"
    );
    write("b_11.npy", &values[..20], 5);
    let refused = refusal(folder.path(), &Reading::default());
    assert!(
        refused.contains("b_11.npy: 80 bytes of data, but 120"),
        "{refused}"
    );
}

#[test]
fn a_single_file_is_cut_only_where_the_batch_size_explains_its_length() {
    let folder = folder();
    let path = folder.path().join("y.npy");
    let padded = [values(), vec![0.0; 12]].concat();
    fs::write(&path, npy("<f4", &[8, 2, 3], false, little(&padded))).expect("write");
    let refused = refusal(&path, &Reading::default());
    assert!(
        refused.contains("8 samples in 1 file, expected 6"),
        "{refused}"
    );
    let in_batches = |size| Reading {
        batch_size: Some(size),
        ..Reading::default()
    };
    assert_eq!(read_from(&path, &in_batches(4)), values());
    assert!(open(&path, &in_batches(3)).is_err());
}

#[test]
fn a_sample_a_file_has_no_axis_of_samples() {
    let folder = folder();
    for sample in 0..6 {
        let result = folder.path().join(format!("Result_{sample}"));
        fs::create_dir(&result).expect("folder");
        let file = npy("<f4", &[2, 3], false, little(&values()[6 * sample..][..6]));
        fs::write(result.join("y.npy"), file).expect("write");
    }
    assert_eq!(read_from(folder.path(), &Reading::default()), values());
}

#[test]
fn decimal_text_and_polygraphy_are_read_from_json() {
    let folder = folder();
    let path = folder.path().join("outputs.json");
    let batches = [&values()[..24], &values()[24..]].map(|values| {
        let file = npy("<f4", &[values.len() / 6, 2, 3], false, little(values));
        let array = STANDARD.encode(file);
        format!(r#"{{"outputs": {{"y": {{"values": {{"array": "{array}"}}}}}}}}"#)
    });
    let text = format!(r#"{{"lst": [["trt", [{}]]]}}"#, batches.join(", "));
    fs::write(&path, text).expect("write");
    let mut recorded = open(&path, &Reading::default()).expect("two iterations");
    assert_eq!(
        (read(&mut recorded), recorded.is_decimal()),
        (values(), false)
    );

    let numbers: Vec<String> = values().iter().map(f32::to_string).collect();
    let text = format!(
        r#"[{{"name": "y", "dimensions": "6x2x3", "values": [{}]}}]"#,
        numbers.join(", ")
    );
    fs::write(&path, text).expect("write");
    let mut recorded = open(&path, &Reading::default()).expect("decimal");
    assert_eq!(
        (read(&mut recorded), recorded.is_decimal()),
        (values(), true)
    );
}

#[test]
fn a_second_pass_reads_the_same_files_and_notices_others() {
    let folder = folder();
    let path = folder.path().join("y.npy");
    fs::write(&path, npy("<f4", &SHAPE, false, little(&values()))).expect("write");
    let mut recorded = open(&path, &Reading::default()).expect("outputs");
    assert_eq!(read(&mut recorded), values());
    assert_eq!(read(&mut recorded), values());
    let outputs = recorded.run(&(0..1), &[]).expect("the first again");
    assert_eq!(elements(&outputs[0]), &values()[..6]);
    let outputs = recorded.run(&(4..5), &[]).expect("three are left out");
    assert_eq!(elements(&outputs[0]), &values()[24..30]);
    let earlier = recorded.run(&(2..4), &[]).expect_err("read already");
    assert!(earlier.to_string().contains("2..4"), "{earlier}");
    assert_eq!(read(&mut recorded), values());

    let mut others = values();
    others[35] += 1.0;
    fs::write(&path, npy("<f4", &SHAPE, false, little(&others))).expect("write");
    recorded.run(&(0..4), &[]).expect("outputs");
    let changed = recorded.run(&(4..6), &[]).expect_err("changed");
    assert!(changed.to_string().contains("changed while"), "{changed}");
}

#[test]
fn every_output_needs_files_of_its_own() {
    let folder = folder();
    let file = npy("<f4", &SHAPE, false, little(&values()));
    fs::write(folder.path().join("x.npy"), &file).expect("write");
    let z = ArrayD::from_shape_vec(IxDyn(&SHAPE), values()).expect("36 values");
    let z = Recording::in_memory("z", z).expect("an axis of samples");
    let both = [golden(), z];
    let open = || Recorded::open(folder.path(), &Reading::default(), &tensors(), &both, 0..6);
    let refused = open().expect_err("no name").to_string();
    assert!(refused.contains("the part's are y, z"), "{refused}");
    fs::write(folder.path().join("y.npy"), &file).expect("write");
    let refused = open().expect_err("one name").to_string();
    assert!(
        refused.contains("nothing of output `z`: it has x"),
        "{refused}"
    );
    fs::write(folder.path().join("z.npy"), &file).expect("write");
    let refused = open().expect_err("x may be of another run").to_string();
    assert!(
        refused.contains("x.npy: nothing says of which output") && refused.contains("y.npy says"),
        "{refused}"
    );
    let other = folder.path().join("residual.npy");
    fs::rename(folder.path().join("x.npy"), other).expect("rename");
    let mut recorded = open().expect("both; another tensor is left out");
    assert_eq!(recorded.run(&(0..6), &[]).expect("outputs").len(), 2);
}

#[test]
fn a_file_that_names_another_tensor_is_never_the_output() {
    let folder = folder();
    let file = npy("<f4", &SHAPE, false, little(&values()));
    let path = folder.path().join("residual.npy");
    fs::write(&path, &file).expect("write");
    for path in [path.as_path(), folder.path()] {
        let refused = refusal(path, &Reading::default());
        assert!(
            refused.contains("nothing of output `y`: it has residual"),
            "{refused}"
        );
    }
}

#[test]
fn only_batches_of_one_size_may_be_padded() {
    let folder = folder();
    for (number, samples) in [2, 4, 2].into_iter().enumerate() {
        let values = vec![0.5; 6 * samples];
        let file = npy("<f4", &[samples, 2, 3], false, little(&values));
        fs::write(folder.path().join(format!("b_{number}.npy")), file).expect("write");
    }
    let refused = refusal(folder.path(), &Reading::default());
    assert!(
        refused.contains("8 samples in 3 files, expected 6"),
        "{refused}"
    );
}
