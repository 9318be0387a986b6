//! Checkpoints as PyTorch writes them, and ones that break one rule each.

use std::io::Cursor;

use proto::checkpoint::ArchiveWriter;
use proto::config::{Parameter, Preset, VitConfig};
use proto::pickle::Pickler;
use tch::{Device, Kind};

use super::{Checkpoint, Options};
use crate::pth::error::PthFault;
use crate::tensor_file::shape_and_bytes;
use crate::vit::Vit;

/// One tensor of a checkpoint, all of which tests may change.
#[derive(Clone)]
struct Entry {
    name: String,
    class: &'static str,
    location: &'static str,
    key: String,
    elements: usize,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
    /// The storage, unless another entry has it.
    bytes: Option<Vec<u8>>,
}

fn config() -> VitConfig {
    VitConfig {
        dim: 8,
        layers: 1,
        heads: 2,
        dim_head: 4,
        mlp_dim: 8,
        ..Preset::Nano.config()
    }
}

fn entries() -> (Vit, Vec<Entry>) {
    tch::manual_seed(7);
    let vit = Vit::new(&config(), Device::Cpu, 1.0);
    let variables = vit.variables();
    let entry = |(index, Parameter { name, .. }): (usize, Parameter)| {
        let (shape, bytes) = shape_and_bytes(&variables[&name]);
        Entry {
            name,
            class: "FloatStorage",
            location: "cpu",
            key: index.to_string(),
            elements: bytes.len() / 4,
            offset: 0,
            strides: (1..=shape.len())
                .map(|inner| shape[inner..].iter().product())
                .collect(),
            shape,
            bytes: Some(bytes),
        }
    };
    let entries = config()
        .parameters()
        .into_iter()
        .enumerate()
        .map(entry)
        .collect();
    (vit, entries)
}

fn state_dict(pickler: &mut Pickler, entries: &[Entry]) {
    pickler.ordered_dict().op(b'(');
    for Entry {
        name,
        class,
        location,
        key,
        elements,
        offset,
        shape,
        strides,
        ..
    } in entries
    {
        pickler
            .text(name)
            .global("torch._utils", "_rebuild_tensor_v2")
            .op(b'(');
        pickler
            .storage(class, key, location, *elements)
            .int(*offset)
            .counts(shape)
            .counts(strides);
        pickler.op(0x89).ordered_dict().op(b't').op(b'R');
    }
    pickler.op(b'u');
}

fn file(pickle: &[u8], entries: &[Entry]) -> Cursor<Vec<u8>> {
    let mut writer = ArchiveWriter::new(Cursor::new(Vec::new()));
    writer.entry("data.pkl", pickle).expect("write");
    for Entry { key, bytes, .. } in entries {
        if let Some(bytes) = bytes {
            writer.entry(&format!("data/{key}"), bytes).expect("write");
        }
    }
    Cursor::new(writer.finish().expect("write").into_inner())
}

fn read(file: Cursor<Vec<u8>>, config: &VitConfig) -> Result<Checkpoint, PthFault> {
    super::read(file, config, &Options::default())
}

/// Pushes one value.
type Push<'a> = &'a dyn Fn(&mut Pickler);

/// A dict of entries, each with what a closure writes.
fn dict(values: &[(&str, Push<'_>)]) -> Pickler {
    let mut pickler = Pickler::new();
    pickler.op(b'}').op(b'(');
    for (key, write) in values {
        pickler.text(key);
        write(&mut pickler);
    }
    pickler.op(b'u');
    pickler
}

fn bare(entries: &[Entry]) -> Result<Checkpoint, PthFault> {
    let mut pickler = Pickler::new();
    state_dict(&mut pickler, entries);
    read(file(&pickler.stop(), entries), &config())
}

fn refusal(change: impl FnOnce(&mut Vec<Entry>)) -> String {
    let (_, mut entries) = entries();
    change(&mut entries);
    bare(&entries).expect_err("must be refused").to_string()
}

#[track_caller]
fn assert_same(found: &Checkpoint, expected: &Vit) {
    for (name, tensor) in expected.variables() {
        assert_eq!(
            shape_and_bytes(&found.vit.variables()[&name]),
            shape_and_bytes(&tensor),
            "{name}"
        );
    }
}

fn at<'a>(entries: &'a mut [Entry], name: &str) -> &'a mut Entry {
    entries
        .iter_mut()
        .find(|entry| entry.name == name)
        .expect("entry")
}

