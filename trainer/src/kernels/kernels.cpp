// The few operations that libtorch has no fast form of, as autograd functions over its own parts.
//
// Called from Rust through the C functions at the end: tensors are `at::Tensor *`, results are new ones for the caller to
// own, and an exception becomes a message that the caller frees.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <string_view>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "attention.h"
#include "elements.h"

namespace at::native {
// oneDNN's product of plain matrices of any strides, result = beta·result + alpha·a·b; at::mm only reaches it for
// reduced precision.
void mkldnn_matmul(const Tensor &a, const Tensor &b, const Tensor &result, float beta, float alpha);
// x·weightᵀ + bias in oneDNN.
Tensor mkldnn_linear_pointwise(const Tensor &x, const Tensor &weight, const std::optional<Tensor> &bias,
                               std::string_view activation, c10::List<std::optional<Scalar>> scalars,
                               std::optional<std::string_view> algorithm);
} // namespace at::native

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Elements that one thread takes at a time.
constexpr int64_t GRAIN = 1 << 14;

// The value, or 0 for an element that is dropped: a hash of its position (MurmurHash3's finaliser) is below p·2³².
IN_LOOP float survivor(float value, int64_t index, uint32_t key, uint32_t threshold) {
    uint32_t hash = static_cast<uint32_t>(index) ^ key;
    hash = (hash ^ (hash >> 16)) * 0x85ebca6bu;
    hash = (hash ^ (hash >> 13)) * 0xc2b2ae35u;
    hash = hash ^ (hash >> 16);
    return std::bit_cast<float>(std::bit_cast<uint32_t>(value) & all_ones(hash >= threshold));
}

struct Dropout {
    double p;
    uint64_t key;

    uint32_t threshold() const { return static_cast<uint32_t>(p * 4294967296.0); }
    float scale() const { return static_cast<float>(1.0 / (1.0 - p)); }
    // Another key for every 2³² elements: SplitMix64's finaliser over both.
    uint32_t key_of_block(int64_t start) const {
        uint64_t mixed = key + 0x9e3779b97f4a7c15u * (1 + static_cast<uint64_t>(start >> 32));
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
        return static_cast<uint32_t>(mixed ^ (mixed >> 31));
    }
};

FOR_EVERY_CPU void drop(const float *in, float *out, int64_t start, int64_t end, uint32_t key, uint32_t threshold,
                        float scale) {
    for (int64_t i = start; i < end; i++) out[i] = survivor(in[i] * scale, i, key, threshold);
}

FOR_EVERY_CPU void drop(const uint16_t *in, uint16_t *out, int64_t start, int64_t end, uint32_t key, uint32_t threshold,
                        float scale) {
    for (int64_t i = start; i < end; i++) out[i] = narrow(survivor(widen(in[i]) * scale, i, key, threshold));
}

FOR_EVERY_CPU void drop(const float *in, uint16_t *out, int64_t start, int64_t end, uint32_t key, uint32_t threshold,
                        float scale) {
    for (int64_t i = start; i < end; i++) out[i] = narrow(survivor(in[i] * scale, i, key, threshold));
}

FOR_EVERY_CPU void drop_add(const float *in, const float *other, float *out, int64_t start, int64_t end, uint32_t key,
                            uint32_t threshold, float scale) {
    for (int64_t i = start; i < end; i++) out[i] = other[i] + survivor(in[i] * scale, i, key, threshold);
}

FOR_EVERY_CPU void drop_add(const uint16_t *in, const float *other, float *out, int64_t start, int64_t end, uint32_t key,
                            uint32_t threshold, float scale) {
    for (int64_t i = start; i < end; i++) out[i] = other[i] + survivor(widen(in[i]) * scale, i, key, threshold);
}

// Φ(x) and φ(x) of the normal distribution; Φ to 7.5e-8 by Abramowitz & Stegun's 7.1.26, which needs the same exponential.
struct Normal {
    float below, density;
};

IN_LOOP Normal normal(float x) {
    float power = exponential(-0.5f * x * x), t = 1 / (1 + 0.3275911f * 0.70710678f * std::fabs(x));
    float sum = 1.061405429f;
    sum = sum * t - 1.453152027f;
    sum = sum * t + 1.421413741f;
    sum = sum * t - 0.284496736f;
    sum = sum * t + 0.254829592f;
    float tail = 0.5f * sum * t * power;
    return {choose(x < 0, tail, 1 - tail), 0.3989422804f * power};
}

