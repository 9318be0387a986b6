//! Settings of the process that ONNX Runtime and NVIDIA's libraries read when they are loaded.

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
