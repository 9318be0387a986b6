// dropout(gelu(x + bias)) in one pass each way, with the exact GELU.

#include "dropout.h"
#include "operations.h"
#include "rows.h"

#include <cmath>

namespace {

using at::BFloat16;
using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Φ(x) and φ(x) of the normal distribution; Φ to 7.5e-8 by Abramowitz & Stegun's 7.1.26, which
// needs the same exponential.
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

template <typename T>
IN_LOOP void forward_loop(const T *x, const float *bias, T *out, int64_t width, RowDropout drop) {
    if (drop.threshold == 0) {
        for (int64_t i = 0; i < width; i++) put(gelu(read(x[i]) + bias[i]), out + i);
    } else {
        for (int64_t i = 0; i < width; i++) put(drop(gelu(read(x[i]) + bias[i]), i), out + i);
    }
}

// The gradient is added to `sums`, too.
template <typename T>
IN_LOOP void backward_loop(const T *grad, const T *x, const float *bias, T *out, float *sums,
                           int64_t width, RowDropout drop) {
    if (drop.threshold == 0) {
        for (int64_t i = 0; i < width; i++) {
            float slope = read(grad[i]) * gelu_slope(read(x[i]) + bias[i]);
            sums[i] += slope;
            put(slope, out + i);
        }
    } else {
        for (int64_t i = 0; i < width; i++) {
            float slope = drop(read(grad[i]) * gelu_slope(read(x[i]) + bias[i]), i);
            sums[i] += slope;
            put(slope, out + i);
        }
    }
}

FOR_EVERY_CPU void forward_row(const float *x, const float *bias, float *out, int64_t width,
                               RowDropout drop) {
    forward_loop(x, bias, out, width, drop);
}

FOR_EVERY_CPU void forward_row(const uint16_t *x, const float *bias, uint16_t *out, int64_t width,
                               RowDropout drop) {
    forward_loop(x, bias, out, width, drop);
}

FOR_EVERY_CPU void backward_row(const float *grad, const float *x, const float *bias, float *out,
                                float *sums, int64_t width, RowDropout drop) {
    backward_loop(grad, x, bias, out, sums, width, drop);
}

FOR_EVERY_CPU void backward_row(const uint16_t *grad, const uint16_t *x, const float *bias,
                                uint16_t *out, float *sums, int64_t width, RowDropout drop) {
    backward_loop(grad, x, bias, out, sums, width, drop);
}

struct GeluDropoutFunction : torch::autograd::Function<GeluDropoutFunction> {
    static Tensor forward(AutogradContext *context, const Tensor &x,
                          const std::optional<Tensor> &given_bias, double p, int64_t key) {
        Dropout dropout = checked_dropout(p, key);
        check(x, "x", true);
        save(context, dropout);
        Tensor in = x.contiguous(), out = at::empty_like(in);
        int64_t width = in.dim() == 0 ? 1 : in.size(-1), rows = width == 0 ? 0 : in.numel() / width;
        Tensor bias = bias_or_zeros(given_bias, width);
        const float *add = elements<const float>(bias);
        in_kind(in, [&]<typename T>(T) {
            auto from = elements<const T>(in);
            auto to = elements<T>(out);
            for_rows(rows, width, [&](int64_t, int64_t start, int64_t end) {
                for (int64_t row = start * width; row < end * width; row += width) {
                    forward_row(from + row, add, to + row, width, RowDropout(dropout, row));
                }
            });
        });
        context->saved_data["bias"] = given_bias.has_value();
        context->save_for_backward({in, bias});
        return out;
    }

    static variable_list backward(AutogradContext *context, variable_list grads) {
        Dropout dropout = saved(context);
        auto tensors = context->get_saved_variables();
        Tensor x = tensors[0], bias = tensors[1], grad = grads[0].contiguous(),
               out = at::empty_like(grad);
        int64_t width = bias.size(0), rows = width == 0 ? 0 : x.numel() / width;
        ThreadSums sums(1, width);
        const float *add = elements<const float>(bias);
        in_kind(x, [&]<typename T>(T) {
            auto slope = elements<const T>(grad), from = elements<const T>(x);
            auto to = elements<T>(out);
            for_rows(rows, width, [&](int64_t thread, int64_t start, int64_t end) {
                float *own = sums.of(thread, 0);
                for (int64_t row = start * width; row < end * width; row += width) {
                    backward_row(slope + row, from + row, add, to + row, own, width,
                                 RowDropout(dropout, row));
                }
            });
        });
        bool has_bias = context->saved_data["bias"].toBool();
        return {out, has_bias ? sums.total()[0] : Tensor(), Tensor(), Tensor()};
    }
};

} // namespace

Tensor gelu_dropout(const Tensor &x, const std::optional<Tensor> &bias, double p, int64_t key) {
    return GeluDropoutFunction::apply(x, bias, p, key);
}
