// sum = residual + dropout(x + bias) and its LayerNorm, in one pass each way.
//
// The backward pass adds the gradient that reaches the sum past the norm (Ba et al.,
// arXiv:1607.06450, equation 4, for the norm's own), so that the two never meet as tensors.

#include "dropout.h"
#include "operations.h"
#include "rows.h"

#include <cmath>

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Mean and reciprocal standard deviation of a row.
struct Moments {
    float mean, share;
};

// What the norm multiplies with and adds, and the bias of x: all [width].
struct Parameters {
    const float *weight, *shift, *bias;
};

template <typename T>
IN_LOOP Moments forward_loop(const T *x, const float *residual, Parameters with, float *sum,
                             T *normed, int64_t width, float epsilon, RowDropout drop) {
    float total = 0, squares = 0;
    if (drop.threshold == 0) {
#pragma omp simd reduction(+ : total)
        for (int64_t i = 0; i < width; i++) {
            sum[i] = residual[i] + (read(x[i]) + with.bias[i]);
            total += sum[i];
        }
    } else {
#pragma omp simd reduction(+ : total)
        for (int64_t i = 0; i < width; i++) {
            sum[i] = residual[i] + drop(read(x[i]) + with.bias[i], i);
            total += sum[i];
        }
    }
    float mean = total / width;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < width; i++) squares += (sum[i] - mean) * (sum[i] - mean);
    float share = 1 / std::sqrt(squares / width + epsilon);
    for (int64_t i = 0; i < width; i++) {
        put((sum[i] - mean) * share * with.weight[i] + with.shift[i], normed + i);
    }
    return {mean, share};
}

// Gradients of the norm's weight and shift and of the bias, added up over rows.
struct Gradients {
    float *weight, *shift, *bias;
};

template <typename T>
IN_LOOP void backward_loop(const T *grad_normed, const float *grad_sum, const float *sum,
                           Moments of, const float *weight, float *grad_residual, T *grad_x,
                           Gradients to, int64_t width, RowDropout drop) {
    float along_one = 0, along_row = 0;
#pragma omp simd reduction(+ : along_one, along_row)
    for (int64_t i = 0; i < width; i++) {
        float slope = read(grad_normed[i]), place = (sum[i] - of.mean) * of.share;
        to.weight[i] += slope * place;
        to.shift[i] += slope;
        along_one += slope * weight[i];
        along_row += slope * weight[i] * place;
    }
    along_one /= width, along_row /= width;
    for (int64_t i = 0; i < width; i++) {
        float place = (sum[i] - of.mean) * of.share;
        grad_residual[i] = grad_sum[i] + of.share * (read(grad_normed[i]) * weight[i] - along_one -
                                                     place * along_row);
    }
    if (drop.threshold == 0) {
        for (int64_t i = 0; i < width; i++) to.bias[i] += grad_residual[i];
        if (grad_x) {
            for (int64_t i = 0; i < width; i++) put(grad_residual[i], grad_x + i);
        }
    } else {
        for (int64_t i = 0; i < width; i++) {
            float slope = drop(grad_residual[i], i);
            to.bias[i] += slope;
            put(slope, grad_x + i);
        }
    }
}

FOR_EVERY_CPU Moments forward_row(const float *x, const float *residual, Parameters with,
                                  float *sum, float *normed, int64_t width, float epsilon,
                                  RowDropout drop) {
    return forward_loop(x, residual, with, sum, normed, width, epsilon, drop);
}

FOR_EVERY_CPU Moments forward_row(const uint16_t *x, const float *residual, Parameters with,
                                  float *sum, uint16_t *normed, int64_t width, float epsilon,
                                  RowDropout drop) {
    return forward_loop(x, residual, with, sum, normed, width, epsilon, drop);
}

FOR_EVERY_CPU void backward_row(const float *grad_normed, const float *grad_sum, const float *sum,
                                Moments of, const float *weight, float *grad_residual,
                                float *grad_x, Gradients to, int64_t width, RowDropout drop) {
    backward_loop(grad_normed, grad_sum, sum, of, weight, grad_residual, grad_x, to, width, drop);
}

FOR_EVERY_CPU void backward_row(const uint16_t *grad_normed, const float *grad_sum,
                                const float *sum, Moments of, const float *weight,
                                float *grad_residual, uint16_t *grad_x, Gradients to, int64_t width,
                                RowDropout drop) {
    backward_loop(grad_normed, grad_sum, sum, of, weight, grad_residual, grad_x, to, width, drop);
}

