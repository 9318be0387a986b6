//! Each operation against the same in libtorch, values and gradients.

use tch::{Device, Kind, Tensor};

use super::ffi::{Norm, add_norm, attention, dropout, dropout_add, gelu_dropout, linear};

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Φ to 7.5e-8, times values up to 6, and their rounding.
const GELU_TOLERANCE: f64 = 1e-6;

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    (a.to_kind(Kind::Float) - b.to_kind(Kind::Float))
        .abs()
        .max()
        .double_value(&[])
}

/// Values and gradients of two ways to compute the same thing from the same tensors.
fn compare(
    inputs: &[Tensor],
    ours: impl Fn(&[Tensor]) -> Tensor,
    theirs: impl Fn(&[Tensor]) -> Tensor,
    tolerance: f64,
) {
    let run = |function: &dyn Fn(&[Tensor]) -> Tensor| {
        let inputs: Vec<Tensor> = inputs
            .iter()
            .map(|input| input.copy().set_requires_grad(true))
            .collect();
        let value = function(&inputs);
        let weights = Tensor::arange(value.numel() as i64, FLOAT)
            .sin()
            .view_as(&value);
        let gradients = Tensor::run_backward(
            &[(&value * weights).sum(Kind::Float)],
            &inputs,
            false,
            false,
        );
        (value.detach(), gradients)
    };
    let ((value, gradients), (expected, expected_gradients)) = (run(&ours), run(&theirs));
    assert!(
        distance(&value, &expected) <= tolerance,
        "value: {}",
        distance(&value, &expected)
    );
    for (index, (found, expected)) in gradients.iter().zip(&expected_gradients).enumerate() {
        assert_eq!(found.size(), expected.size());
        let error = distance(found, expected);
        assert!(error <= tolerance, "gradient {index}: {error}");
    }
}

#[test]
fn linear_is_libtorchs() {
    tch::manual_seed(1);
    for (inputs, outputs) in [(24, 40), (40, 24)] {
        let random = |shape: &[i64]| Tensor::randn(shape, FLOAT);
        let tensors = [
            random(&[3, 5, inputs]),
            random(&[outputs, inputs]),
            random(&[outputs]),
        ];
        compare(
            &tensors,
            |t| linear(&t[0], &t[1], Some(&t[2])),
            |t| t[0].linear(&t[1], Some(&t[2])),
            3e-5,
        );
        compare(
            &tensors[..2],
            |t| linear(&t[0], &t[1], None),
            |t| t[0].linear::<&Tensor>(&t[1], None),
            3e-5,
        );
    }
}

#[test]
fn attention_is_softmax_of_scaled_products_times_values() {
    tch::manual_seed(2);
    // Tokens and widths below, at and above a vector's length, even and odd.
    for (batch, tokens, heads, dim_head) in [
        (3, 7, 2, 8),
        (2, 16, 1, 4),
        (1, 65, 3, 32),
        (2, 33, 2, 5),
        (1, 1, 1, 1),
    ] {
        let qkv = Tensor::randn([batch, tokens, 3 * heads * dim_head], FLOAT) * 2.0;
        let plain = |t: &[Tensor]| {
            let parts = t[0]
                .view([batch, tokens, 3, heads, dim_head])
                .permute([2, 0, 3, 1, 4])
                .unbind(0);
            let scores =
                parts[0].matmul(&parts[1].transpose(-1, -2)) * (dim_head as f64).powf(-0.5);
            scores
                .softmax(-1, None)
                .matmul(&parts[2])
                .transpose(1, 2)
                .reshape([batch, tokens, heads * dim_head])
        };
        compare(
            &[qkv.shallow_clone()],
            |t| attention(&t[0], heads),
            plain,
            1e-5,
        );
        // Two products of numbers with eight bits, the largest about 8; the gradient's are
        // larger.
        let half =
            |t: &[Tensor]| attention(&t[0].to_kind(Kind::BFloat16), heads).to_kind(Kind::Float);
        compare(
            &[qkv.to_kind(Kind::BFloat16).to_kind(Kind::Float)],
            half,
            plain,
            0.25,
        );
    }
}

#[test]
fn a_nan_reaches_its_own_head_alone() {
    let qkv = Tensor::ones([1, 20, 3 * 2 * 4], FLOAT);
    let _ = qkv.narrow(1, 7, 1).narrow(2, 1, 1).fill_(f64::NAN); // a query of the first head
    let out = attention(&qkv, 2);
    let reached = out
        .isnan()
        .sum_dim_intlist([2i64].as_slice(), false, Kind::Int64);
    assert_eq!(
        Vec::<i64>::try_from(reached.view([-1])).expect("numbers"),
        (0..20)
            .map(|row| if row == 7 { 4 } else { 0 })
            .collect::<Vec<_>>()
    );
}

