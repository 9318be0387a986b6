//! The worker's process: loads the part, and says what it does into the pipe that is its standard
//! input.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use verifier::calibrate::device_golden::DeviceGolden;
use verifier::compare::Tolerance;
use verifier::engine::Engine;
use verifier::report::check::Check;
use verifier::report::{Verdict, text};
use verifier::watch::DUMPS;
use verifier::watch::journal::Journal;
use verifier::watch::log::event::Ready;
use verifier::watch::message::{Message, Teller, shortened};
use verifier::watch::resident::Resident;
use verifier::watch::worker::{Load, Plan, Setup, WorkError, Worker, failed};

use super::super::hints::with_hint;
use super::super::model::Model;
use super::super::opened::Opened;
use super::super::prepare::{Prepared, stop_flag};
use super::super::tolerance::tolerance;
use super::super::upstream;
use crate::cli::WatchRunArgs;

/// Bytes of a text in a message.
const MOST_OF_TEXT: usize = 300;

/// Between two signs of life.
const APART: Duration = Duration::from_millis(20);

pub(super) fn worker(arguments: &WatchRunArgs, number: u64, next_sdc: u64) -> Result<Verdict> {
    end_with_supervisor()?;
    let stop = stop_flag()?;
    // A library may print wherever it likes, but nobody prints to the standard input.
    let pipe = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let teller = RefCell::new(Teller::new(pipe));
    // On a disk that is full the supervisor alone keeps what it hears.
    let mut journal = Journal::open(&arguments.log).ok();
    let mut tell = |message: &Message| {
        if let (Message::Sdc(sdc), Some(journal)) = (message, &mut journal) {
            let _ = journal.note(sdc);
        }
        teller.borrow_mut().tell(message)
    };
    let started = Instant::now();
    let loaded = Loads::new(arguments, &stop);
    let loaded = loaded.and_then(|(mut loads, engine)| {
        let resident = loads.resident().map_err(anyhow::Error::msg)?;
        tell(&Message::Ready(loads.ready(&resident, started)?))?;
        Ok((loads, engine, resident))
    });
    let (mut loads, engine, resident) = match loaded {
        Ok(loaded) => loaded,
        Err(_) if stop.load(Ordering::Relaxed) => {
            tell(&Message::Bye)?;
            return Ok(Verdict::Pass);
        }
        Err(error) => {
            let error = with_hint(error, "watch");
            tell(&failed(&format!("{error:#}")))?;
            return Err(error);
        }
    };
    let setup = Setup {
        samples: loads.prepared.opened.samples.clone(),
        batch_size: loads.prepared.batch_size,
        tolerance: loads.tolerance,
        dumps: dumps(arguments),
        worker: number,
        next_sdc,
        apart: APART,
        rehearsal: arguments.rehearse.then_some(Plan {
            seed: arguments.seed,
            mean_seconds: arguments.rehearse_every,
            has_device_golden: arguments.golden.is_some(),
        }),
        stop: &stop,
    };
    match Worker::new(setup, &mut loads, &mut tell, resident, engine).run() {
        // It has said all that there is to say, and another one begins.
        Ok(()) | Err(WorkError::Stuck) => Ok(Verdict::Pass),
        Err(error) => Err(error.into()),
    }
}

/// A worker that nobody listens to ends, also one that hangs. Where the system has no such thing,
/// it ends when nobody takes what it says.
fn end_with_supervisor() -> Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    Ok(())
}

/// The folder for tensors, if they are kept and it can be made.
fn dumps(arguments: &WatchRunArgs) -> Option<std::path::PathBuf> {
    let folder = arguments.log.join(DUMPS);
    let is_kept = !arguments.no_dumps && fs::create_dir_all(&folder).is_ok();
    is_kept.then_some(folder)
}

/// What is loaded, and how to load it again.
struct Loads<'a> {
    arguments: &'a WatchRunArgs,
    prepared: Prepared,
    tolerance: Tolerance,
    tolerance_origin: &'static str,
    device: String,
}

