// Raw elements of tensors on the CPU, and loops over them that become vector instructions.

#pragma once

#include <bit>
#include <cstdint>

#include <ATen/ATen.h>

// One loop, compiled for several instruction sets and chosen when the program starts.
#if defined(__x86_64__) && defined(__GNUC__)
#define FOR_EVERY_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EVERY_CPU
#endif

// All ones where a condition holds: loops over selections by bits become vector instructions, branches do not.
inline uint32_t all_ones(bool condition) { return 0u - static_cast<uint32_t>(condition); }

// bfloat16 as its bits, the upper half of a float32; rounded to nearest, ties to even. Every NaN stays one.
inline float widen(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

inline uint16_t narrow(float value) {
    uint32_t bits = std::bit_cast<uint32_t>(value), nan = all_ones((bits & 0x7fffffffu) > 0x7f800000u);
    uint32_t rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
    return static_cast<uint16_t>(((rounded & ~nan) | (0x7fc00000u & nan)) >> 16);
}

// The bits of a float32 or bfloat16 tensor.
template <typename T> T *elements(const at::Tensor &tensor) { return static_cast<T *>(tensor.data_ptr()); }

// What the loops over raw elements rely on.
inline void check(const at::Tensor &tensor, const char *name, bool may_be_half) {
    bool fits = tensor.scalar_type() == at::kFloat || (may_be_half && tensor.scalar_type() == at::kBFloat16);
    TORCH_CHECK(tensor.device().is_cpu() && tensor.layout() == at::kStrided, name, " must be a plain tensor on the CPU");
    TORCH_CHECK(fits, name, " is ", tensor.scalar_type(), ", expected float32", may_be_half ? " or bfloat16" : "");
}