#[test]
fn gelu_is_libtorchs() {
    let x = Tensor::linspace(-6.0, 6.0, 1001, FLOAT);
    compare(
        &[x.shallow_clone()],
        |t| gelu_dropout(&t[0], None, 0.0, 0),
        |t| t[0].gelu("none"),
        GELU_TOLERANCE,
    );
    let half = x.to_kind(Kind::BFloat16);
    let exact = half.to_kind(Kind::Double).gelu("none");
    // One rounding to eight bits, of values up to 6.
    assert!(distance(&gelu_dropout(&half, None, 0.0, 0), &exact) <= 6.0 / 256.0);
    assert!(
        gelu_dropout(&(&x * f64::NAN), None, 0.0, 0)
            .isnan()
            .all()
            .int64_value(&[])
            == 1
    );
}

#[test]
fn dropout_drops_the_same_elements_forward_and_backward() {
    let x = Tensor::ones([200_000], FLOAT).set_requires_grad(true);
    let y = dropout(&x, 0.1, 42);
    let kept = y.ne(0.0).to_kind(Kind::Float);
    let share = kept.mean(None).double_value(&[]);
    // Five standard deviations of a binomial share.
    assert!(
        (share - 0.9).abs() < 5.0 * (0.09_f64 / 200_000.0).sqrt(),
        "{share}"
    );
    assert_eq!(distance(&y.detach(), &(&kept * (1.0 / 0.9))), 0.0);
    let gradient = Tensor::run_backward(&[y.sum(Kind::Float)], &[&x], false, false);
    assert_eq!(distance(&gradient[0], &y.detach()), 0.0);
    assert_eq!(distance(&dropout(&x, 0.1, 42).detach(), &y.detach()), 0.0);
    let other = dropout(&x, 0.1, 43).ne(0.0).to_kind(Kind::Float);
    let agreement = (&other * &kept).mean(None).double_value(&[]);
    assert!(
        (agreement - 0.81).abs() < 5.0 * (0.81_f64 * 0.19 / 200_000.0).sqrt(),
        "keys are independent: {agreement}"
    );
}

#[test]
fn neighbouring_elements_and_keys_are_dropped_independently() {
    let ones = Tensor::ones([400_000], FLOAT);
    let deviation = |p: f64| 5.0 * (p * (1.0 - p) / 400_000.0).sqrt();
    let dropped = |key: u64| dropout(&ones, 0.3, key).eq(0.0).to_kind(Kind::Float);
    for distance in [1, 2, 96, 192, 768] {
        let mask = dropped(7);
        let both = (mask.narrow(0, 0, 400_000 - distance)
            * mask.narrow(0, distance, 400_000 - distance))
        .mean(None);
        assert!(
            (both.double_value(&[]) - 0.09).abs() < deviation(0.09),
            "distance {distance}"
        );
    }
    for key in [1, 2, 1 << 32, u64::MAX] {
        let both = (dropped(0) * dropped(key)).mean(None).double_value(&[]);
        assert!(
            (both - 0.09).abs() < deviation(0.09),
            "keys 0 and {key}: {both}"
        );
    }
}

#[test]
fn fused_dropouts_are_their_parts() {
    tch::manual_seed(3);
    let tensors = [
        Tensor::randn([64, 96], FLOAT),
        Tensor::randn([64, 96], FLOAT),
    ];
    let add = |t: &[Tensor]| dropout(&t[0], 0.1, 9) + &t[1];
    compare(&tensors, |t| dropout_add(&t[0], &t[1], 0.1, 9), add, 0.0);
    compare(
        &tensors,
        |t| dropout_add(&t[0], &t[1], 0.0, 9),
        |t| &t[0] + &t[1],
        0.0,
    );
    compare(
        &tensors[..1],
        |t| gelu_dropout(&t[0], None, 0.1, 9),
        |t| dropout(&t[0].gelu("none"), 0.1, 9),
        GELU_TOLERANCE,
    );
    // In bfloat16 the product is rounded once more.
    let half = tensors[0].to_kind(Kind::BFloat16);
    let expected = dropout(&half.to_kind(Kind::Float), 0.1, 9) + &tensors[1];
    assert_eq!(
        distance(&dropout_add(&half, &tensors[1], 0.1, 9), &expected),
        0.0
    );
    let expected = dropout(&half.to_kind(Kind::Float).gelu("none"), 0.1, 9);
    assert!(distance(&gelu_dropout(&half, None, 0.1, 9), &expected) <= 4.0 / 256.0);
}

