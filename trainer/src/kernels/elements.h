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

// Small functions of such loops, which must be part of each of its versions.
#if defined(__GNUC__)
#define IN_LOOP [[gnu::always_inline]] inline
#else
#define IN_LOOP inline
#endif

// All ones where a condition holds: loops over selections by bits become vector instructions,
// branches do not.
IN_LOOP uint32_t all_ones(bool condition) { return 0u - static_cast<uint32_t>(condition); }

IN_LOOP float choose(bool condition, float yes, float no) {
    uint32_t mask = all_ones(condition);
    return std::bit_cast<float>((std::bit_cast<uint32_t>(yes) & mask) |
                                (std::bit_cast<uint32_t>(no) & ~mask));
}

// bfloat16 as its bits, the upper half of a float32; rounded to nearest, ties to even. Every NaN
// stays one.
IN_LOOP float widen(uint16_t bits) {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

IN_LOOP uint16_t narrow(float value) {
    uint32_t bits = std::bit_cast<uint32_t>(value),
             nan = all_ones((bits & 0x7fffffffu) > 0x7f800000u);
    uint32_t rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
    return static_cast<uint16_t>(((rounded & ~nan) | (0x7fc00000u & nan)) >> 16);
}

// An element as a float32, and a float32 as an element.
IN_LOOP float read(float value) { return value; }
IN_LOOP float read(uint16_t bits) { return widen(bits); }
IN_LOOP void put(float value, float *to) { *to = value; }
IN_LOOP void put(float value, uint16_t *to) { *to = narrow(value); }

// e^x for x up to 88, to about a unit in the last place, with the coefficients of Cephes' expf. NaN
// gives NaN.
IN_LOOP float exponential(float x) {
    constexpr float LOWEST = -87.3f, LOG2_E = 1.44269504088896341f, ROUND = 12582912.0f;
    float clamped = choose(x < LOWEST, LOWEST, x);
    float shifted = clamped * LOG2_E + ROUND,
          power = shifted - ROUND; // a sum of the order of 1.5·2²³ has no fraction
    float rest = clamped - power * 0.693359375f + power * 2.12194440e-4f;
    float sum = 1.9875691500e-4f;
    sum = sum * rest + 1.3981999507e-3f;
    sum = sum * rest + 8.3334519073e-3f;
    sum = sum * rest + 4.1665795894e-2f;
    sum = sum * rest + 1.6666665459e-1f;
    sum = sum * rest + 5.0000001201e-1f;
    sum = sum * rest * rest + rest + 1.0f;
    uint32_t exponent = std::bit_cast<uint32_t>(shifted)
                        << 23; // the low bits of `shifted` are the power
    return choose(x < LOWEST, 0, sum * std::bit_cast<float>(exponent + 0x3f800000u));
}

// The bits of a float32 or bfloat16 tensor.
template <typename T> T *elements(const at::Tensor &tensor) {
    return static_cast<T *>(tensor.data_ptr());
}

// Calls run(T()) for the kind of elements: float, or the bits of bfloat16.
template <typename F> void in_kind(const at::Tensor &tensor, F run) {
    tensor.scalar_type() == at::kFloat ? run(float()) : run(uint16_t());
}

// What the loops over raw elements rely on.
inline void check(const at::Tensor &tensor, const char *name, bool may_be_half) {
    bool fits = tensor.scalar_type() == at::kFloat ||
                (may_be_half && tensor.scalar_type() == at::kBFloat16);
    TORCH_CHECK(tensor.device().is_cpu() && tensor.layout() == at::kStrided, name,
                " must be a plain tensor on the CPU");
    TORCH_CHECK(fits, name, " is ", tensor.scalar_type(), ", expected float32",
                may_be_half ? " or bfloat16" : "");
}
