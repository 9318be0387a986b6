#pragma once

#include <ATen/ATen.h>

// Multi-head attention of queries, keys and values [batch, tokens, 3·heads·dim_head], float32 or bfloat16 on the CPU, to
// [batch, tokens, heads·dim_head]; with gradients.
at::Tensor attention(const at::Tensor &qkv, int64_t heads);