#[test]
fn a_bias_is_added_first() {
    tch::manual_seed(4);
    let tensors = [Tensor::randn([5, 7, 40], FLOAT), Tensor::randn([40], FLOAT)];
    for p in [0.0, 0.1] {
        let plain = |t: &[Tensor]| gelu_dropout(&(&t[0] + &t[1]), None, p, 3);
        compare(
            &tensors,
            |t| gelu_dropout(&t[0], Some(&t[1]), p, 3),
            plain,
            1e-5,
        );
    }
}

#[test]
fn add_norm_is_its_parts() {
    tch::manual_seed(5);
    for dim in [1, 5, 16, 96, 100] {
        let random = |shape: &[i64]| Tensor::randn(shape, FLOAT);
        let (x, residual) = (random(&[3, 70, dim]), random(&[3, 70, dim]) + 2.0);
        let tensors = [x, residual, random(&[dim]), random(&[dim]), random(&[dim])];
        for p in [0.0, 0.1] {
            // Both results count, so that both gradients meet.
            let joined = |(sum, normed): (Tensor, Tensor)| {
                Tensor::cat(&[sum, normed.to_kind(Kind::Float)], 0)
            };
            let norm = |t: &[Tensor], sum: &Tensor| {
                sum.layer_norm([dim], Some(&t[2]), Some(&t[3]), 1e-2, true)
            };
            let parts = |t: &[Tensor], sum: Tensor| joined((sum.shallow_clone(), norm(t, &sum)));
            let ours = |t: &[Tensor], x: &Tensor, bias: Option<&Tensor>| {
                joined(add_norm(
                    x,
                    bias,
                    &t[1],
                    p,
                    8,
                    Norm {
                        weight: &t[2],
                        bias: &t[3],
                        eps: 1e-2,
                    },
                ))
            };
            // Sums over 210 rows.
            let with_bias = |t: &[Tensor]| parts(t, dropout_add(&(&t[0] + &t[4]), &t[1], p, 8));
            compare(&tensors, |t| ours(t, &t[0], Some(&t[4])), with_bias, 2e-4);
            let without = |t: &[Tensor]| parts(t, dropout_add(&t[0], &t[1], p, 8));
            compare(&tensors[..4], |t| ours(t, &t[0], None), without, 2e-4);
            // A norm and gradients of eight bits.
            let half = |t: &[Tensor]| ours(t, &t[0].to_kind(Kind::BFloat16), None);
            let exact =
                |t: &[Tensor]| parts(t, dropout_add(&t[0].to_kind(Kind::BFloat16), &t[1], p, 8));
            compare(&tensors[..4], half, exact, 0.5);
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_like_libtorch_does() {
    let zeros = |shape: &[i64], kind| Tensor::zeros(shape, (kind, Device::Cpu));
    let refusal = |call: &dyn Fn() -> Tensor| {
        let message = crate::failure::catch(call)
            .expect_err("must be refused")
            .to_string();
        assert!(message.starts_with("libtorch failed: "), "{message}");
        message
    };
    let square = zeros(&[2, 2], Kind::Float);
    refusal(&|| {
        linear(
            &zeros(&[2, 3], Kind::Float),
            &zeros(&[4, 5], Kind::Float),
            None,
        )
    });
    assert!(refusal(&|| dropout(&zeros(&[4], Kind::Uint8), 0.1, 0)).contains("expected float32"));
    assert!(
        refusal(&|| gelu_dropout(&zeros(&[4], Kind::Double), None, 0.1, 0))
            .contains("float32 or bfloat16")
    );
    assert!(
        refusal(&|| dropout_add(&zeros(&[2, 3], Kind::Float), &square, 0.1, 0))
            .contains("differ in shape")
    );
    assert!(refusal(&|| dropout(&square, 1.0, 0)).contains("dropout of 1"));
    let norm = Norm {
        weight: &square,
        bias: &square,
        eps: 1e-5,
    };
    assert!(refusal(&|| add_norm(&square, None, &square, 0.0, 0, norm).0).contains("expected [2]"));
    assert!(
        refusal(&|| add_norm(&square, None, &zeros(&[2, 3], Kind::Float), 0.0, 0, norm).0)
            .contains("differ")
    );
    assert!(refusal(&|| attention(&zeros(&[1, 2, 12], Kind::Float), 0)).contains("0 heads"));
}
