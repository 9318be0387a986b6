//! The C++ functions as safe ones.

#![expect(
    unsafe_code,
    reason = "calls C++ functions; everything unsafe about them stays in this file"
)]

use std::ffi::{CStr, c_char, c_void};
use std::ptr;

use tch::{TchError, Tensor};

/// What libtorch calls `at::Tensor *`.
type TensorPointer = *mut c_void;

unsafe extern "C" {
    fn vit_part_linear(
        out: *mut TensorPointer,
        x: *const c_void,
        weight: *const c_void,
        bias: *const c_void,
    ) -> *mut c_char;
    fn vit_part_attention(out: *mut TensorPointer, qkv: *const c_void, heads: i64) -> *mut c_char;
    fn vit_part_dropout(out: *mut TensorPointer, x: *const c_void, p: f64, key: u64)
    -> *mut c_char;
    fn vit_part_dropout_add(
        out: *mut TensorPointer,
        x: *const c_void,
        residual: *const c_void,
        p: f64,
        key: u64,
    ) -> *mut c_char;
    fn vit_part_gelu_dropout(
        out: *mut TensorPointer,
        x: *const c_void,
        bias: *const c_void,
        p: f64,
        key: u64,
    ) -> *mut c_char;
    fn vit_part_add_norm(
        sum: *mut TensorPointer,
        normed: *mut TensorPointer,
        x: *const c_void,
        bias: *const c_void,
        residual: *const c_void,
        p: f64,
        key: u64,
        weight: *const c_void,
        shift: *const c_void,
        epsilon: f64,
    ) -> *mut c_char;
    fn vit_part_adam(
        parameters: *const c_void,
        gradient: *const c_void,
        mean: *const c_void,
        square: *const c_void,
        step: f64,
        learning_rate: f64,
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
        epsilon: f64,
    ) -> *mut c_char;
    fn vit_part_allow_tf32(allow: bool) -> *mut c_char;
    fn free(memory: *mut c_void);
}

/// The message that a call came back with, as the error it is.
fn check(message: *mut c_char) -> Result<(), TchError> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: a message is a C string from `strdup`, which is ours to free, once.
    let text = unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        free(message.cast());
        text
    };
    Err(TchError::Torch(text))
}

/// Makes a tensor of what a call wrote.
fn tensor(call: impl FnOnce(*mut TensorPointer) -> *mut c_char) -> Tensor {
    let mut out = ptr::null_mut();
    check(call(&raw mut out)).expect("libtorch runs the operation");
    assert!(!out.is_null(), "libtorch gives a tensor: out of memory");
    // SAFETY: a call without a message has written a new `at::Tensor *`, which becomes the only
    // owner's.
    unsafe { Tensor::from_ptr(out.cast()) }
}

fn pointer(tensor: &Tensor) -> *const c_void {
    tensor.as_ptr().cast()
}

fn pointer_or_null(tensor: Option<&Tensor>) -> *const c_void {
    tensor.map_or(ptr::null(), pointer)
}

/// `x · weightᵀ + bias` in oneDNN: `[…, in]` and `[out, in]` to `[…, out]`, float32 on the CPU.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    // SAFETY: the tensors outlive the call; the same holds below.
    tensor(|out| unsafe {
        vit_part_linear(out, pointer(x), pointer(weight), pointer_or_null(bias))
    })
}

/// Multi-head attention without projections: queries, keys and values `[batch, tokens,
/// 3·heads·dim_head]` to `[batch, tokens, heads·dim_head]`, float32 or bfloat16 on the CPU. Keeps
/// no softmax map for the backward pass.
pub fn attention(qkv: &Tensor, heads: i64) -> Tensor {
    // SAFETY: as above.
    tensor(|out| unsafe { vit_part_attention(out, pointer(qkv), heads) })
}

/// Each element is 0 with probability `p`, else it is divided by 1 − p; which ones is a function of
/// `key` and the position alone. float32 on the CPU.
pub fn dropout(x: &Tensor, p: f64, key: u64) -> Tensor {
    // SAFETY: as above.
    tensor(|out| unsafe { vit_part_dropout(out, pointer(x), p, key) })
}

/// `residual + dropout(x)`; `x` may be bfloat16, the residual and the result are float32.
pub fn dropout_add(x: &Tensor, residual: &Tensor, p: f64, key: u64) -> Tensor {
    // SAFETY: as above.
    tensor(|out| unsafe { vit_part_dropout_add(out, pointer(x), pointer(residual), p, key) })
}

/// `dropout(gelu(x + bias))` with the exact GELU, float32 or bfloat16 on the CPU; the bias is
/// float32.
pub fn gelu_dropout(x: &Tensor, bias: Option<&Tensor>, p: f64, key: u64) -> Tensor {
    // SAFETY: as above.
    tensor(|out| unsafe { vit_part_gelu_dropout(out, pointer(x), pointer_or_null(bias), p, key) })
}

/// Weight, bias and epsilon of a LayerNorm.
#[derive(Debug, Clone, Copy)]
pub struct Norm<'a> {
    /// `[dim]`
    pub weight: &'a Tensor,
    /// `[dim]`
    pub bias: &'a Tensor,
    /// Added to the variance.
    pub eps: f64,
}

/// `residual + dropout(x + bias)` and its LayerNorm: the sum is float32, the norm of `x`'s kind,
/// float32 or bfloat16.
pub fn add_norm(
    x: &Tensor,
    bias: Option<&Tensor>,
    residual: &Tensor,
    p: f64,
    key: u64,
    norm: Norm<'_>,
) -> (Tensor, Tensor) {
    let bias = pointer_or_null(bias);
    let (weight, shift) = (pointer(norm.weight), pointer(norm.bias));
    let mut normed = ptr::null_mut();
    // SAFETY: as above, for two tensors.
    let sum = tensor(|sum| unsafe {
        vit_part_add_norm(
            sum,
            &raw mut normed,
            pointer(x),
            bias,
            pointer(residual),
            p,
            key,
            weight,
            shift,
            norm.eps,
        )
    });
    (
        sum,
        tensor(|out| {
            // SAFETY: a place for one pointer, which the call above has filled.
            unsafe { *out = normed };
            ptr::null_mut()
        }),
    )
}

/// The numbers of one step of Adam.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Steps so far, this one included.
    pub step: usize,
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Decoupled weight decay; 0 makes AdamW Adam.
    pub weight_decay: f64,
}

/// Added to the denominator, as by default in PyTorch.
pub const ADAM_EPSILON: f64 = 1e-8;

/// One step of Adam in place, in one pass over whole buffers: parameters, their gradient, and its
/// first two moments.
pub fn adam(parameters: &Tensor, gradient: &Tensor, moments: [&Tensor; 2], numbers: AdamStep) {
    let AdamStep {
        step,
        learning_rate,
        beta1,
        beta2,
        weight_decay,
    } = numbers;
    let (p, g, [m, v]) = (pointer(parameters), pointer(gradient), moments.map(pointer));
    // SAFETY: as above; the three buffers that change are tensors, whose interior libtorch may
    // change.
    let message = unsafe {
        vit_part_adam(
            p,
            g,
            m,
            v,
            step as f64,
            learning_rate,
            beta1,
            beta2,
            weight_decay,
            ADAM_EPSILON,
        )
    };
    check(message).expect("libtorch runs the operation");
}

/// Whether float32 products on CUDA may be rounded to TF32. libtorch's own default is no.
pub fn allow_tf32(allow: bool) {
    // SAFETY: sets a flag.
    check(unsafe { vit_part_allow_tf32(allow) }).expect("libtorch takes the setting");
}
