//! Pickles as PyTorch writes them, and pickles that break one rule each.

use super::Pickle;
use super::fault::PickleFault;
use super::value::{Storage, Value, View};
use crate::pth::write::Pickler;

fn refusal(bytes: &[u8]) -> String {
    Pickle::parse(bytes)
        .expect_err("must be refused")
        .to_string()
}

/// A tensor of shape [2, 3] in Fortran order, from the second element of a storage of ten.
fn tensor(pickler: &mut Pickler) -> &mut Pickler {
    pickler
        .global("torch._utils", "_rebuild_tensor_v2")
        .op(b'(')
        .storage("FloatStorage", "7", "cuda:0", 10);
    pickler
        .int(1)
        .counts(&[2, 3])
        .counts(&[1, 2])
        .op(0x89)
        .ordered_dict()
}

#[test]
fn a_tensor_is_a_view_of_a_storage_wherever_that_was() {
    let mut pickler = Pickler::new();
    tensor(&mut pickler).op(b't').op(b'R');
    let bytes = pickler.stop();
    let pickle = Pickle::parse(&bytes).expect("a tensor");
    let storage = Storage {
        dtype: "float32",
        key: "7",
        elements: 10,
    };
    let view = View {
        storage,
        offset: 1,
        shape: vec![2, 3],
        strides: vec![1, 2],
    };
    assert_eq!(pickle.tensor(pickle.root), Some(&view));
    for length in 0..bytes.len() {
        assert_eq!(
            refusal(&bytes[..length]),
            PickleFault::EndsEarly.to_string()
        );
    }
}

#[test]
fn what_optimizers_and_schedulers_save_is_understood_and_dropped() {
    // pickle.dumps({"a": [1, 2.5, None, True], "b": (2**40, -1, {}), "c": [3]}, 2)
    let two = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01G@\x04\x00\x00\x00\x00\x00\x00N\
                \x88eX\x01\x00\x00\x00bq\x03\x8a\x06\x00\x00\x00\x00\x00\x01J\xff\xff\xff\xff}\
                q\x04\x87q\x05X\x01\x00\x00\x00cq\x06]q\x07K\x03au.";
    // pickle.dumps({"a": "b"}, 4)
    let four = b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94\x8c\x01b\x94s.";
    let pickle = Pickle::parse(two).expect("protocol 2");
    let entries = pickle.dict(pickle.root).expect("a dict");
    let types: Vec<_> = entries
        .iter()
        .map(|&(key, value)| (key, pickle.type_name(value)))
        .collect();
    assert_eq!(
        types,
        [
            (Value::Text("a"), "list"),
            (Value::Text("b"), "tuple"),
            (Value::Text("c"), "list")
        ]
    );
    let pickle = Pickle::parse(four).expect("protocol 4");
    assert_eq!(
        pickle.dict(pickle.root),
        Some(&[(Value::Text("a"), Value::Text("b"))][..])
    );
}

#[test]
fn functions_are_refused_by_name_in_every_protocol() {
    // pickle.dumps of an object whose __reduce__ is (os.system, ("id",)), protocols 2 and 4.
    let two = b"\x80\x02cposix\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02Rq\x03.";
    let four =
        b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\
                 \x8c\x02id\x94\x85\x94R\x94.";
    for bytes in [&two[..], &four[..]] {
        assert!(
            refusal(bytes).contains("`posix.system`, which no state dict needs"),
            "{}",
            refusal(bytes)
        );
    }
    // What looks much like the names that are known.
    for (module, name) in [
        ("torch", "load"),
        ("torch", "Storage"),
        ("torch._utils", "_rebuild_tensor"),
        ("torch.storage", "_load_from_bytes"),
        ("collections", "defaultdict"),
        ("collections.OrderedDict", "fromkeys"),
        ("builtins", "eval"),
    ] {
        let mut pickler = Pickler::new();
        pickler.global(module, name);
        assert!(
            refusal(&pickler.stop()).contains(&format!("`{module}.{name}`")),
            "{module}.{name}"
        );
    }
    assert!(refusal(b"\x80\x02cos\x1b[2J\nsystem\n.").contains(r"`os\u{1b}[2J.system`"));
}

