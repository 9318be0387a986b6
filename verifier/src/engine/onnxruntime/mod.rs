//! ONNX Runtime as an [`Engine`](super::Engine): the only folder that names `ort`.
//!
//! Three gates stand between a device asked for and a result: the provider must be created, no node
//! may be left to the CPU, and the profile of a first run must show every node on the provider.

mod error;
mod library;
pub mod locate;
mod options;
mod provider;
mod session;

pub use error::LoadError;
pub use library::{Library, LibraryInfo};
pub use options::{Optimization, Options};
pub use session::{Session, Source};

/// Settings of the process that must be made before the libraries are loaded: no usage data (the
/// API's own switch does not stop that), and no TF32 in NVIDIA's libraries, some of which have no
/// other switch. To be called first, while there is one thread.
#[expect(unsafe_code, reason = "setting variables of the process")]
pub fn prepare_environment(allow_reduced_precision: bool) {
    // SAFETY: no other thread runs yet that could read the environment meanwhile.
    unsafe {
        std::env::set_var("ORT_DISABLE_TELEMETRY", "1");
        if !allow_reduced_precision {
            std::env::set_var("NVIDIA_TF32_OVERRIDE", "0");
        }
    }
}

/// The runtime's messages begin with source positions and spread over lines.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