const HEAD: &str = "mlp_head.1.weight"; // [10, 8]

#[test]
fn a_bare_state_dict_and_one_in_a_checkpoint_give_the_same_network() {
    let (vit, entries) = entries();
    let found = bare(&entries).expect("a state dict");
    assert_eq!(found.epoch, None);
    assert_same(&found, &vit);

    let mut pickler = Pickler::new();
    pickler
        .op(b'}')
        .op(b'(')
        .text("epoch")
        .int(7)
        .text("model_state_dict");
    state_dict(&mut pickler, &entries);
    pickler.text("optimizer_state_dict").op(b'}').op(b'u');
    let found = read(file(&pickler.stop(), &entries), &config()).expect("a checkpoint");
    assert_eq!(found.epoch, Some(7));
    assert_same(&found, &vit);
}

#[test]
fn order_device_layout_and_shared_storages_make_no_difference() {
    let (vit, mut entries) = entries();
    entries.reverse();
    entries
        .iter_mut()
        .for_each(|entry| entry.location = "cuda:0");
    // The head's weight by columns.
    let head = at(&mut entries, HEAD);
    let rows = head.bytes.clone().expect("bytes");
    let columns = (0..8).flat_map(|column| {
        (0..10).flat_map(move |row| (row * 8 + column) * 4..(row * 8 + column) * 4 + 4)
    });
    head.bytes = Some(columns.map(|byte| rows[byte]).collect());
    head.strides = vec![1, 10];
    // Its bias in the storage of a norm's.
    let bias = at(&mut entries, "mlp_head.1.bias")
        .bytes
        .take()
        .expect("bytes");
    let norm = at(&mut entries, "mlp_head.0.bias");
    norm.bytes.as_mut().expect("bytes").extend(bias);
    norm.elements += 10;
    let (key, elements) = (norm.key.clone(), norm.elements);
    let bias = at(&mut entries, "mlp_head.1.bias");
    (bias.key, bias.elements, bias.offset) = (key, elements, 8);
    // A norm's ones as one number for all, by a stride of 0.
    let ones = at(&mut entries, "mlp_head.0.weight");
    (ones.bytes, ones.elements, ones.strides) = (Some(1_f32.to_le_bytes().to_vec()), 1, vec![0]);
    // The stride of an axis of length 1 may be anything.
    at(&mut entries, "cls_token").strides = vec![usize::MAX >> 2, 3, 1];
    assert_same(&bare(&entries).expect("a state dict"), &vit);
}

#[test]
fn the_first_difference_is_named() {
    let missing = refusal(|entries| entries.retain(|entry| !entry.name.starts_with("mlp_head.1")));
    assert_eq!(
        missing,
        "tensor `mlp_head.1.weight` is missing, expected with shape [10, 8]"
    );
    let extra = refusal(|entries| {
        let copy = Entry {
            name: "running\nmean".to_owned(),
            bytes: None,
            ..entries[0].clone()
        };
        entries.insert(1, copy);
    });
    assert_eq!(
        extra,
        r"tensor `running\nmean` of shape [1, 65, 8] is no parameter of the network"
    );
    let shape = refusal(|entries| {
        at(entries, "mlp_head.1.bias").class = "IntStorage";
        at(entries, HEAD).shape = vec![8, 10];
    });
    assert_eq!(
        shape,
        "tensor `mlp_head.1.weight`: expected shape [10, 8], found [8, 10]: it lies \
         transposed"
    );
    let dtype = refusal(|entries| at(entries, HEAD).class = "IntStorage");
    assert_eq!(
        dtype,
        "tensor `mlp_head.1.weight`: expected dtype float32, float16 or bfloat16, found int32"
    );
    let twice = refusal(|entries| {
        entries.push(Entry {
            bytes: None,
            ..entries[0].clone()
        })
    });
    assert_eq!(twice, "tensor `pos_embedding` appears twice");
    let nan = refusal(|entries| {
        let bytes = at(entries, HEAD).bytes.as_mut().expect("bytes");
        bytes[8..12].copy_from_slice(&f32::INFINITY.to_le_bytes());
    });
    assert_eq!(
        nan,
        "tensor `mlp_head.1.weight`: element 2 is inf, expected a finite number"
    );
}