struct AddNormFunction : torch::autograd::Function<AddNormFunction> {
    static variable_list forward(AutogradContext *context, const Tensor &x,
                                 const std::optional<Tensor> &given_bias, const Tensor &residual,
                                 double p, int64_t key, const Tensor &weight, const Tensor &shift,
                                 double epsilon) {
        Dropout dropout = checked_dropout(p, key);
        check(x, "x", true);
        check(residual, "residual", false);
        TORCH_CHECK(x.sizes() == residual.sizes(), "x ", x.sizes(), " and residual ",
                    residual.sizes(), " differ in shape");
        TORCH_CHECK(x.dim() > 0 && x.size(-1) > 0, "x ", x.sizes(), " has nothing to norm");
        save(context, dropout);
        Tensor in = x.contiguous(), other = residual.contiguous();
        Tensor sum = at::empty_like(other), normed = at::empty_like(in);
        int64_t width = in.size(-1), rows = in.numel() / width;
        Tensor bias = bias_or_zeros(given_bias, width), scale = row_of(weight, "weight", width),
               add = row_of(shift, "shift", width);
        Tensor moments = at::empty({rows, 2}, at::kFloat);
        Parameters with = {elements<const float>(scale), elements<const float>(add),
                           elements<const float>(bias)};
        auto past = elements<const float>(other);
        auto to = elements<float>(sum);
        auto of = elements<Moments>(moments);
        in_kind(in, [&]<typename T>(T) {
            auto from = elements<const T>(in);
            auto result = elements<T>(normed);
            for_rows(rows, width, [&](int64_t, int64_t start, int64_t end) {
                for (int64_t row = start; row < end; row++) {
                    int64_t at = row * width;
                    of[row] = forward_row(from + at, past + at, with, to + at, result + at, width,
                                          static_cast<float>(epsilon), RowDropout(dropout, at));
                }
            });
        });
        context->saved_data["bias"] = given_bias.has_value();
        context->saved_data["kind"] = static_cast<int64_t>(in.scalar_type());
        context->save_for_backward({sum, moments, scale});
        return {sum, normed};
    }

    static variable_list backward(AutogradContext *context, variable_list grads) {
        Dropout dropout = saved(context);
        auto tensors = context->get_saved_variables();
        Tensor sum = tensors[0], moments = tensors[1], weight = tensors[2];
        auto kind = static_cast<at::ScalarType>(context->saved_data["kind"].toInt());
        Tensor grad_sum = grads[0].defined() ? grads[0].contiguous() : at::zeros_like(sum);
        Tensor grad_normed = grads[1].defined() ? grads[1].contiguous()
                                                : at::zeros_like(sum, sum.options().dtype(kind));
        int64_t width = sum.size(-1), rows = sum.numel() / width;
        bool same = dropout.threshold() == 0 && kind == at::kFloat;
        Tensor grad_residual = at::empty_like(sum),
               grad_x = same ? grad_residual : at::empty_like(grad_normed);
        ThreadSums sums(3, width);
        auto past = elements<const float>(grad_sum), whole = elements<const float>(sum),
             factor = elements<const float>(weight);
        auto of = elements<const Moments>(moments);
        auto to_residual = elements<float>(grad_residual);
        in_kind(grad_normed, [&]<typename T>(T) {
            auto slope = elements<const T>(grad_normed);
            auto to_x = elements<T>(grad_x);
            for_rows(rows, width, [&](int64_t thread, int64_t start, int64_t end) {
                Gradients to = {sums.of(thread, 0), sums.of(thread, 1), sums.of(thread, 2)};
                for (int64_t row = start; row < end; row++) {
                    int64_t at = row * width;
                    backward_row(slope + at, past + at, whole + at, of[row], factor,
                                 to_residual + at, same ? nullptr : to_x + at, to, width,
                                 RowDropout(dropout, at));
                }
            });
        });
        Tensor total = sums.total();
        Tensor grad_bias = context->saved_data["bias"].toBool() ? total[2] : Tensor();
        return {grad_x, grad_bias, grad_residual, Tensor(), Tensor(), total[0], total[1], Tensor()};
    }
};

} // namespace

SumAndNorm add_norm(const Tensor &x, const std::optional<Tensor> &bias, const Tensor &residual,
                    double p, int64_t key, const Tensor &weight, const Tensor &shift,
                    double epsilon) {
    auto results = AddNormFunction::apply(x, bias, residual, p, key, weight, shift, epsilon);
    return {results[0], results[1]};
}
