//! `trainer eval`: accuracy, confidence, and what was taken for what.

use std::time::Instant;

use anyhow::Result;
use console::{Progress, say};
use proto::preprocessing::CIFAR10_CLASSES;
use trainer::cifar10;
use trainer::device::device_name;
use trainer::evaluate::{Evaluation, evaluate};
use trainer::images::Images;
use trainer::weights::{self, Loaded};

use super::machine::prepare;
use crate::cli::EvalArgs;

pub(crate) fn eval(arguments: &EvalArgs) -> Result<()> {
    let started = Instant::now();
    let device = prepare(&arguments.machine)?;
    let Loaded {
        path, vit, info, ..
    } = weights::load_chosen(
        arguments.weights.as_deref(),
        arguments.model.as_ref(),
        device,
    )?;
    let test = cifar10::load_test(&arguments.data.data)?;
    let images = Images::new(&test, vit.config().image_size, device);
    let progress = Progress::count("images", test.len() as u64);
    let result = evaluate(&vit, &images, arguments.batch_size, |images| {
        progress.advance(images as u64);
        true
    });
    progress.finish();
    let result = result.expect("nothing tells it to stop");
    say!(
        "weights      {} ({}, {})",
        path.display(),
        info.preset_name(),
        info.epoch()
    );
    say!("device       {}", device_name(device));
    say!(
        "accuracy     {:.2} % ({} of {} test images)",
        100.0 * result.accuracy(),
        result.correct,
        result.samples
    );
    say!("loss         {:.4}", result.loss);
    say!(
        "confidence   {:.4} on average, {:.4} where the class is right",
        result.confidence,
        result.confidence_when_correct
    );
    print_confusion(&result);
    say!("\ntime         {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// One row for each true class: its accuracy, and how many of its images were taken for what.
fn print_confusion(result: &Evaluation) {
    let heads: String = CIFAR10_CLASSES
        .iter()
        .map(|class| format!("{:>7}", short(class)))
        .collect();
    say!("\ntrue class   accuracy   taken for\n                     {heads}");
    for (label, (class, row)) in CIFAR10_CLASSES.iter().zip(&result.confusion).enumerate() {
        let counts: String = row.iter().map(|count| format!("{count:>7}")).collect();
        let accuracy = result
            .class_accuracy(label)
            .map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share));
        say!("{class:<10} {accuracy:>10}{counts}");
    }
}

fn short(class: &str) -> String {
    if class.len() > 6 {
        format!("{}.", &class[..5])
    } else {
        class.to_owned()
    }
}
