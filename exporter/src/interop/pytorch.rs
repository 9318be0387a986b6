//! The submodel in PyTorch, from its weights alone.

use std::fmt::Write as _;

use proto::config::VitConfig;
use proto::manifest::Manifest;
use proto::module::{Module, ModuleKind};

use super::tolerance::{Tolerance, tolerance};

const HEADER: &str = r#"import numpy, torch
from safetensors.torch import load_file
from torch.nn.functional import gelu, layer_norm, linear
w = load_file("weights/submodel.safetensors")
def first(name):
    return torch.from_numpy(numpy.load(f"npy/{name}.npy", mmap_mode="c")[:@BATCH@])
x, golden = first("submodel_input"), first("submodel_output")
"#;

/// Places: `@PREFIX@` of names in the weights, `@HEADS@`, `@DIM_HEAD@` and `@TO_OUT@`.
const ATTENTION: &str = r#"def attention(x):  # [batch, tokens, dim]
    qkv = linear(x, w["@PREFIX@to_qkv.weight"]).unflatten(2, (3, @HEADS@, @DIM_HEAD@))
    q, k, v = qkv.permute(2, 0, 3, 1, 4)  # [batch, heads, tokens, dim_head] each
    y = (q @ k.transpose(2, 3) * @DIM_HEAD@ ** -0.5).softmax(-1) @ v
    y = y.transpose(1, 2).flatten(2)
    return @TO_OUT@
"#;

const TO_OUT: &str = r#"linear(y, w["@PREFIX@to_out.0.weight"], w["@PREFIX@to_out.0.bias"])"#;

const FEED_FORWARD: &str = r#"def feed_forward(x):  # [batch, tokens, dim]
    y = gelu(linear(x, w["@PREFIX@net.0.weight"], w["@PREFIX@net.0.bias"]))
    return linear(y, w["@PREFIX@net.3.weight"], w["@PREFIX@net.3.bias"])
"#;

const NORM: &str = r#"def norm(x, name):
    return layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], @EPS@)
"#;

/// Python that computes the submodel's outputs and compares them.
pub(super) fn snippet(manifest: &Manifest) -> String {
    let config = &manifest.model.config;
    let Ok(Module { kind, .. }) = Module::parse(&manifest.module, config) else {
        // A manifest is checked before it is used.
        return String::new();
    };
    let norm = NORM.replace("@EPS@", &format!("{:e}", config.layer_norm_eps));
    let (functions, output) = match kind {
        ModuleKind::Attention => (attention("", config), "attention(x)"),
        ModuleKind::FeedForward => (feed_forward(""), "feed_forward(x)"),
        ModuleKind::NormAttention => (
            norm + &attention("fn.", config),
            r#"attention(norm(x, "norm"))"#,
        ),
        ModuleKind::NormFeedForward => (
            norm + &feed_forward("fn."),
            r#"feed_forward(norm(x, "norm"))"#,
        ),
        ModuleKind::Block => (
            norm + &attention("0.fn.", config) + &feed_forward("1.fn."),
            r#"x + feed_forward(norm(x, "1.norm"))"#,
        ),
    };
    let mut text = HEADER.to_owned() + &functions;
    if kind == ModuleKind::Block {
        text.push_str("x = x + attention(norm(x, \"0.norm\"))\n");
    }
    let Tolerance { atol, rtol } = tolerance(proto::manifest::part::SUBMODEL);
    writeln!(
        text,
        "y = {output}\n\
         print(\"largest error\", (y - golden).abs().max().item(), \"within tolerance\", \
         torch.isclose(y, golden, rtol={rtol:e}, atol={atol:e}).all().item())"
    )
    .expect("a string takes all");
    text
}

fn attention(prefix: &str, config: &VitConfig) -> String {
    let to_out = if config.has_to_out() { TO_OUT } else { "y" };
    ATTENTION
        .replace("@TO_OUT@", to_out)
        .replace("@PREFIX@", prefix)
        .replace("@HEADS@", &config.heads.to_string())
        .replace("@DIM_HEAD@", &config.dim_head.to_string())
}

fn feed_forward(prefix: &str) -> String {
    FEED_FORWARD.replace("@PREFIX@", prefix)
}
