//! Compiles the trainer's C++ part and links libtorch.

#[path = "link.rs"]
mod link;

/// The C++ part, on libtorch's own threads: `at::parallel_for` needs OpenMP, and libtorch's library
/// of it serves both.
fn main() {
    link::main();
    let include = link::libtorch().join("include");
    println!("cargo::rerun-if-changed=src/kernels");
    cc::Build::new()
        .cpp(true)
        .std("c++20")
        .flag("-fopenmp")
        // The release profile's, in every profile: a test in the dev profile trains as well.
        .opt_level(3)
        .warnings(false)
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .files(
            ["add_norm", "attention", "dropout", "gelu", "kernels"]
                .map(|name| format!("src/kernels/{name}.cpp")),
        )
        .compile("vit_part_kernels");
    println!("cargo::rustc-link-lib=gomp");
}
