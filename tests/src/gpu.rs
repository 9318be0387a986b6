//! The machine's NVIDIA GPU, for the tests that are about GPUs.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::fixtures::root;
use crate::programs::{Program, run, with_gpus};

/// A line that is seen although the tests pass: the test harness keeps what `eprintln!` prints.
pub fn show(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The first GPU of this machine.
#[derive(Debug)]
pub struct Gpu {
    /// A library of ONNX Runtime that is built for it.
    pub runtime: PathBuf,
    /// From compute capability 8.0 on there is TF32; `None` where the driver does not say.
    pub has_tf32: Option<bool>,
    /// Whether ONNX Runtime finds TensorRT.
    pub has_tensorrt: bool,
}

/// The GPU, or one line that says why it is skipped.
pub fn gpu() -> Option<&'static Gpu> {
    static GPU: OnceLock<Option<Gpu>> = OnceLock::new();
    let find = || match first_gpu() {
        Ok(about) => Some(found(&about)),
        Err(reason) => {
            show(&format!("skipped: the tests on a GPU: {reason}"));
            None
        }
    };
    GPU.get_or_init(find).as_ref()
}

/// Name, compute capability and driver of the first GPU, or why there is none.
fn first_gpu() -> Result<String, &'static str> {
    if std::env::var_os("DEVICE").is_some_and(|device| device == "cpu") {
        return Err("DEVICE=cpu");
    }
    // As the set-up asks.
    let name = first_line("-L").ok_or("nvidia-smi does not answer")?;
    let query = "--query-gpu=name,compute_cap,driver_version";
    Ok(first_line(&format!("{query} --format=csv,noheader")).unwrap_or(name))
}

/// The first line that `nvidia-smi` prints, if it answers.
fn first_line(arguments: &str) -> Option<String> {
    let mut command = Command::new("nvidia-smi");
    let output = command.args(arguments.split(' ')).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().filter(|_| output.status.success());
    line.map(str::to_owned)
}

fn found(about: &str) -> Gpu {
    show(&format!("gpu: {about}"));
    let fetched = ".deps/onnxruntime/onnxruntime/capi/libonnxruntime.so.1.31.1";
    let named = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let runtime = named.unwrap_or_else(|| root().join(fetched));
    let provider = runtime.with_file_name("libonnxruntime_providers_cuda.so");
    assert!(
        provider.is_file(),
        "{}: missing; `DEVICE=cuda make test` installs it, DEVICE=cpu skips the GPU",
        provider.display()
    );
    let capability = about.split(',').nth(1).map(str::trim);
    let capability: Option<f64> = capability.and_then(|text| text.parse().ok());
    Gpu {
        has_tf32: capability.map(|capability| capability >= 8.0),
        has_tensorrt: has_tensorrt(&runtime),
        runtime,
    }
}

/// Whether TensorRT works, as `verifier devices` says it; one line where it does not.
fn has_tensorrt(runtime: &Path) -> bool {
    let mut command = with_gpus(Program::Verifier.command());
    let listed = run(command.arg("devices").arg("--runtime").arg(runtime)).expect_status(0);
    let mut lines = listed.stdout.lines();
    let line = lines.find(|line| line.contains("TensorrtExecutionProvider"));
    let line = line.unwrap_or("tensorrt: not in this build of ONNX Runtime");
    let works = line.ends_with(" works");
    if !works {
        show(&format!("skipped: {}", line.trim()));
    }
    works
}
