//! `verifier devices`: what the runtime offers, tried out.

use std::collections::BTreeMap;

use anyhow::Result;
use proto::manifest::{Axis, Part, Tensor};
use proto::npy::Dtype;
use verifier::device::Device;
use verifier::locate::locate;
use verifier::onnxruntime::{Engine, LoadError, Memory, Optimization, Options, Source};
use verifier::probe;

use super::Status;
use crate::cli::DevicesArgs;

pub(crate) fn devices(arguments: &DevicesArgs) -> Result<Status> {
    let engine = Engine::start(&locate(arguments.runtime.as_deref())?)?;
    let library = engine.library();
    say!(
        "runtime      ONNX Runtime {} ({})",
        library.version,
        library.path.display()
    );
    say!("sha256       {}", library.sha256);
    say!("build        {}", library.build);
    let model = probe::model();
    let tensor = |name: &str| Tensor {
        name: name.to_owned(),
        dtype: Dtype::Float32,
        shape: vec![Axis::Named("batch".to_owned()), Axis::Fixed(probe::WIDTH)],
    };
    let part = Part {
        file: String::new(),
        inputs: vec![tensor("x")],
        outputs: vec![tensor("y")],
        initializers: BTreeMap::new(),
        external_data: None,
        test_data_sets: vec![],
    };
    say!(
        "devices      tried with a matrix product of {} numbers",
        probe::WIDTH
    );
    for provider in engine.providers() {
        let device: Device = provider.parse().unwrap_or_else(|never| match never {});
        let options = Options {
            device: device.clone(),
            device_id: None,
            device_options: vec![],
            allow_reduced_precision: false,
            threads: None,
            optimization: Optimization::All,
            memory: Memory::Arena,
        };
        let input = [1.0; probe::WIDTH];
        let outcome = engine.load(
            Source::Memory(&model),
            "probe".as_ref(),
            &part,
            &options,
            &[&input],
        );
        let outcome = match outcome {
            Ok(_) => "works".to_owned(),
            Err(LoadError::Provider { reason, .. }) => format!("does not work: {reason}"),
            Err(error) => format!("does not work: {error}"),
        };
        let name = device.to_string();
        say!(
            "  {:<36} {outcome}",
            if name == provider {
                name
            } else {
                format!("{name} ({provider})")
            }
        );
    }
    Ok(Status::Pass)
}