#[test]
fn views_that_reach_past_their_storage_are_refused() {
    let message = "tensor `mlp_head.1.weight`: reaches past the 80 elements of its storage `17`";
    assert_eq!(refusal(|entries| at(entries, HEAD).offset = 1), message);
    assert_eq!(
        refusal(|entries| at(entries, HEAD).strides = vec![9, 1]),
        message
    );
    assert_eq!(
        refusal(|entries| at(entries, HEAD).strides = vec![i64::MAX as usize, 1]),
        message
    );
    assert_eq!(
        refusal(|entries| at(entries, HEAD).offset = i64::MAX as usize),
        message
    );
    // A storage that is said to be larger than any file.
    let huge = refusal(|entries| at(entries, HEAD).elements = i64::MAX as usize);
    assert_eq!(
        huge,
        "entry `archive/data/17`: 320 bytes, expected 36893488147419103228"
    );
    // A storage's key is looked up in the archive, whatever it looks like.
    let path = refusal(|entries| {
        let head = at(entries, HEAD);
        (head.key, head.bytes) = ("../../../../../etc/passwd".to_owned(), None);
    });
    assert_eq!(
        path,
        "no entry `archive/data/../../../../../etc/passwd` in the archive"
    );
}

#[test]
fn other_objects_are_refused() {
    let message = |build: &dyn Fn(&mut Pickler)| {
        let mut pickler = Pickler::new();
        build(&mut pickler);
        read(file(&pickler.stop(), &[]), &config())
            .expect_err("must be refused")
            .to_string()
    };
    let none = "no weights of the network in it: expected tensors by name, such as \
                `pos_embedding`, found ";
    let list = message(&|p| {
        p.op(b']');
    });
    assert_eq!(list, format!("{none}list"));
    let entries = message(&|p| {
        p.op(b'}').text("model_state_dict").int(3).op(b's');
        p.int(1).op(b']').op(b's');
    });
    assert_eq!(
        entries,
        format!("{none}`model_state_dict` (int), `1` (list)")
    );
    let empty = message(&|p| {
        p.op(b'}');
    });
    assert_eq!(empty, format!("{none}dict"));
    let number = message(&|p| {
        p.op(b'}').text(HEAD).int(3).op(b's');
    });
    assert_eq!(
        number,
        "tensor `pos_embedding` is missing, expected with shape [1, 65, 8]"
    );
    let called = message(&|p| {
        p.global("vit", "ViT").op(b')').op(0x81).op(b'}').op(b'b');
    });
    assert!(
        called.starts_with("its pickle calls or names `vit.ViT`")
            && called.contains("state_dict()"),
        "{called}"
    );
}