IN_LOOP float gelu(float x) { return x * normal(x).below; }

IN_LOOP float gelu_slope(float x) {
    Normal at = normal(x);
    return at.below + x * at.density;
}

IN_LOOP float read(float value) { return value; }
IN_LOOP float read(uint16_t bits) { return widen(bits); }
IN_LOOP void put(float value, float *to) { *to = value; }
IN_LOOP void put(float value, uint16_t *to) { *to = narrow(value); }

template <typename T>
IN_LOOP void gelu_drop_loop(const T *x, T *out, int64_t start, int64_t end, uint32_t key, uint32_t threshold, float scale) {
    if (threshold == 0) {
        for (int64_t i = start; i < end; i++) put(gelu(read(x[i])), out + i);
    } else {
        for (int64_t i = start; i < end; i++) put(survivor(gelu(read(x[i])) * scale, i, key, threshold), out + i);
    }
}

template <typename T>
IN_LOOP void gelu_drop_backward_loop(const T *grad, const T *x, T *out, int64_t start, int64_t end, uint32_t key,
                                    uint32_t threshold, float scale) {
    if (threshold == 0) {
        for (int64_t i = start; i < end; i++) put(read(grad[i]) * gelu_slope(read(x[i])), out + i);
    } else {
        for (int64_t i = start; i < end; i++) {
            put(survivor(read(grad[i]) * gelu_slope(read(x[i])) * scale, i, key, threshold), out + i);
        }
    }
}

FOR_EVERY_CPU void gelu_drop(const float *x, float *out, int64_t start, int64_t end, uint32_t key, uint32_t threshold,
                             float scale) {
    gelu_drop_loop(x, out, start, end, key, threshold, scale);
}

FOR_EVERY_CPU void gelu_drop(const uint16_t *x, uint16_t *out, int64_t start, int64_t end, uint32_t key,
                             uint32_t threshold, float scale) {
    gelu_drop_loop(x, out, start, end, key, threshold, scale);
}

FOR_EVERY_CPU void gelu_drop_backward(const float *grad, const float *x, float *out, int64_t start, int64_t end,
                                      uint32_t key, uint32_t threshold, float scale) {
    gelu_drop_backward_loop(grad, x, out, start, end, key, threshold, scale);
}

FOR_EVERY_CPU void gelu_drop_backward(const uint16_t *grad, const uint16_t *x, uint16_t *out, int64_t start, int64_t end,
                                      uint32_t key, uint32_t threshold, float scale) {
    gelu_drop_backward_loop(grad, x, out, start, end, key, threshold, scale);
}

template <typename F> void in_parallel(const Tensor &tensor, const Dropout &dropout, F run) {
    at::parallel_for(0, tensor.numel(), GRAIN, [&](int64_t start, int64_t end) {
        while (start < end) {
            int64_t stop = std::min(end, ((start >> 32) + 1) << 32);
            run(start, stop, dropout.key_of_block(start));
            start = stop;
        }
    });
}

// Drops elements of `in` and scales the others by 1 / (1 − p) into `out`, which may be `in`.
void drop_into(const Tensor &in, const Tensor &out, const Dropout &dropout) {
    auto run = [&](auto *from, auto *to) {
        in_parallel(in, dropout, [&](int64_t start, int64_t end, uint32_t key) {
            drop(from, to, start, end, key, dropout.threshold(), dropout.scale());
        });
    };
    if (out.scalar_type() == at::kFloat) {
        run(elements<const float>(in), elements<float>(out));
    } else if (in.scalar_type() == at::kFloat) {
        run(elements<const float>(in), elements<uint16_t>(out));
    } else {
        run(elements<const uint16_t>(in), elements<uint16_t>(out));
    }
}

Dropout checked_dropout(double p, int64_t key) {
    TORCH_CHECK(p >= 0 && p < 1, "dropout of ", p, ", expected 0 up to, but not including, 1");
    return {p, static_cast<uint64_t>(key)};
}

void save(AutogradContext *context, const Dropout &dropout) {
    context->saved_data["p"] = dropout.p;
    context->saved_data["key"] = static_cast<int64_t>(dropout.key);
}

Dropout saved(AutogradContext *context) {
    return {context->saved_data["p"].toDouble(), static_cast<uint64_t>(context->saved_data["key"].toInt())};
}

