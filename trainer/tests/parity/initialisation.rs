//! Fresh weights, by their distribution.

use std::fs;

use proto::config::{ParameterKind, Preset};
use serde::Deserialize;
use tch::{Device, Kind, Tensor};
use trainer::vit::Vit;

use super::fixtures::fixture;

#[derive(Deserialize)]
struct InitialWeights {
    parameters: Vec<InitialParameter>,
}

#[derive(Deserialize)]
struct InitialParameter {
    name: String,
    shape: Vec<usize>,
    mean: f64,
    std: f64,
    min: f64,
    max: f64,
}

#[test]
fn fresh_weights_are_distributed_as_pytorchs() {
    let text = fs::read_to_string(fixture("initial_weights.json")).expect("fixture");
    let reference: InitialWeights = serde_json::from_str(&text).expect("fixture");
    let config = Preset::Tiny.config();
    tch::manual_seed(0);
    let vit = Vit::new(&config, Device::Cpu, 1.0);
    let parameters = config.parameters();
    let names: Vec<&String> = parameters.iter().map(|parameter| &parameter.name).collect();
    let expected_names: Vec<&String> = reference
        .parameters
        .iter()
        .map(|parameter| &parameter.name)
        .collect();
    assert_eq!(names, expected_names, "names and order of state_dict()");
    assert_eq!(vit.variables().len(), names.len());

    for (parameter, theirs) in parameters.iter().zip(&reference.parameters) {
        assert_eq!(parameter.shape, theirs.shape, "{}", parameter.name);
        let ours = vit.variables()[&parameter.name].to_kind(Kind::Double);
        is_distributed_as(&ours, parameter.kind, theirs);
    }
}

fn is_distributed_as(ours: &Tensor, kind: ParameterKind, theirs: &InitialParameter) {
    let name = &theirs.name;
    let (mean, std) = (
        ours.mean(None).double_value(&[]),
        ours.std(false).double_value(&[]),
    );
    let (min, max) = (ours.min().double_value(&[]), ours.max().double_value(&[]));
    let count = ours.numel() as f64;
    // Five standard errors of the mean and, with the kurtosis of a normal distribution, of the
    // deviation.
    assert!(
        (mean - theirs.mean).abs() <= 5.0 * theirs.std * (2.0 / count).sqrt(),
        "{name}: mean {mean}"
    );
    assert!(
        (std - theirs.std).abs() <= 5.0 * theirs.std * (1.0 / count).sqrt(),
        "{name}: deviation {std}"
    );
    match kind {
        ParameterKind::Linear { fan_in } => {
            let bound = 1.0 / (fan_in as f64).sqrt();
            let largest = max.max(-min);
            // The largest of `count` uniform draws falls short of the bound by more than this
            // once in e²⁰ runs.
            let slack = bound * (20.0 / count).min(0.5);
            assert!(
                largest <= bound * (1.0 + 1e-6) && largest >= bound - slack,
                "{name}: {largest} of {bound}"
            );
            let theirs = theirs.max.max(-theirs.min);
            assert!(
                theirs <= bound * (1.0 + 1e-6) && theirs >= bound - slack,
                "{name}: PyTorch's bound {theirs}"
            );
        }
        ParameterKind::Embedding => assert!(std > 0.5, "{name}"),
        ParameterKind::NormWeight => assert_eq!(
            (min, max, theirs.min, theirs.max),
            (1.0, 1.0, 1.0, 1.0),
            "{name}"
        ),
        ParameterKind::NormBias => assert_eq!(
            (min, max, theirs.min, theirs.max),
            (0.0, 0.0, 0.0, 0.0),
            "{name}"
        ),
    }
}
