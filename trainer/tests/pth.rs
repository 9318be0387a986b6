//! Checkpoints against PyTorch: what `torch.save` wrote is read bit for bit, what is written is
//! what `torch.load` reads.
//!
//! The fixtures stand in `fixtures/` beside the script that made them.

use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::path::{Path, PathBuf};

use proto::config::VitConfig;
use proto::digest::sha256_file;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use tch::{Device, Kind, Tensor};
use trainer::pth;
use trainer::vit::Vit;
use trainer::weights::shape_and_bytes;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// The network whose weights the checkpoints hold.
fn reference() -> Vit {
    let bytes = fs::read(fixture("vit_cls.safetensors")).expect("fixture");
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("header");
    let config: VitConfig =
        serde_json::from_str(&header.metadata().as_ref().expect("metadata")["config"])
            .expect("config");
    let file = SafeTensors::deserialize(&bytes).expect("fixture");
    let vit = Vit::new(&config, Device::Cpu, 1.0);
    tch::no_grad(|| {
        for (name, mut variable) in vit.variables() {
            let view = file
                .tensor(&format!("weights.{name}"))
                .expect("a parameter");
            variable.copy_(&Tensor::from_data_size(
                view.data(),
                &variable.size(),
                Kind::Float,
            ));
        }
    });
    vit
}

#[track_caller]
fn assert_same(found: &Vit, expected: &Vit) {
    for (name, tensor) in expected.variables() {
        assert!(
            shape_and_bytes(&found.variables()[&name]) == shape_and_bytes(&tensor),
            "{name} differs"
        );
    }
}

#[test]
fn checkpoints_of_pytorch_are_read_bit_for_bit() {
    let expected = reference();
    for (name, epoch) in [("checkpoint.pth", Some(7)), ("state_dict.pth", None)] {
        let found = pth::load(&fixture(name), expected.config()).expect(name);
        assert_eq!(found.epoch, epoch, "{name}");
        assert_same(&found.vit, &expected);
    }
}

#[test]
fn a_hostile_checkpoint_is_refused_by_the_name_of_what_it_calls() {
    let error = pth::load(&fixture("hostile.pth"), reference().config())
        .expect_err("must be refused")
        .to_string();
    assert!(
        error.contains("hostile.pth: its pickle calls or names `posix.system`"),
        "{error}"
    );
    assert!(!Path::new("the-pickle-was-run").exists());
}

/// The SHA-256 of a file that PyTorch 2.13 loaded with `weights_only=True`, also mapped, and
/// `strict=True`. Where the bytes must change, load the new ones: `fixtures/check_pth.py` does it
/// and prints their SHA-256.
const LOADED_BY_PYTORCH: &str = "b288f2e833c619a11a25cef2579d1ec0c9de293319ca406946a7fbea7a27df7d";

#[test]
fn written_checkpoints_are_the_bytes_that_pytorch_loaded() {
    let expected = reference();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("exported.pth");
    pth::save(&path, &expected).expect("save");
    assert_eq!(
        sha256_file(&path).expect("digest"),
        LOADED_BY_PYTORCH,
        "{}",
        path.display()
    );
    assert_same(
        &pth::load(&path, expected.config()).expect("load").vit,
        &expected,
    );

    let mut zip = ZipArchive::new(fs::File::open(&path).expect("open")).expect("zip");
    for index in 0..zip.len() {
        let entry = zip.by_index(index).expect("entry");
        assert_eq!(
            entry.data_start().expect("a start") % 64,
            0,
            "entry {index} is aligned"
        );
        assert_eq!(entry.compression(), CompressionMethod::Stored);
    }
}

/// Changes bytes as a bad disk or a bad person might: one to four times overwritten, flipped,
/// removed, doubled or cut.
fn mutate(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    for _ in 0..random.random_range(1..=4) {
        let at = random.random_range(0..bytes.len());
        let end = bytes.len().min(at + random.random_range(1..16));
        match random.random_range(0..8) {
            0 => random.fill_bytes(&mut bytes[at..end]),
            1 => bytes[at..end].fill([0, 0x7f, 0xff][random.random_range(0..3)]),
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            4 if at > 0 => bytes.truncate(at),
            _ => bytes[at] ^= 1 << random.random_range(0..8),
        }
    }
}

fn with_pickle(pickle: &[u8], valid: &[u8]) -> Vec<u8> {
    let mut zip = ZipArchive::new(Cursor::new(valid)).expect("zip");
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).expect("entry");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("read");
        let name = entry.name().expect("a name").into_owned();
        writer.start_file(&name, options).expect("write");
        writer
            .write_all(if name.ends_with("data.pkl") {
                pickle
            } else {
                &bytes
            })
            .expect("write");
    }
    writer.finish().expect("write").into_inner()
}

/// A number of KiB that Linux keeps of this process.
fn memory_kib(what: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(what))?;
    line.trim_start_matches(':')
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .ok()
}

#[test]
fn thousands_of_broken_checkpoints_neither_panic_nor_take_memory() {
    let expected = reference();
    let valid = fs::read(fixture("checkpoint.pth")).expect("fixture");
    let mut pickle = Vec::new();
    let mut zip = ZipArchive::new(Cursor::new(&valid)).expect("zip");
    zip.by_name("checkpoint/data.pkl")
        .expect("entry")
        .read_to_end(&mut pickle)
        .expect("read");

    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("broken.pth");
    let before = most_memory();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut refused = 0;
    for round in 0..4000 {
        let bytes = if round % 2 == 0 {
            let mut pickle = pickle.clone();
            mutate(&mut pickle, &mut random);
            with_pickle(&pickle, &valid)
        } else {
            let mut bytes = valid.clone();
            mutate(&mut bytes, &mut random);
            bytes
        };
        fs::write(&path, bytes).expect("write");
        match pth::load(&path, expected.config()) {
            // The change was in what is not read, an optimizer's state for one.
            Ok(found) if round % 2 == 1 => assert_same(&found.vit, &expected),
            Ok(_) => {}
            Err(error) => {
                refused += 1;
                assert!(error.to_string().len() < 2000);
            }
        }
    }
    assert!(refused > 2000, "{refused} of 4000 were refused");
    assert_little_memory(before);
}

/// Address space and memory in KiB, the most that this process has had.
fn most_memory() -> Option<(u64, u64)> {
    Some((memory_kib("VmPeak")?, memory_kib("VmHWM")?))
}

fn assert_little_memory(before: Option<(u64, u64)>) {
    let (Some((peak, resident)), Some((peak_after, resident_after))) = (before, most_memory())
    else {
        return;
    };
    assert!(
        peak_after < peak + (1 << 20),
        "{} KiB more address space",
        peak_after - peak
    );
    assert!(
        resident_after < resident + (1 << 18),
        "{} KiB more memory",
        resident_after - resident
    );
}
