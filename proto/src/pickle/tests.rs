//! Pickles as PyTorch writes them, and pickles that break one rule each.

use super::Pickle;
use super::Pickler;
use super::fault::PickleFault;
use super::value::{Storage, Value, View};

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
        .map(|&(key, value)| (key, pickle.describe(value)))
        .collect();
    assert_eq!(
        types,
        [
            (Value::Text("a"), "list".to_owned()),
            (Value::Text("b"), "tuple".to_owned()),
            (Value::Text("c"), "list".to_owned())
        ]
    );
    let pickle = Pickle::parse(four).expect("protocol 4");
    assert_eq!(
        pickle.dict(pickle.root),
        Some(&[(Value::Text("a"), Value::Text("b"))][..])
    );
}

/// The name of what a pickle would call or is.
#[track_caller]
fn name(bytes: &[u8]) -> String {
    let pickle = Pickle::parse(bytes).expect("a pickle");
    assert!(pickle.name(pickle.root).is_some(), "{:?}", pickle.root);
    pickle.describe(pickle.root)
}

#[test]
fn a_call_is_kept_as_its_name_in_every_protocol() {
    // pickle.dumps of an object whose __reduce__ is (os.system, ("id",)), protocols 0, 2 and 4.
    let zero = b"cposix\nsystem\np0\n(Vid\np1\ntp2\nRp3\n.";
    let two = b"\x80\x02cposix\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02Rq\x03.";
    let four =
        b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\
                 \x8c\x02id\x94\x85\x94R\x94.";
    for bytes in [&zero[..], &two[..], &four[..]] {
        assert_eq!(name(bytes), "posix.system");
    }
    // Instances: INST, OBJ, NEWOBJ, NEWOBJ_EX, and with a state, items or entries.
    for code in [
        &b"(ios\nsystem\n."[..],
        b"(cos\nsystem\nX\x02\0\0\0ido.",
        b"cos\nsystem\n)\x81}b.",
        b"cos\nsystem\n)}\x92(K\x01K\x02u.",
        b"cos\nsystem\n)R(K\x01K\x02eK\x03a.",
        b"cos\nsystem\n)R(K\x01\x90.",
        b"cos\nsystem\n)R)R.",
    ] {
        assert_eq!(name(code), "os.system", "{}", code.escape_ascii());
    }
    // What looks much like the names that are understood.
    for (module, name_in_it) in [
        ("torch", "load"),
        ("torch", "Storage"),
        ("torch._utils", "_rebuild_tensor"),
        ("torch.storage", "_load_from_bytes"),
        ("collections", "defaultdict"),
        ("collections.OrderedDict", "fromkeys"),
    ] {
        let mut pickler = Pickler::new();
        pickler.global(module, name_in_it);
        assert_eq!(name(&pickler.stop()), format!("{module}.{name_in_it}"));
    }
    assert_eq!(
        name(b"\x80\x02cos\x1b[2J\nsystem\n."),
        r"os\u{1b}[2J.system"
    );
    assert_eq!(name(b"c__builtin__\nset\n."), "set");
}

#[test]
fn arrays_and_numbers_of_numpy_are_called_so() {
    // pickle.dumps(numpy.float32(0.5), 2), shortened.
    let scalar = b"\x80\x02cnumpy._core.multiarray\nscalar\nq\0cnumpy\ndtype\nX\x02\0\0\0f4\x89\
                   \x88\x87R(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\
                   C\x04\0\0\0?\x86R.";
    assert_eq!(name(scalar), "NumPy scalar");
    let array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R)b.";
    assert_eq!(name(array), "NumPy array");
}

#[test]
fn values_of_all_protocols_are_understood() {
    let describe = |bytes: &[u8]| {
        let pickle = Pickle::parse(bytes).expect("a pickle");
        pickle.describe(pickle.root)
    };
    for (code, expected) in [
        (&b"F0.5\n."[..], "float"),
        (b"I01\n.", "bool"),
        (b"I7\n.", "int"),
        (b"L7L\n.", "int"),
        (b"S'a'\n.", "str"),
        (b"Va\n.", "str"),
        (b"V\\u00e9\n.", "str"),
        (
            b"\x8b\x09\0\0\0\0\0\0\0\0\0\0\0\x01.",
            "int of more than 64 bits",
        ),
        (b"X\x01\0\0\0\xff.", "str"),
        (b"\x8d\x01\0\0\0\0\0\0\0a.", "str"),
        (b"U\x01a.", "str"),
        (b"C\x01\xff.", "bytes"),
        (b"B\x01\0\0\0\xff.", "bytes"),
        (b"\x96\x01\0\0\0\0\0\0\0\xff.", "bytes"),
        (b"\x8f(K\x01\x90.", "set"),
        (b"(K\x01\x91.", "frozenset"),
        (b"(K\x01K\x02d.", "dict"),
        (b"(K\x01l.", "list"),
        (b"]K\x010.", "list"),
        (b"](K\x011(0.", "list"),
        (b"]2a.", "list"),
        (b"]p5\n0g5\n.", "list"),
        (b"Pelsewhere\n.", "object elsewhere"),
    ] {
        assert_eq!(describe(code), expected, "{}", code.escape_ascii());
    }
}