#[test]
fn the_one_entry_that_fits_is_found_and_two_are_told_apart() {
    let (vit, entries) = entries();
    let weights = |p: &mut Pickler| state_dict(p, &entries);
    let number = |p: &mut Pickler| {
        p.int(3);
    };
    let mut others = entries.clone();
    others.iter_mut().for_each(|entry| entry.key += "-ema");
    let ema = |p: &mut Pickler| state_dict(p, &others);
    let both: Vec<Entry> = entries.iter().chain(&others).cloned().collect();

    let one = dict(&[("net", &weights), ("acc", &number), ("epoch", &number)]);
    let found = read(file(&one.stop(), &entries), &config()).expect("one");
    assert_eq!((found.key.as_deref(), found.epoch), (Some("net"), Some(3)));
    assert_same(&found, &vit);

    let mut fewer = others.clone();
    fewer.pop();
    let fewer = |p: &mut Pickler| state_dict(p, &fewer);
    let one = dict(&[("best", &fewer), ("last", &weights)]);
    let found = read(file(&one.stop(), &both), &config()).expect("one that fits");
    assert_eq!(found.key.as_deref(), Some("last"));

    // The same tensors twice are no choice.
    let same = dict(&[("model", &weights), ("net", &weights)]);
    let found = read(file(&same.stop(), &entries), &config()).expect("the same");
    assert_eq!(found.key.as_deref(), Some("model"));

    let two = dict(&[("model", &weights), ("model_ema", &ema)]).stop();
    let several = read(file(&two, &both), &config()).expect_err("two");
    assert_eq!(
        several.to_string(),
        "several entries are weights of the network: `model`, `model_ema`"
    );
    let under = |key: &str| {
        let options = Options {
            key: Some(key.to_owned()),
            ..Options::default()
        };
        super::read(file(&two, &both), &config(), &options)
    };
    let found = under("model_ema").expect("one of two");
    assert_eq!(found.key.as_deref(), Some("model_ema"));
    assert_eq!(
        under("ema").expect_err("no such entry").to_string(),
        "no weights under `ema`: expected one of `model`, `model_ema`"
    );
}

#[test]
fn averages_beside_the_weights_in_one_dict_are_no_silent_choice() {
    let (vit, entries) = entries();
    let mut averages = entries.clone();
    for entry in &mut averages {
        entry.name.insert_str(0, "ema.");
        entry.key += "-ema";
    }
    let both: Vec<Entry> = entries.iter().chain(&averages).cloned().collect();
    let several = bare(&both).expect_err("two");
    assert_eq!(
        several.to_string(),
        "several entries are weights of the network: `.`, `ema`"
    );
    let mut pickler = Pickler::new();
    state_dict(&mut pickler, &both);
    let pickle = pickler.stop();
    let under = |key: &str| {
        let options = Options {
            key: Some(key.to_owned()),
            ..Options::default()
        };
        super::read(file(&pickle, &both), &config(), &options).expect(key)
    };
    assert_eq!(under(".").prefix, "");
    assert_same(&under("."), &vit);
    assert_eq!(under("ema").prefix, "ema.");
}

#[test]
fn a_prefix_that_the_names_share_is_taken_off() {
    let (vit, entries) = entries();
    let with = |prefix: &str| -> Vec<Entry> {
        let mut renamed = entries.clone();
        for entry in &mut renamed {
            entry.name.insert_str(0, prefix);
        }
        renamed
    };
    for prefix in [
        "module.",
        "_orig_mod.",
        "model.",
        "module._orig_mod.model.",
        "a.b.",
    ] {
        let found = bare(&with(prefix)).expect(prefix);
        assert_eq!(found.prefix, prefix);
        assert_same(&found, &vit);
    }
    // As torch.optim.swa_utils.AveragedModel counts: what has no prefix is no part of the network.
    let mut averaged = with("module.");
    averaged.push(Entry {
        name: "n_averaged".to_owned(),
        shape: vec![],
        strides: vec![],
        bytes: None,
        ..entries[0].clone()
    });
    let found = bare(&averaged).expect("averaged");
    assert_eq!(found.skipped, ["`n_averaged` (tensor [])"]);
    // A tensor more behind the prefix is another network.
    let last = averaged.last_mut().expect("an entry");
    last.name.insert_str(0, "module.");
    assert_eq!(
        bare(&averaged).expect_err("another network").to_string(),
        "in `module`: tensor `n_averaged` of shape [] is no parameter of the network"
    );
}

