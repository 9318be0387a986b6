//! Checkpoints against PyTorch: what `torch.save` wrote is read bit for bit, what is written is
//! what `torch.load` reads.
//!
//! The fixtures stand in `fixtures/` beside the scripts that made them.

use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proto::config::{Pool, Preset, Told, VitConfig};
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

/// The network of the layouts.
fn small() -> VitConfig {
    VitConfig {
        image_size: 8,
        patch_size: 4,
        dim: 8,
        layers: 1,
        heads: 2,
        dim_head: 4,
        mlp_dim: 8,
        pool: Pool::Cls,
        ..Preset::Nano.config()
    }
}

fn layout(name: &str) -> Result<pth::Checkpoint, String> {
    let path = fixture("layouts").join(name);
    pth::load(&path, &small()).map_err(|error| error.fault.to_string())
}

/// The weights of every layout, read by the safetensors library itself.
fn layout_weights() -> Vit {
    let bytes = fs::read(fixture("layouts/plain.safetensors")).expect("fixture");
    let file = SafeTensors::deserialize(&bytes).expect("fixture");
    let vit = Vit::new(&small(), Device::Cpu, 1.0);
    tch::no_grad(|| {
        for (name, mut variable) in vit.variables() {
            let view = file.tensor(&name).expect("a parameter");
            let tensor = Tensor::from_data_size(view.data(), &variable.size(), Kind::Float);
            variable.copy_(&tensor);
        }
    });
    vit
}

#[test]
fn weights_are_found_wherever_people_save_them() {
    let expected = layout_weights();
    let cases = [
        ("net.pth", Some("net"), "", Some(7)),
        (
            "compiled.pth",
            Some("state_dict"),
            "module._orig_mod.",
            Some(7),
        ),
        ("lightning.pth", Some("state_dict"), "model.", Some(7)),
        ("averaged.pth", None, "module.", None),
        ("nested.pth", Some("model.ema.state_dict"), "", Some(7)),
        ("list.pth", Some("0"), "", None),
        ("parameters.pth", None, "", None),
        ("profiled.pth", None, "", None),
        ("beside.pth", Some("model"), "", Some(7)),
        ("protocol_4.pth", Some("model"), "", Some(7)),
        ("float16.pth", None, "", None),
        ("bfloat16.pth", Some("model"), "", None),
        ("plain.safetensors", None, "", None),
        ("metadata.safetensors", None, "module.", None),
    ];
    for (name, key, prefix, epoch) in cases {
        let found = layout(name).expect(name);
        let read = (found.key.as_deref(), found.prefix.as_str(), found.epoch);
        assert_eq!(read, (key, prefix, epoch), "{name}");
        assert_same(&found.vit, &expected);
    }
    let converted = |name: &str| layout(name).expect(name).converted;
    assert_eq!(converted("float16.pth"), [("float16", 19)].into());
    assert_eq!(converted("bfloat16.pth"), [("bfloat16", 19)].into());
    assert_eq!(converted("net.pth"), [].into());
}

#[test]
fn what_is_saved_beside_weights_is_skipped_by_name() {
    for name in ["beside.pth", "protocol_4.pth"] {
        let skipped = layout(name).expect(name).skipped.join(", ");
        let first = "`best_acc` (NumPy scalar), `history` (NumPy array), `shape` (torch.Size), \
                     `device` (torch.device), `dtype` (torch.float16), ";
        assert!(skipped.starts_with(first), "{name}: {skipped}");
        assert!(skipped.ends_with(" more"), "{name}: {skipped}");
    }
    let lightning = layout("lightning.pth").expect("weights").skipped;
    assert_eq!(lightning, ["`state_dict.criterion.weight` (tensor [10])"]);
}

#[test]
fn what_cannot_be_imported_says_what_it_is() {
    let expect = |name: &str, texts: &[&str]| {
        let found = layout(name).expect_err(name);
        for text in texts {
            assert!(found.contains(text), "{name}: {found}\nexpected {text}");
        }
        // Whoever has a file has no live model.
        assert!(!found.contains("model.state_dict()"), "{name}: {found}");
    };
    expect("model_ema.pth", &["`model`, `model_ema`"]);
    expect(
        "numpy.pth",
        &["in `model`: tensor `pos_embedding`", "NumPy array", "hint:"],
    );
    expect(
        "own_class.pth",
        &[
            "its pickle calls or names `__main__.Own`",
            "nothing of it was run",
        ],
    );
    expect("before_1_6.pth", &["PyTorch before 1.6"]);
    let part = [
        "one attention alone",
        "whole network",
        "weights/submodel.safetensors",
    ];
    expect("part_att.pth", &part);
    expect("deflated.pth", &["is compressed", "hint:", "zip -0"]);
    expect("float64.pth", &["tensor `pos_embedding`", "found float64"]);
    let options = pth::Options {
        convert: true,
        ..pth::Options::default()
    };
    let rounded = pth::load_with(&fixture("layouts/float64.pth"), &small(), &options);
    assert_same(&rounded.expect("rounded").vit, &layout_weights());
    let options = pth::Options {
        key: Some("model_ema".to_owned()),
        ..pth::Options::default()
    };
    let ema = pth::load_with(&fixture("layouts/model_ema.pth"), &small(), &options);
    assert_eq!(ema.expect("an entry").key.as_deref(), Some("model_ema"));
}

