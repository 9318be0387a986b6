//! Compiles the trainer's C++ part and links libtorch.

#[path = "link.rs"]
mod link;

/// The C++ part, with gcc or clang (`CXX=clang++`). Its threads are libtorch's own: those of GNU's
/// OpenMP library, which libtorch brings.
fn main() {
    link::main();
    let include = link::libtorch().join("include");
    println!("cargo::rerun-if-changed=src/kernels");
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++20")
        // `#pragma omp simd` alone; see src/kernels/parallel.h.
        .flag("-fopenmp-simd")
        // The release profile's, in every profile: a test in the dev profile trains as well.
        .opt_level(3)
        .extra_warnings(true)
        .files(
            ["add_norm", "attention", "dropout", "gelu", "kernels"]
                .map(|name| format!("src/kernels/{name}.cpp")),
        );
    // As system headers: their warnings are not ours.
    for folder in [include.join("torch/csrc/api/include"), include] {
        build.flag("-isystem").flag(&folder);
    }
    build.compile("vit_part_kernels");
    println!("cargo::rustc-link-lib=gomp");
}
