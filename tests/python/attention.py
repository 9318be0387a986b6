"""The first attention of `nano` in float64, from the submodel's weights."""

import numpy
from safetensors.numpy import load_file

HEADS, DIM_HEAD = 3, 32


def attention(bundle, x):
    """x [samples, tokens, dim] float32 → [samples, tokens, dim] float64."""
    stored = load_file(f"{bundle}/weights/submodel.safetensors")
    weights = {name: value.astype("float64") for name, value in stored.items()}
    samples, tokens, dim = x.shape
    qkv = x.astype("float64") @ weights["to_qkv.weight"].T
    qkv = qkv.reshape(samples, tokens, 3, HEADS, DIM_HEAD)
    q, k, v = qkv.transpose(2, 0, 3, 1, 4)  # each [samples, heads, tokens, dim_head]
    scores = q @ k.swapaxes(-1, -2) * DIM_HEAD ** -0.5
    shares = numpy.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    out = (shares @ v).transpose(0, 2, 1, 3).reshape(samples, tokens, dim)
    return out @ weights["to_out.0.weight"].T + weights["to_out.0.bias"]
