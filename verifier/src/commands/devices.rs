//! `verifier devices`: what the runtime offers, tried out.

use anyhow::Result;
use console::{ensure_printed, say};
use verifier::engine::onnxruntime::locate::locate;
use verifier::engine::onnxruntime::{Library, LoadError, Options};
use verifier::engine::probe::{self, Probe};
use verifier::engine::{Device, onnxruntime};
use verifier::report::Verdict;

use super::hints::with_hint;
use crate::cli::DevicesArgs;

pub(crate) fn devices(arguments: &DevicesArgs) -> Result<Verdict> {
    run(arguments).map_err(|error| with_hint(error, "devices"))
}

fn run(arguments: &DevicesArgs) -> Result<Verdict> {
    let library = Library::start(&locate(arguments.runtime.as_deref())?)?;
    let info = library.info();
    say!(
        "runtime      ONNX Runtime {} ({})",
        info.version,
        info.path.display()
    );
    say!("sha256       {}", info.sha256);
    say!("build        {}", info.build);
    say!(
        "devices      tried with a matrix product of {} numbers",
        probe::WIDTH
    );
    let probe = Probe::new();
    for provider in library.providers() {
        let device = Device::from(provider.clone());
        let outcome = match try_device(&library, &probe, &device) {
            Ok(()) => "works".to_owned(),
            Err(LoadError::Provider { reason, .. }) => format!("does not work: {reason}"),
            Err(error) => format!("does not work: {error}"),
        };
        let name = device.to_string();
        let label = if name == provider {
            name
        } else {
            format!("{name} ({provider})")
        };
        say!("  {label:<36} {outcome}");
    }
    ensure_printed()?;
    Ok(Verdict::Pass)
}

fn try_device(library: &Library, probe: &Probe, device: &Device) -> Result<(), LoadError> {
    let options = Options {
        device: device.clone(),
        ..Options::default()
    };
    let model = onnxruntime::Source::Memory(&probe.model);
    let input = [probe.input.view()];
    let path = "probe".as_ref();
    let outputs = &probe.part.outputs;
    let expected = onnxruntime::Expected {
        part: &probe.part,
        ports: onnxruntime::Ports::AsListed,
        outputs: outputs.iter().map(|output| output.name.as_str()).collect(),
    };
    onnxruntime::Session::load(library, model, path, &expected, &options, &input)?;
    Ok(())
}
