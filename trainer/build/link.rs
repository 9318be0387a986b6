//! Tells the binaries which libtorch they were built with, and lets them find it without
//! environment variables.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Shared by the trainer, whose own build script calls it, and the exporter.
pub(crate) fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let libtorch = libtorch();
    let lib = libtorch.join("lib");
    println!("cargo::rerun-if-changed={}", lib.display());
    println!(
        "cargo::rustc-env=LIBTORCH_VERSION={}",
        version(&libtorch).unwrap_or_else(|| "unknown".to_owned())
    );
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
    if lib.join("libtorch_cuda.so").exists() {
        // No symbol of libtorch_cuda is named, so a linker that drops unneeded libraries would drop
        // CUDA.
        println!("cargo::rustc-link-arg=-Wl,--no-as-needed");
        println!("cargo::rustc-link-arg=-L{}", lib.display());
        println!("cargo::rustc-link-arg=-ltorch_cuda");
    }
}

/// Where libtorch is. Without LIBTORCH, torch-sys looks in /usr and says what is missing.
pub(crate) fn libtorch() -> PathBuf {
    env::var_os("LIBTORCH")
        .unwrap_or_else(|| "/usr".into())
        .into()
}

/// The version of the headers that torch-sys compiles against.
fn version(libtorch: &Path) -> Option<String> {
    let text = fs::read_to_string(libtorch.join("include/torch/headeronly/version.h")).ok()?;
    let number = |part: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(&format!("#define TORCH_VERSION_{part} ")))
    };
    Some(format!(
        "{}.{}.{}",
        number("MAJOR")?,
        number("MINOR")?,
        number("PATCH")?
    ))
}