impl<'a> Loads<'a> {
    fn new(arguments: &'a WatchRunArgs, stop: &Arc<AtomicBool>) -> Result<(Self, Box<dyn Engine>)> {
        let opened = Opened::new::<Check>(&arguments.input, None)?;
        check_memory(&opened, arguments.golden.is_some())?;
        let (target, size) = (&arguments.target, arguments.batch_size);
        let prepared = Prepared::new(opened, target, size, stop.clone())?;
        let loaded = prepared.load(prepared.batch_size)?;
        let flags = [arguments.atol, arguments.rtol];
        let bundle = &arguments.input.bundle;
        let (tolerance, tolerance_origin) = tolerance(bundle, flags, &prepared.setting())?;
        let device = format!(
            "{} ({}), {}",
            prepared.options.device,
            text::nodes(&loaded.runtime.nodes),
            loaded.runtime.precision
        );
        let loads = Self {
            arguments,
            prepared,
            tolerance,
            tolerance_origin,
            device,
        };
        Ok((loads, loaded.engine))
    }

    fn ready(&self, resident: &Resident, started: Instant) -> Result<Ready> {
        let Opened {
            samples,
            recordings,
            bundle,
            ..
        } = &self.prepared.opened;
        let goldens = recordings.goldens.iter();
        let of_sample: usize = goldens.map(|golden| golden.sample_elements()).sum();
        let library = self.prepared.library.info();
        let (atol, rtol) = (self.tolerance.atol, self.tolerance.rtol);
        let bits = match &self.arguments.golden {
            Some(_) => "; and bit for bit with the golden of the device",
            None => "",
        };
        let origin = self.tolerance_origin;
        let short = |text: &str| shortened(text, MOST_OF_TEXT);
        Ok(Ready {
            seconds: started.elapsed().as_secs_f64(),
            bundle_blake3: bundle.blake3(),
            runtime: short(&format!("{} ({})", library.version, library.path.display())),
            device: short(&self.device),
            batch_size: self.prepared.batch_size,
            samples: samples.len(),
            elements: samples.len() * of_sample,
            resident_bytes: resident.bytes(),
            compared_with: format!("golden, atol {atol:e}, rtol {rtol:e} ({origin}){bits}"),
        })
    }

    fn read(&self) -> Result<Resident> {
        let opened = Opened::new::<Check>(&self.arguments.input, None)?;
        let options = upstream::options(&self.arguments.target);
        upstream::attach(&opened, &self.prepared.library, &options)?;
        let Opened {
            recordings,
            samples,
            ..
        } = opened;
        let device_golden = match &self.arguments.golden {
            None => vec![],
            Some(folder) => {
                let setting = self.prepared.setting();
                let goldens = &recordings.goldens;
                let read = DeviceGolden::read(folder, &setting, goldens, &samples);
                read.context("--golden")?
            }
        };
        Ok(Resident::read(recordings, device_golden, samples)?)
    }

    /// The file of the model is read again, with its hash.
    fn load(&mut self) -> Result<Box<dyn Engine>> {
        let model = self.arguments.target.model.as_deref();
        self.prepared.model = Model::read(&self.prepared.opened, model)?;
        Ok(self.prepared.load(self.prepared.batch_size)?.engine)
    }
}

impl Load for Loads<'_> {
    fn resident(&mut self) -> Result<Resident, String> {
        self.read().map_err(|error| format!("{error:#}"))
    }

    fn engine(&mut self) -> Result<Box<dyn Engine>, String> {
        self.load().map_err(|error| format!("{error:#}"))
    }
}

/// Refuses samples that would not fit into memory, where the system tells how much there is.
fn check_memory(opened: &Opened, has_device_golden: bool) -> Result<()> {
    let (inputs, goldens) = (&opened.recordings.inputs, &opened.recordings.goldens);
    let of_device = goldens.iter().filter(|_| has_device_golden);
    let tensors = inputs.iter().chain(goldens).chain(of_device);
    let of_sample: usize = tensors.map(|tensor| 4 * tensor.sample_elements()).sum();
    let needed = of_sample as u64 * opened.samples.len() as u64;
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let available = kilobytes.map_or(u64::MAX, |kilobytes| kilobytes << 10);
    ensure!(
        needed < available,
        "inputs and goldens take {:.1} GB of memory, but {:.1} are free\n\
         hint: --range START END watches some of the samples, `exporter subset` makes a bundle of \
         them",
        needed as f64 / 1e9,
        available as f64 / 1e9
    );
    Ok(())
}
