//! Checkpoints as PyTorch writes them, and ones that break one rule each.

use std::io::Cursor;

use proto::config::{Parameter, Preset, VitConfig};
use tch::Device;

use super::{Checkpoint, read};
use crate::pth::error::PthFault;
use crate::pth::write::{ArchiveWriter, Pickler};
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
        at(entries, "mlp_head.1.bias").class = "HalfStorage";
        at(entries, HEAD).shape = vec![8, 10];
    });
    assert_eq!(
        shape,
        "tensor `mlp_head.1.weight`: expected shape [10, 8], found [8, 10]"
    );
    let dtype = refusal(|entries| at(entries, HEAD).class = "HalfStorage");
    assert!(
        dtype.starts_with(
            "tensor `mlp_head.1.weight`: expected dtype float32, found float16\nhint:"
        )
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
    assert!(
        message(&|p| {
            p.op(b']');
        })
        .starts_with("expected a state dict, found list\nhint:")
    );
    let nested = message(&|p| {
        p.op(b'}').text("model_state_dict").int(3).op(b's');
    });
    assert!(nested.starts_with("expected a state dict, found int"));
    let entry = message(&|p| {
        p.op(b'}').text("epoch").int(3).op(b's');
    });
    assert!(entry.starts_with("entry `epoch`: expected a tensor, found int\nhint:"));
    let name = message(&|p| {
        p.op(b'}').int(1).int(3).op(b's');
    });
    assert_eq!(name, "a name in its state dict: expected str, found int");
    let empty = message(&|p| {
        p.op(b'}');
    });
    assert_eq!(
        empty,
        "tensor `pos_embedding` is missing, expected with shape [1, 65, 8]"
    );
}
