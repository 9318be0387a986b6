//! The rules on small made-up crates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Uses, circles, uses, uses_against_order};

const NONE: [&str; 0] = [];

fn uses_of(files: &[(&str, &str)]) -> Uses {
    let files: BTreeMap<PathBuf, String> = files
        .iter()
        .map(|(name, text)| (PathBuf::from(name), (*text).to_owned()))
        .collect();
    uses("made_up", &|file| files.get(file).cloned())
}

fn used_by(uses: &Uses, file: &str) -> Vec<String> {
    let used = uses[Path::new(file)].iter();
    used.map(|file| file.display().to_string()).collect()
}

#[test]
fn paths_of_every_kind_lead_to_the_file_that_defines_the_item() {
    let uses = uses_of(&[
        (
            "lib.rs",
            "pub mod a; pub mod b; mod c; pub use c::Deep; pub const ONE: u8 = 1;",
        ),
        (
            "a.rs",
            "use crate::b::{self, inner::{Leaf, other as renamed}, x};\nuse std::fmt;",
        ),
        (
            "b/mod.rs",
            "mod inner; pub use inner::Leaf as Exported; pub fn x() {}",
        ),
        (
            "b/inner.rs",
            "use super::super::c; pub struct Leaf; pub fn other() { c::f(); }",
        ),
        (
            "c.rs",
            "pub struct Deep; pub fn f() -> u8 { crate::ONE + super::b::Exported::N }",
        ),
        (
            "main.rs",
            "mod cli; fn main() { made_up::Deep::new(); cli::go() }",
        ),
        (
            "cli.rs",
            "pub fn go() { let x: made_up::b::Exported = made_up::a::y(); }",
        ),
    ]);
    assert_eq!(used_by(&uses, "a.rs"), ["b/inner.rs", "b/mod.rs"]);
    assert_eq!(used_by(&uses, "b/mod.rs"), NONE);
    assert_eq!(used_by(&uses, "b/inner.rs"), ["c.rs"]);
    assert_eq!(used_by(&uses, "c.rs"), ["b/inner.rs", "lib.rs"]);
    assert_eq!(used_by(&uses, "lib.rs"), NONE);
    assert_eq!(used_by(&uses, "main.rs"), ["c.rs", "cli.rs"]);
    assert_eq!(used_by(&uses, "cli.rs"), ["a.rs", "b/inner.rs"]);
}

#[test]
fn comments_strings_and_tests_use_nothing() {
    let uses = uses_of(&[
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            "//! [`crate::b::X`]\nconst A: &str = \"crate::b::X\";",
        ),
        (
            "b.rs",
            "pub struct X;\n#[cfg(test)]\nmod tests { use crate::a::A; use super::*; }",
        ),
    ]);
    assert!(uses.values().all(BTreeSet::is_empty), "{uses:?}");
}

#[test]
fn modules_written_out_in_a_file_are_part_of_it() {
    let uses = uses_of(&[
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            "mod inner { pub fn f() { super::g(); { super::super::b::h() } } } use inner::f;",
        ),
        ("b.rs", "use crate::a::inner::f; pub fn h() {}"),
    ]);
    assert_eq!(used_by(&uses, "a.rs"), ["b.rs"]);
    assert_eq!(used_by(&uses, "b.rs"), ["a.rs"]);
}

#[test]
fn a_circle_of_files_is_found() {
    let uses = uses_of(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "pub struct B(crate::c::C);"),
        ("c.rs", "use super::a::{A}; pub struct C;"),
    ]);
    assert_eq!(circles(&uses), ["a.rs → b.rs → c.rs → a.rs"]);
}

#[test]
fn a_child_and_its_folders_file_that_use_each_other_are_a_circle() {
    let child = (
        "a/child.rs",
        "use super::Base; pub fn f(_: Base) {} pub fn child() {}",
    );
    let with = |parent| {
        circles(&uses_of(&[
            ("lib.rs", "mod a;"),
            ("a/mod.rs", parent),
            child,
        ]))
    };
    let ring = ["a/child.rs → a/mod.rs → a/child.rs"];
    assert_eq!(
        with("mod child; pub struct Base; pub use child::{f, child};"),
        NONE
    );
    assert_eq!(
        with("mod child; pub struct Base; pub use child::f; fn g() { f(Base) }"),
        ring
    );
    assert_eq!(
        with("mod child; pub struct Base; fn g() { child::f(Base) }"),
        ring
    );
}

#[test]
fn a_circle_of_folders_is_found_where_no_file_has_one() {
    let uses = uses_of(&[
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "mod x; mod y; pub use x::X; pub use y::Y;"),
        ("a/x.rs", "pub struct X(crate::b::B);"),
        ("a/y.rs", "pub struct Y;"),
        ("b.rs", "pub struct B(crate::a::Y);"),
    ]);
    assert_eq!(circles(&uses), ["a → b.rs → a"]);
}

#[test]
fn what_only_points_down_has_no_circle_and_no_use_against_the_order() {
    let uses = uses_of(&[
        ("lib.rs", "mod low; mod middle; mod same; mod high;"),
        ("low.rs", "pub struct L;"),
        ("middle.rs", "pub struct M(crate::low::L);"),
        ("same.rs", "pub struct S(crate::middle::M);"),
        ("high/mod.rs", "mod part; pub use part::P;"),
        (
            "high/part.rs",
            "pub struct P(crate::middle::M, crate::low::L, crate::same::S);",
        ),
    ]);
    let order: [&[&str]; 3] = [&["low"], &["middle", "same"], &["high"]];
    assert_eq!(circles(&uses), NONE);
    assert_eq!(
        uses_against_order(&uses, &order, &[("same", "middle")]),
        NONE
    );
    assert_eq!(
        uses_against_order(&uses, &order, &[]),
        ["same.rs → middle.rs"]
    );
}

#[test]
fn a_use_upwards_and_an_unknown_entry_are_refused() {
    let uses = uses_of(&[
        ("lib.rs", "mod low; mod high; mod attic;"),
        ("low.rs", "use crate::high::part::P;"),
        ("high/mod.rs", "pub mod part;"),
        ("high/part.rs", "pub struct P;"),
        ("attic.rs", "use crate::high::part::P;"),
    ]);
    let found = uses_against_order(&uses, &[&["low"], &["high"]], &[]);
    assert_eq!(found, ["attic.rs → high/part.rs", "low.rs → high/part.rs"]);
}