#[test]
fn a_tensor_of_another_kind_is_there_but_not_read() {
    let path = fixture("layouts/kinds.pth");
    let told = Told {
        heads: Some(2),
        pool: None,
    };
    for (kind, found, plain) in [
        ("quantized", "a quantized tensor", "tensor.dequantize()"),
        ("sparse", "a sparse tensor", "tensor.to_dense()"),
        ("csr", "a sparse tensor", "tensor.to_dense()"),
        ("meta", "a tensor without numbers", "another file"),
        (
            "float8",
            "a tensor of dtype float8_e4m3fn",
            "tensor.float()",
        ),
        (
            "negated",
            "a tensor that is conjugated or negated",
            "resolve_neg()",
        ),
        (
            "class",
            "a tensor of a class of its own",
            "as_subclass(torch.Tensor)",
        ),
        (
            "nested",
            "`torch._utils._rebuild_nested_tensor`",
            "tensor.cpu()",
        ),
    ] {
        let options = pth::Options {
            key: Some(kind.to_owned()),
            ..pth::Options::default()
        };
        let loaded = pth::load_with(&path, &small(), &options).expect_err(kind);
        // Whether the sizes are known or come from the shapes.
        let sizes = pth::config_of(&path, Some(kind), told).expect_err(kind);
        for message in [loaded.to_string(), sizes.to_string()] {
            let head = format!("in `{kind}`: tensor `mlp_head.1.weight`: expected plain numbers");
            for expected in [&*head, found, "hint:", plain] {
                assert!(message.contains(expected), "{message}\nexpected {expected}");
            }
            assert!(!message.contains("model"), "{message}");
        }
    }
}

#[test]
fn a_part_of_a_checkpoint_says_how_parts_are_joined() {
    let folder = tempfile::tempdir().expect("folder");
    let first = folder.path().join("vit-00001-of-00002.bin");
    fs::copy(fixture("layouts/net.pth"), &first).expect("copy");
    let larger = VitConfig {
        layers: 2,
        ..small()
    };
    let missing = pth::load(&first, &larger).expect_err("a part").to_string();
    assert!(
        missing.contains("part 1 of 2 of a checkpoint") && missing.contains("vit-*-of-*.bin"),
        "{missing}"
    );
    assert!(pth::load(&first, &small()).is_ok(), "all weights are in it");

    let header = br#"{"pos_embedding":{"dtype":"F32","shape":[1,5,8],"data_offsets":[0,160]}}"#;
    let second = folder.path().join("vit-00002-of-00002.safetensors");
    let length = (header.len() as u64).to_le_bytes();
    fs::write(&second, [&length[..], header, &[0; 160]].concat()).expect("write");
    let missing = pth::config_of(&second, None, Told::default()).expect_err("a part");
    let missing = missing.to_string();
    assert!(
        missing.contains("part 2 of 2") && missing.contains("load_file(part)"),
        "{missing}"
    );
}

/// Many more than the test below has, of five layouts and of a file that would call
/// `posix.system`: `cargo test --release -p trainer --test pth -- --ignored --nocapture`.
#[test]
#[ignore = "a minute of one core"]
fn a_hundred_thousand_broken_files_of_five_layouts_are_read_in_time() {
    let names = [
        "layouts/beside.pth",
        "layouts/protocol_4.pth",
        "layouts/compiled.pth",
        "layouts/model_ema.pth",
        "layouts/metadata.safetensors",
        "hostile.pth",
    ];
    let files = names.map(|name| fs::read(fixture(name)).expect("fixture"));
    let pickles = files.each_ref().map(|file| pickle_of(file));
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("broken.pth");
    let before = most_memory();
    let mut random = ChaCha8Rng::seed_from_u64(17);
    let (mut refused, mut slowest) = (0, Duration::ZERO);
    for round in 0..100_000 {
        let layout = round % files.len();
        let bytes = match &pickles[layout] {
            Some(pickle) if random.random() => {
                let mut pickle = pickle.clone();
                mutate(&mut pickle, &mut random);
                with_pickle(&pickle, &files[layout])
            }
            _ => {
                let mut bytes = files[layout].clone();
                mutate(&mut bytes, &mut random);
                bytes
            }
        };
        fs::write(&path, bytes).expect("write");
        let started = Instant::now();
        let read = pth::load(&path, &small());
        slowest = slowest.max(started.elapsed());
        if let Err(error) = read {
            refused += 1;
            assert!(error.to_string().len() < 20_000, "{error}");
        }
    }
    println!(
        "{refused} refused, slowest {slowest:?}, {:?} KiB at most",
        most_memory()
    );
    assert!(!Path::new("the-pickle-was-run").exists());
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    assert!(refused > 40_000, "{refused} were refused");
    assert_little_memory(before);
}

/// The pickle of a checkpoint, if it is one.
fn pickle_of(file: &[u8]) -> Option<Vec<u8>> {
    let mut zip = ZipArchive::new(Cursor::new(file)).ok()?;
    let mut names = zip.file_names().filter_map(Result::ok);
    let name = names.find(|name| name.ends_with("/data.pkl"))?.into_owned();
    drop(names);
    let mut pickle = Vec::new();
    let mut entry = zip.by_name(&name).ok()?;
    entry.read_to_end(&mut pickle).ok()?;
    Some(pickle)
}

/// Changes bytes as a bad disk or a bad person might: one to four times overwritten, flipped,
/// removed, doubled or cut.
fn mutate(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    for _ in 0..random.random_range(1..=4) {
        if bytes.is_empty() {
            return;
        }
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