// dropout(x): the mask is computed again in the backward pass instead of stored.
struct DropoutFunction : torch::autograd::Function<DropoutFunction> {
    static Tensor forward(AutogradContext *context, const Tensor &x, double p, int64_t key) {
        Dropout dropout = checked_dropout(p, key);
        check(x, "x", false);
        save(context, dropout);
        Tensor in = x.contiguous(), out = at::empty_like(in);
        drop_into(in, out, dropout);
        return out;
    }

    static variable_list backward(AutogradContext *context, variable_list grads) {
        Tensor in = grads[0].contiguous(), out = at::empty_like(in);
        drop_into(in, out, saved(context));
        return {out, Tensor(), Tensor()};
    }
};

// residual + dropout(x) in one pass; x may be bfloat16, the residual is float32.
struct DropoutAddFunction : torch::autograd::Function<DropoutAddFunction> {
    static Tensor forward(AutogradContext *context, const Tensor &x, const Tensor &residual, double p, int64_t key) {
        Dropout dropout = checked_dropout(p, key);
        check(x, "x", true);
        check(residual, "residual", false);
        TORCH_CHECK(x.sizes() == residual.sizes(), "x ", x.sizes(), " and residual ", residual.sizes(), " differ in shape");
        save(context, dropout);
        context->saved_data["kind"] = static_cast<int64_t>(x.scalar_type());
        if (p == 0) return at::add(residual, x);
        Tensor in = x.contiguous(), other = residual.contiguous(), out = at::empty_like(other);
        auto run = [&](auto *from) {
            in_parallel(in, dropout, [&](int64_t start, int64_t end, uint32_t block) {
                drop_add(from, elements<const float>(other), elements<float>(out), start, end, block,
                         dropout.threshold(), dropout.scale());
            });
        };
        in.scalar_type() == at::kFloat ? run(elements<const float>(in)) : run(elements<const uint16_t>(in));
        return out;
    }

    static variable_list backward(AutogradContext *context, variable_list grads) {
        auto kind = static_cast<at::ScalarType>(context->saved_data["kind"].toInt());
        Dropout dropout = saved(context);
        if (dropout.p == 0) return {grads[0].to(kind), grads[0], Tensor(), Tensor()};
        Tensor grad = grads[0].contiguous(), grad_x = at::empty_like(grad, grad.options().dtype(kind));
        drop_into(grad, grad_x, dropout);
        return {grad_x, grad, Tensor(), Tensor()};
    }
};

// dropout(gelu(x)), exact GELU; p may be 0.
struct GeluDropoutFunction : torch::autograd::Function<GeluDropoutFunction> {
    static Tensor forward(AutogradContext *context, const Tensor &x, double p, int64_t key) {
        Dropout dropout = checked_dropout(p, key);
        check(x, "x", true);
        save(context, dropout);
        Tensor in = x.contiguous(), out = at::empty_like(in);
        auto run = [&](auto *from, auto *to) {
            in_parallel(in, dropout, [&](int64_t start, int64_t end, uint32_t block) {
                gelu_drop(from, to, start, end, block, dropout.threshold(), dropout.scale());
            });
        };
        if (in.scalar_type() == at::kFloat) {
            run(elements<const float>(in), elements<float>(out));
        } else {
            run(elements<const uint16_t>(in), elements<uint16_t>(out));
        }
        context->save_for_backward({in});
        return out;
    }

    static variable_list backward(AutogradContext *context, variable_list grads) {
        Dropout dropout = saved(context);
        Tensor x = context->get_saved_variables()[0], grad = grads[0].contiguous(), out = at::empty_like(grad);
        auto run = [&](auto *slope, auto *from, auto *to) {
            in_parallel(x, dropout, [&](int64_t start, int64_t end, uint32_t block) {
                gelu_drop_backward(slope, from, to, start, end, block, dropout.threshold(), dropout.scale());
            });
        };
        if (x.scalar_type() == at::kFloat) {
            run(elements<const float>(grad), elements<const float>(x), elements<float>(out));
        } else {
            run(elements<const uint16_t>(grad), elements<const uint16_t>(x), elements<uint16_t>(out));
        }
        return {out, Tensor(), Tensor()};
    }
};

// Whether libtorch lets oneDNN multiply plain matrices on this processor: not without AVX-512, not even float32.
bool onednn_multiplies() {
    static const bool answer = [] {
        Tensor one = at::ones({1, 1});
        try {
            at::native::mkldnn_matmul(one, one, at::empty({1, 1}), 0, 1);
            return true;
        } catch (const c10::Error &) {
            return false;
        }
    }();
    return answer;
}