#[test]
fn prefixes_that_not_all_names_share_are_said_and_not_put_together() {
    let (_, entries) = entries();
    let with = |prefix: &dyn Fn(&str) -> &'static str| {
        let mut renamed = entries.clone();
        for entry in &mut renamed {
            entry.name.insert_str(0, prefix(&entry.name));
        }
        bare(&renamed).expect_err("refused").to_string()
    };
    let is_head = |name: &str| name.starts_with("mlp_head");
    assert_eq!(
        with(&|name| if is_head(name) { "" } else { "module." }),
        "no prefix is shared by all names of the network: `module.` before 15 names such as \
         `pos_embedding`, nothing before 4 names such as `mlp_head.0.weight`\n\
         hint: if they are of one network, in Python: torch.save({name.removeprefix(\"module.\"): \
         tensor for name, tensor in torch.load(FILE).items()}, NEW)"
    );
    let parts = with(&|name| if is_head(name) { "head." } else { "backbone." });
    assert!(
        parts.contains("`backbone.` before 15 names") && parts.contains("`head.` before 4 names"),
        "{parts}"
    );
    // One name alone, and a prefix that begins as another does.
    let first = with(&|name| match name {
        "cls_token" => "module._orig_mod.",
        _ => "module.",
    });
    assert!(
        first.contains("`module._orig_mod.` before `cls_token`")
            && first.contains("name.removeprefix(\"module._orig_mod.\").removeprefix(\"module.\")"),
        "{first}"
    );
    // What stands twice is not renamed.
    let mut twice = entries.clone();
    twice.retain(|entry| entry.name != HEAD);
    for name in ["module.cls_token", "module.mlp_head.1.weight"] {
        let mut other = entries[0].clone();
        (other.name, other.bytes) = (name.to_owned(), None);
        twice.push(other);
    }
    let twice = bare(&twice).expect_err("refused").to_string();
    assert!(twice.contains("`cls_token` stands twice"), "{twice}");
}

#[test]
fn a_second_value_of_a_parameter_is_no_silent_choice() {
    let (vit, entries) = entries();
    let second = |prefix: &str, own: &str, shape: &[usize]| {
        let mut both = entries.clone();
        for entry in &mut both {
            entry.name.insert_str(0, own);
        }
        let other = entries.iter().find(|entry| entry.name == HEAD);
        let mut other = other.expect("the head").clone();
        other.name.insert_str(0, prefix);
        other.key += "-other";
        other.shape = shape.to_vec();
        both.push(other);
        both
    };
    let refused = |entries: &[Entry]| bare(entries).expect_err("two values").to_string();
    let beside = second("", "module.", &[10, 8]);
    assert_eq!(
        refused(&beside),
        "two values of the parameter `mlp_head.1.weight`: `module.mlp_head.1.weight` and \
         `mlp_head.1.weight`"
    );
    let behind = refused(&second("ema.", "", &[10, 8]));
    assert!(
        behind.ends_with("`mlp_head.1.weight` and `ema.mlp_head.1.weight`"),
        "{behind}"
    );
    // Whoever names the prefix has chosen.
    let mut pickler = Pickler::new();
    state_dict(&mut pickler, &beside);
    let options = Options {
        key: Some("module".to_owned()),
        ..Options::default()
    };
    let found = super::read(file(&pickler.stop(), &beside), &config(), &options);
    assert_same(&found.expect("the whole copy"), &vit);
    // Another shape is no value of it, and the same tensor is no other value.
    assert!(bare(&second("teacher.", "student.", &[8, 10])).is_ok());
    let mut same = second("", "module.", &[10, 8]);
    let other = same.last_mut().expect("an entry");
    (other.key, other.bytes) = (other.key.replace("-other", ""), None);
    assert!(bare(&same).is_ok());
}

#[test]
fn counts_of_a_profiler_are_skipped_and_said() {
    let (vit, mut entries) = entries();
    for name in ["total_ops", "total_params", "mlp_head.0.total_ops"] {
        let mut count = entries[0].clone();
        (count.name, count.bytes) = (name.to_owned(), None);
        entries.push(count);
    }
    let found = bare(&entries).expect("weights");
    assert_eq!(
        found.skipped,
        ["3 counts of a profiler, such as `total_ops`"]
    );
    assert_same(&found, &vit);
}

