//! A worker with an engine that goes wrong as a test wants.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use ndarray::ArrayD;

use super::*;
use crate::compare::Tolerance;
use crate::engine::fake::Echo;
use crate::samples::of_part::fixtures::{echo_recordings, recording};
use crate::watch::log::event::{Faulty, Sdc};

/// Seven samples of six elements, in batches of three: the third batch is one sample.
const SHAPE: [usize; 3] = [7, 2, 3];
const BATCH: usize = 3;

fn value(element: usize) -> f32 {
    1.0 + element as f32
}

/// What an engine does to the outputs of its runs, by the number of the run over all engines.
type Change = Rc<dyn Fn(usize, usize, &mut ArrayD<f32>)>;

struct Fakes {
    change: Change,
    runs: Rc<Cell<usize>>,
    has_device_golden: bool,
    engines: usize,
    data: usize,
}

impl Load for Fakes {
    fn resident(&mut self) -> Result<Resident, String> {
        self.data += 1;
        let recordings = echo_recordings(&SHAPE, value);
        let device = match self.has_device_golden {
            true => vec![recording("x", &SHAPE, value)],
            false => vec![],
        };
        Resident::read(recordings, device, 0..SHAPE[0]).map_err(|error| error.to_string())
    }

    fn engine(&mut self) -> Result<Box<dyn Engine>, String> {
        self.engines += 1;
        let (change, runs, engine) = (self.change.clone(), self.runs.clone(), self.engines);
        Ok(Box::new(Echo::new(move |_, output: &mut ArrayD<f32>| {
            change(runs.replace(runs.get() + 1), engine, output);
        })))
    }
}

/// What a worker says in two passes, and how it ends.
struct Ran {
    messages: Vec<Message>,
    ended: Result<(), WorkError>,
    engines: usize,
}

fn run(hit: Option<usize>, has_device_golden: bool, change: Change) -> Ran {
    let stop = AtomicBool::new(false);
    let messages = RefCell::new(Vec::new());
    let mut load = Fakes {
        change,
        runs: Rc::default(),
        has_device_golden,
        engines: 0,
        data: 0,
    };
    let setup = Setup {
        samples: 0..SHAPE[0],
        batch_size: BATCH,
        tolerance: Tolerance::DEFAULT,
        dumps: None,
        worker: 4,
        next_sdc: 12,
        apart: Duration::ZERO,
        rehearsal: None,
        stop: &stop,
    };
    let mut tell = |message: &Message| {
        let is_pass = matches!(message, Message::Work(work) if work.passes > 0);
        let passes = |message: &Message| matches!(message, Message::Work(w) if w.passes > 0);
        messages.borrow_mut().push(message.clone());
        if is_pass && messages.borrow().iter().filter(|one| passes(one)).count() == 2 {
            stop.store(true, Ordering::Relaxed);
        }
        Ok(())
    };
    let mut resident = load.resident().expect("data");
    if let Some(sample) = hit {
        resident.hit_golden(sample, 30);
    }
    let engine = load.engine().expect("engine");
    let ended = Worker::new(setup, &mut load, &mut tell, resident, engine).run();
    Ran {
        messages: messages.into_inner(),
        ended,
        engines: load.engines,
    }
}

impl Ran {
    fn sdcs(&self) -> Vec<&Sdc> {
        let sdcs = self.messages.iter().filter_map(|message| match message {
            Message::Sdc(sdc) => Some(sdc),
            _ => None,
        });
        sdcs.collect()
    }

    fn faulty(&self) -> Vec<&Faulty> {
        let faulty = self.messages.iter().filter_map(|message| match message {
            Message::Faulty(faulty) => Some(&**faulty),
            _ => None,
        });
        faulty.collect()
    }

    fn classes(&self) -> Vec<(u64, SdcClass, &[String])> {
        let classified = self.messages.iter().filter_map(|message| match message {
            Message::Classified(found) => Some((found.sdc, found.class, &found.damaged[..])),
            _ => None,
        });
        classified.collect()
    }

    fn work(&self) -> Work {
        let mut sum = Work::default();
        for message in &self.messages {
            if let Message::Work(work) = message {
                sum.passes += work.passes;
                sum.batches += work.batches;
                sum.samples += work.samples;
                sum.elements += work.elements;
                sum.exposed += work.exposed;
                sum.comparing += work.comparing;
            }
        }
        sum
    }
}

fn flip(output: &mut ArrayD<f32>, element: usize, bit: u32) {
    let value = output.iter_mut().nth(element).expect("an element");
    *value = f32::from_bits(value.to_bits() ^ (1 << bit));
}

#[test]
fn without_an_error_two_passes_are_two_passes() {
    let ran = run(None, true, Rc::new(|_, _, _| {}));
    let work = ran.work();
    assert!(ran.ended.is_ok() && ran.sdcs().is_empty());
    assert_eq!((work.passes, work.batches, work.samples), (2, 6, 14));
    assert_eq!(work.elements, 84);
    assert!(work.exposed > 0.0 && work.comparing > 0.0);
    assert_eq!(ran.messages.last(), Some(&Message::Bye));
}