// a·b of matrices of any strides.
Tensor product(const Tensor &a, const Tensor &b) {
    if (!onednn_multiplies()) return at::mm(a, b);
    Tensor result = at::empty({a.size(0), b.size(1)}, a.options());
    at::native::mkldnn_matmul(a, b, result, 0, 1);
    return result;
}

// x·weightᵀ + bias, float32, in oneDNN: at::linear calls MKL, which ran at a third of its rate on a Zen 5 processor.
struct LinearFunction : torch::autograd::Function<LinearFunction> {
    static Tensor forward(AutogradContext *context, const Tensor &x, const Tensor &weight,
                          const std::optional<Tensor> &bias) {
        check(x, "x", false);
        check(weight, "weight", false);
        context->saved_data["bias"] = bias.has_value();
        context->save_for_backward({x, weight});
        return at::native::mkldnn_linear_pointwise(x, weight, bias, "none", c10::List<std::optional<at::Scalar>>(), "");
    }

    static variable_list backward(AutogradContext *context, variable_list grads) {
        auto tensors = context->get_saved_variables();
        Tensor x = tensors[0], weight = tensors[1];
        int64_t inputs = weight.size(1), outputs = weight.size(0);
        Tensor rows = x.reshape({-1, inputs}), grad = grads[0].reshape({-1, outputs});
        Tensor grad_x, grad_bias;
        if (context->needs_input_grad(0)) grad_x = product(grad, weight).view(x.sizes());
        // The transpose of [out, in]: oneDNN is faster with the longer side in front.
        Tensor grad_weight = outputs >= inputs ? product(rows.t(), grad).t() : product(grad.t(), rows);
        if (context->saved_data["bias"].toBool()) grad_bias = grad.sum(0);
        return {grad_x, grad_weight, grad_bias};
    }
};

// Runs something; the message of an exception is given back.
template <typename F> char *guard(F run) {
    try {
        run();
        return nullptr;
    } catch (const c10::Error &error) {
        return strdup(error.what_without_backtrace());
    } catch (const std::exception &error) {
        return strdup(error.what());
    } catch (...) {
        return strdup("an exception of unknown type");
    }
}

} // namespace

extern "C" {

char *vit_part_linear(Tensor **out, const Tensor *x, const Tensor *weight, const Tensor *bias) {
    return guard([&] {
        *out = new Tensor(LinearFunction::apply(*x, *weight, bias ? std::optional(*bias) : std::nullopt));
    });
}

char *vit_part_attention(Tensor **out, const Tensor *qkv, int64_t heads) {
    return guard([&] { *out = new Tensor(attention(*qkv, heads)); });
}

char *vit_part_dropout(Tensor **out, const Tensor *x, double p, uint64_t key) {
    return guard([&] { *out = new Tensor(DropoutFunction::apply(*x, p, static_cast<int64_t>(key))); });
}

char *vit_part_dropout_add(Tensor **out, const Tensor *x, const Tensor *residual, double p, uint64_t key) {
    return guard([&] { *out = new Tensor(DropoutAddFunction::apply(*x, *residual, p, static_cast<int64_t>(key))); });
}

char *vit_part_gelu_dropout(Tensor **out, const Tensor *x, double p, uint64_t key) {
    return guard([&] { *out = new Tensor(GeluDropoutFunction::apply(*x, p, static_cast<int64_t>(key))); });
}

// One step of AdamW on whole buffers, which without weight decay is Adam; `step` counts from 1.
char *vit_part_adam(const Tensor *parameters, const Tensor *gradient, const Tensor *mean, const Tensor *square, double step,
                    double learning_rate, double beta1, double beta2, double weight_decay, double epsilon) {
    return guard([&] {
        at::NoGradGuard no_grad;
        Tensor count = at::full({}, step, parameters->options());
        at::_fused_adamw_({*parameters}, {*gradient}, {*mean}, {*square}, {}, {count}, learning_rate, beta1, beta2,
                          weight_decay, epsilon, /*amsgrad=*/false, /*maximize=*/false);
    });
}

char *vit_part_allow_tf32(bool allow) {
    return guard([&] { at::globalContext().setAllowTF32CuBLAS(allow); });
}

} // extern "C"