#[test]
fn what_stands_beside_the_weights_is_skipped_and_named() {
    let (vit, entries) = entries();
    let weights = |p: &mut Pickler| state_dict(p, &entries);
    let called = |p: &mut Pickler| {
        p.global("posix", "system").text("id").op(0x85).op(b'R');
    };
    let list = |p: &mut Pickler| {
        p.op(b']').global("torch", "float32").op(b'a');
    };
    let other = dict(&[
        ("state_dict", &weights),
        ("run", &called),
        ("dtypes", &list),
    ]);
    let found = read(file(&other.stop(), &entries), &config()).expect("weights");
    assert_eq!(
        found.skipped,
        ["`run` (posix.system)", "`dtypes.0` (torch.float32)"]
    );
    assert_same(&found, &vit);

    // In the weights themselves it is refused.
    let mut pickler = Pickler::new();
    state_dict(&mut pickler, &entries);
    pickler.text(HEAD);
    called(&mut pickler);
    pickler.op(b's');
    let twice = read(file(&pickler.stop(), &entries), &config()).expect_err("refused");
    assert_eq!(
        twice.to_string(),
        "tensor `mlp_head.1.weight` appears twice"
    );
    let without: Vec<Entry> = entries
        .iter()
        .filter(|entry| entry.name != HEAD)
        .cloned()
        .collect();
    let mut pickler = Pickler::new();
    state_dict(&mut pickler, &without);
    pickler.text(HEAD);
    called(&mut pickler);
    pickler.op(b's');
    let refused = read(file(&pickler.stop(), &entries), &config()).expect_err("refused");
    assert_eq!(
        refused.to_string(),
        "tensor `mlp_head.1.weight`: its pickle calls or names `posix.system`, which no state \
         dict needs: refused, and nothing of it was run"
    );
}

#[test]
fn narrower_numbers_are_widened_and_wider_ones_rounded_only_if_asked_for() {
    let (vit, entries) = entries();
    let converted = |class: &'static str, kind: Kind| {
        let mut converted = entries.clone();
        for entry in &mut converted {
            let tensor = vit.variables()[&entry.name].to_kind(kind);
            let size = kind.elt_size_in_bytes();
            let mut bytes = vec![0; tensor.numel() * size];
            tensor.copy_data_u8(&mut bytes, tensor.numel());
            (entry.class, entry.bytes) = (class, Some(bytes));
        }
        converted
    };
    for (class, kind, dtype) in [
        ("HalfStorage", Kind::Half, "float16"),
        ("BFloat16Storage", Kind::BFloat16, "bfloat16"),
    ] {
        let found = bare(&converted(class, kind)).expect(dtype);
        assert_eq!(found.converted, [(dtype, entries.len())].into());
        for (name, tensor) in vit.variables() {
            let expected = tensor.to_kind(kind).to_kind(Kind::Float);
            assert_eq!(found.vit.variables()[&name], expected, "{dtype} {name}");
        }
    }
    let doubles = converted("DoubleStorage", Kind::Double);
    assert_eq!(
        bare(&doubles).expect_err("float64").to_string(),
        "tensor `pos_embedding`: expected dtype float32, float16 or bfloat16, found float64"
    );
    let mut pickler = Pickler::new();
    state_dict(&mut pickler, &doubles);
    let options = Options {
        convert: true,
        ..Options::default()
    };
    let found = super::read(file(&pickler.stop(), &doubles), &config(), &options);
    assert_same(&found.expect("rounded"), &vit);

    // The largest number of float32 stays; what would become infinite is refused.
    let mut large = doubles.clone();
    let head = at(&mut large, HEAD).bytes.as_mut().expect("bytes");
    for (element, value) in [(1, f64::from(f32::MAX)), (2, 3.5e38), (7, -1e300)] {
        head[8 * element..][..8].copy_from_slice(&f64::to_le_bytes(value));
    }
    let mut pickler = Pickler::new();
    state_dict(&mut pickler, &large);
    let beyond = super::read(file(&pickler.stop(), &large), &config(), &options);
    assert_eq!(
        beyond.expect_err("no float32").to_string(),
        "tensor `mlp_head.1.weight`: 2 of 80 numbers are beyond the range of float32, such as \
         3.5e38 at element 2"
    );
}