#[test]
fn each_instruction_checks_what_it_finds() {
    let malformed = |code: &[u8], expected: &str, found: &str| {
        let text = format!(": expected {expected}, found {found}");
        assert!(
            refusal(code).ends_with(&text),
            "{}\nexpected {text}",
            refusal(code)
        );
    };
    malformed(b".", "a result", "nothing");
    malformed(b"(.", "a result", "nothing");
    malformed(b"K\x01(\x85.", "an item", "nothing");
    malformed(b"t.", "a mark", "none");
    malformed(b"q\x00.", "a value", "nothing");
    malformed(b"h\x00.", "a remembered value", "none");
    malformed(b"NNNs.", "a dict", "None");
    malformed(b"}(Nu.", "keys and values in pairs", "a key alone");
    malformed(b"}Na.", "a list", "dict");
    malformed(b"]Nb.", "a dict", "list");
    malformed(b"NK\x01R.", "a tuple", "int");
    malformed(b"N)R.", "a function", "None");
    malformed(
        b"ccollections\nOrderedDict\nN\x85R.",
        "the arguments of torch.save",
        "other arguments",
    );
    malformed(
        b")Q.",
        "a storage's class, key, location and size",
        "something else",
    );
    malformed(b"X\x01\x00\x00\x00\xff.", "UTF-8", "other bytes");
    malformed(b"NN\x93.", "a str", "None");
    assert_eq!(
        refusal(b"N\x81."),
        "its pickle has opcode 0x81 at byte 1, which no state dict needs"
    );
    assert_eq!(refusal(b"N.N."), "its pickle has 2 bytes after STOP");
    assert_eq!(
        refusal(b"X\xff\xff\xff\xffa."),
        PickleFault::EndsEarly.to_string()
    );
}

#[test]
fn tensors_of_another_make_are_refused() {
    type Build<'a> = &'a dyn Fn(&mut Pickler);
    let rebuilt = |build: Build<'_>| {
        let mut pickler = Pickler::new();
        pickler
            .global("torch._utils", "_rebuild_tensor_v2")
            .op(b'(');
        build(&mut pickler);
        pickler.op(0x89).ordered_dict().op(b't').op(b'R');
        refusal(&pickler.stop())
    };
    let storage = |pickler: &mut Pickler| {
        pickler.storage("FloatStorage", "0", "cpu", 10);
    };
    let cases: [(&str, Build<'_>); 5] = [
        ("expected a storage, found int", &|p| {
            p.int(3).int(0).counts(&[2]).counts(&[1]);
        }),
        ("expected one stride for each axis", &|p| {
            storage(p);
            p.int(0).counts(&[2, 5]).counts(&[1]);
        }),
        ("expected at most 8 axes", &|p| {
            storage(p);
            p.int(0).counts(&[1; 9]).counts(&[1; 9]);
        }),
        ("expected a tuple, found int", &|p| {
            storage(p);
            p.int(0).int(10).counts(&[1]);
        }),
        ("expected a count, found a number out of range", &|p| {
            storage(p);
            p.int(0)
                .counts(&[2])
                .op(b'J')
                .op(0xff)
                .op(0xff)
                .op(0xff)
                .op(0xff)
                .op(0x85); // a stride of -1
        }),
    ];
    for (expected, build) in cases {
        assert!(rebuilt(build).contains(expected), "{}", rebuilt(build));
    }
}

#[test]
fn a_tensor_that_is_a_negation_is_refused() {
    // torch.save(torch._neg_view(tensor)) adds a seventh argument: the numbers are not those in
    // the storage.
    let mut pickler = Pickler::new();
    tensor(&mut pickler)
        .op(b'}')
        .text("neg")
        .op(0x88)
        .op(b's')
        .op(b't')
        .op(b'R');
    assert!(refusal(&pickler.stop()).contains("found one that is conjugated or negated"));
}

#[test]
fn nesting_and_cycles_of_any_depth_end() {
    let deep = [&b")"[..], &[0x85; 1_000_000], b"."].concat();
    assert!(Pickle::parse(&deep).is_ok());
    // A dict that is its own value.
    let cycle = b"}q\x00X\x01\x00\x00\x00ah\x00s.";
    let pickle = Pickle::parse(cycle).expect("a dict");
    assert_eq!(
        pickle.dict(pickle.root),
        Some(&[(Value::Text("a"), pickle.root)][..])
    );
}