#[test]
fn parameters_and_tensors_that_bear_attributes_are_tensors() {
    let is_tensor = |class: (&str, &str)| {
        let mut pickler = Pickler::new();
        pickler
            .global("torch._tensor", "_rebuild_from_type_v2")
            .op(b'(')
            .global("torch._utils", "_rebuild_tensor_v2")
            .global(class.0, class.1)
            .op(b'(');
        pickler.storage("FloatStorage", "0", "cpu", 2).int(0);
        pickler.counts(&[2]).counts(&[1]).op(0x89).ordered_dict();
        pickler.op(b't').op(b'}').op(b't').op(b'R');
        let bytes = pickler.stop();
        let pickle = Pickle::parse(&bytes).expect("a pickle");
        pickle.tensor(pickle.root).is_some()
    };
    assert!(is_tensor(("torch", "Tensor")));
    assert!(is_tensor(("torch.nn.parameter", "Parameter")));
    assert!(!is_tensor(("subclass", "Tensor")));

    let mut pickler = Pickler::new();
    pickler
        .global("torch._utils", "_rebuild_parameter_with_state")
        .op(b'(');
    tensor(&mut pickler).op(b't').op(b'R');
    pickler.op(0x88).ordered_dict().op(b'}').op(b't').op(b'R');
    let bytes = pickler.stop();
    let pickle = Pickle::parse(&bytes).expect("a pickle");
    assert!(pickle.tensor(pickle.root).is_some());
}

#[test]
fn more_instructions_than_a_checkpoint_has_are_refused() {
    let long = [&b"("[..], &[b'N'; 2 << 20], b"t."].concat();
    assert_eq!(
        refusal(&long),
        "its pickle has more than 2097152 instructions, expected a state dict"
    );
    // Numbers in one instruction are no longer than the file.
    let text = [&b"X\0\0\x40\0"[..], &[b'a'; 1 << 22], b"."].concat();
    assert!(Pickle::parse(&text).is_ok());
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
    malformed(b"c\xff\nid\n.", "UTF-8", "other bytes");
    malformed(b"])Na\x81.", "a list", "tuple");
    malformed(b"K\x01(K\x02\x90.", "a set", "int");
    malformed(b"g-1\n.", "the number of a value", "other text");
    malformed(b"(K\x01o.", "a class", "something else");
    malformed(b"cos\nsystem\nNR.", "a tuple", "None");
    malformed(b"NN\x93.", "a str", "None");
    assert_eq!(
        refusal(b"N\x97."),
        "its pickle has opcode 0x97 at byte 1, which torch.save does not write"
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
    let cases: [(&str, Build<'_>); 4] = [
        ("expected a storage, found int", &|p| {
            p.int(3).int(0).counts(&[2]).counts(&[1]);
        }),
        ("expected one stride for each axis", &|p| {
            storage(p);
            p.int(0).counts(&[2, 5]).counts(&[1]);
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
fn tensors_that_are_not_simply_stored_are_no_tensors() {
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
    let bytes = pickler.stop();
    let pickle = Pickle::parse(&bytes).expect("a pickle");
    assert_eq!(
        pickle.describe(pickle.root),
        "tensor that is conjugated or negated"
    );

    let rebuilt = |class: &str, axes: usize| {
        let mut pickler = Pickler::new();
        pickler
            .global("torch._utils", "_rebuild_tensor_v2")
            .op(b'(');
        pickler.storage(class, "0", "cpu", 10).int(0);
        let ones = vec![1; axes];
        pickler.counts(&ones).counts(&ones).op(0x89).ordered_dict();
        pickler.op(b't').op(b'R');
        let bytes = pickler.stop();
        let pickle = Pickle::parse(&bytes).expect("a pickle");
        pickle.describe(pickle.root)
    };
    assert_eq!(rebuilt("FloatStorage", 9), "tensor of more than 8 axes");
    assert_eq!(
        rebuilt("QInt8Storage", 1),
        "tensor in a storage `torch.QInt8Storage`"
    );
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