#[test]
fn an_error_that_does_not_come_again_is_transient_and_the_pass_goes_on_behind_it() {
    let change = |run, _, output: &mut ArrayD<f32>| {
        if run == 1 {
            flip(output, 7, 31);
            flip(output, 8, 31);
        }
    };
    let ran = run(None, false, Rc::new(change));
    assert_eq!(ran.classes(), [(12, SdcClass::Transient, &[][..])]);
    let sdc = ran.sdcs()[0];
    assert_eq!((sdc.batch, sdc.pass, sdc.worker), ([3, 6], 1, 4));
    assert_eq!((sdc.faulty_samples, sdc.faulty_elements), (1, 2));
    let faulty = ran.faulty()[0];
    assert_eq!((faulty.sample, faulty.elements, faulty.sdc), (4, 2, 12));
    assert_eq!(faulty.listed[0].index, [4, 0, 1]);
    assert_eq!(faulty.listed[0].xor, Some(1 << 31));
    // The run that found it out is no exposure.
    let work = ran.work();
    assert_eq!((work.batches, work.samples, ran.engines), (6, 14, 1));
}

#[test]
fn an_error_of_the_loaded_model_ends_when_it_is_loaded_again() {
    let change = |run, engine, output: &mut ArrayD<f32>| {
        if run >= 2 && engine == 1 {
            output.fill(f32::NAN);
        }
    };
    let ran = run(None, false, Rc::new(change));
    assert_eq!(ran.classes(), [(12, SdcClass::UntilReload, &[][..])]);
    let sdc = ran.sdcs()[0];
    assert_eq!((sdc.batch, sdc.non_finite_elements), ([6, 7], 6));
    assert_eq!((ran.engines, ran.work().samples), (2, 14));
}

#[test]
fn an_error_that_stays_ends_the_worker() {
    let ran = run(
        None,
        false,
        Rc::new(|_, _, output: &mut ArrayD<f32>| flip(output, 0, 30)),
    );
    assert_eq!(ran.classes(), [(12, SdcClass::Stuck, &[][..])]);
    assert!(
        matches!(ran.ended, Err(WorkError::Stuck)),
        "{:?}",
        ran.ended
    );
    assert_eq!(ran.messages.last(), Some(&Message::Again));
}

#[test]
fn a_golden_that_was_hit_is_no_error_of_the_device() {
    let ran = run(Some(5), false, Rc::new(|_, _, _| {}));
    let damaged = ["x".to_owned()];
    assert_eq!(ran.classes(), [(12, SdcClass::OwnDamage, &damaged[..])]);
    assert_eq!((ran.sdcs()[0].batch, ran.engines), ([3, 6], 1));
}

#[test]
fn a_flip_that_the_tolerance_lets_pass_is_seen_by_the_golden_of_the_device() {
    let change = |run, _, output: &mut ArrayD<f32>| {
        if run == 1 {
            flip(output, 7, 0);
        }
    };
    let without = run(None, false, Rc::new(change));
    assert!(without.sdcs().is_empty());
    let ran = run(None, true, Rc::new(change));
    let sdc = ran.sdcs()[0];
    assert!(sdc.is_of_bits_only());
    assert_eq!((sdc.differing_samples, sdc.batch), (1, [3, 6]));
    assert_eq!(ran.faulty()[0].listed[0].xor, Some(1));
    assert_eq!(ran.classes(), [(12, SdcClass::Transient, &[][..])]);
}

#[test]
fn the_same_error_has_the_same_signature() {
    let change = |element: usize| -> Change {
        Rc::new(move |run, _, output: &mut ArrayD<f32>| {
            if run == 0 || run == 4 {
                flip(output, element, 30);
            }
        })
    };
    let signatures = |element| {
        let ran = run(None, false, change(element));
        let sdcs = ran.sdcs().into_iter();
        sdcs.map(|sdc| sdc.signature.clone()).collect::<Vec<_>>()
    };
    let (first, other) = (signatures(1), signatures(2));
    assert_eq!((first.len(), &first[0]), (2, &first[1]));
    assert_ne!(first[0], other[0]);
}

#[test]
fn a_worker_that_nobody_hears_ends() {
    let stop = AtomicBool::new(false);
    let mut load = Fakes {
        change: Rc::new(|_, _, _| {}),
        runs: Rc::default(),
        has_device_golden: false,
        engines: 0,
        data: 0,
    };
    let setup = Setup {
        samples: 0..SHAPE[0],
        batch_size: BATCH,
        tolerance: Tolerance::DEFAULT,
        dumps: None,
        worker: 1,
        next_sdc: 1,
        apart: Duration::ZERO,
        rehearsal: None,
        stop: &stop,
    };
    let resident = load.resident().expect("data");
    let engine = load.engine().expect("engine");
    let mut heard = 0;
    let mut tell = |_: &Message| {
        heard += 1;
        match heard {
            1..3 => Ok(()),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    };
    let ended = Worker::new(setup, &mut load, &mut tell, resident, engine).run();
    assert!(matches!(ended, Err(WorkError::Alone(_))), "{ended:?}");
}

#[test]
fn a_lost_device_is_told_from_another_error() {
    let lost = "CUDA failure 719: unspecified launch failure ; GPU=0";
    let told = |what: &str| match failed(what) {
        Message::Failed { is_device_lost, .. } => is_device_lost,
        _ => false,
    };
    assert!(told(lost) && !told("samples 0 to 3: Non-zero status code returned"));
}
