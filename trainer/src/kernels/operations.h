// The operations, all with gradients, on the CPU.

#pragma once

#include <optional>

#include <ATen/ATen.h>

// Multi-head attention of queries, keys and values [batch, tokens, 3·heads·dim_head], float32 or
// bfloat16, to [batch, tokens, heads·dim_head].
at::Tensor attention(const at::Tensor &qkv, int64_t heads);

// dropout(x), float32; which elements are dropped is a function of `key` and their position.
at::Tensor dropout(const at::Tensor &x, double p, int64_t key);

// residual + dropout(x); x may be bfloat16, the residual is float32.
at::Tensor dropout_add(const at::Tensor &x, const at::Tensor &residual, double p, int64_t key);

// dropout(gelu(x + bias)), float32 or bfloat16; the bias is float32.
at::Tensor gelu_dropout(const at::Tensor &x, const std::optional<at::Tensor> &bias, double p,
                        int64_t key);

// residual + dropout(x + bias), float32, and its LayerNorm over the last axis, of x's kind: float32
// or bfloat16.
struct SumAndNorm {
    at::Tensor sum, normed;
};
SumAndNorm add_norm(const at::Tensor &x, const std::optional<at::Tensor> &bias,
                    const at::Tensor &residual, double p, int64_t key, const at::Tensor &weight,
                    const at::Tensor &shift, double epsilon);
