//! Lets binaries find libtorch without environment variables: its folder becomes part of their search path.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-changed=build.rs");
    let Some(libtorch) = env::var_os("LIBTORCH") else {
        return; // torch-sys then looks in /usr and says what is missing
    };
    let lib = PathBuf::from(libtorch).join("lib");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
    if lib.join("libtorch_cuda.so").exists() {
        // No symbol of libtorch_cuda is named, so a linker that drops unneeded libraries would drop CUDA.
        println!("cargo::rustc-link-arg=-Wl,--no-as-needed");
        println!("cargo::rustc-link-arg=-L{}", lib.display());
        println!("cargo::rustc-link-arg=-ltorch_cuda");
    }
}
