// The products of matrices, and everything else that Rust calls.
//
// Tensors are `at::Tensor *`, results are new ones for the caller to own, and an exception becomes
// a message that the caller frees.

#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <string_view>
#include <vector>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "elements.h"
#include "operations.h"

namespace at::native {
// oneDNN's product of plain matrices of any strides, result = beta·result + alpha·a·b; at::mm only
// reaches it for reduced precision.
void mkldnn_matmul(const Tensor &a, const Tensor &b, const Tensor &result, float beta, float alpha);
// x·weightᵀ + bias in oneDNN, on every processor.
Tensor mkldnn_linear_pointwise(const Tensor &x, const Tensor &weight,
                               const std::optional<Tensor> &bias, std::string_view activation,
                               c10::List<std::optional<Scalar>> scalars,
                               std::optional<std::string_view> algorithm);
} // namespace at::native

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Whether libtorch lets oneDNN multiply plain matrices on this processor: not without AVX-512, not
// even float32.
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

// x·weightᵀ + bias, float32, in oneDNN: at::linear calls MKL, which ran at a third of its rate on a
// Zen 5 processor.
Tensor affine(const Tensor &x, const Tensor &weight, const std::optional<Tensor> &bias) {
    if (!onednn_multiplies()) {
        return at::native::mkldnn_linear_pointwise(x, weight, bias, "none",
                                                   c10::List<std::optional<at::Scalar>>(), "");
    }
    TORCH_CHECK(x.dim() > 0 && weight.dim() == 2 && x.size(-1) == weight.size(1), "x ", x.sizes(),
                " and weight ", weight.sizes(), " cannot be multiplied");
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = weight.size(0);
    // A plain product with the weight turned is faster than oneDNN's inner product.
    Tensor rows = x.reshape({-1, x.size(-1)}), turned = weight.t().contiguous();
    if (!bias) return product(rows, turned).view(shape);
    Tensor result = bias->expand({rows.size(0), shape.back()}).contiguous();
    at::native::mkldnn_matmul(rows, turned, result, 1, 1);
    return result.view(shape);
}

struct LinearFunction : torch::autograd::Function<LinearFunction> {
    static Tensor forward(AutogradContext *context, const Tensor &x, const Tensor &weight,
                          const std::optional<Tensor> &bias) {
        check(x, "x", false);
        check(weight, "weight", false);
        context->saved_data["bias"] = bias.has_value();
        context->save_for_backward({x, weight});
        return affine(x, weight, bias);
    }

    static variable_list backward(AutogradContext *context, variable_list grads) {
        auto tensors = context->get_saved_variables();
        Tensor x = tensors[0], weight = tensors[1];
        int64_t inputs = weight.size(1), outputs = weight.size(0);
        Tensor rows = x.reshape({-1, inputs}), grad = grads[0].reshape({-1, outputs});
        Tensor grad_x, grad_bias;
        if (context->needs_input_grad(0)) grad_x = product(grad, weight).view(x.sizes());
        // The transpose of [out, in]: oneDNN is faster with the longer side in front.
        Tensor grad_weight =
            outputs >= inputs ? product(rows.t(), grad).t() : product(grad.t(), rows);
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

std::optional<Tensor> optional(const Tensor *tensor) {
    return tensor ? std::optional(*tensor) : std::nullopt;
}

} // namespace

extern "C" {

char *vit_part_linear(Tensor **out, const Tensor *x, const Tensor *weight, const Tensor *bias) {
    return guard([&] { *out = new Tensor(LinearFunction::apply(*x, *weight, optional(bias))); });
}

char *vit_part_attention(Tensor **out, const Tensor *qkv, int64_t heads) {
    return guard([&] { *out = new Tensor(attention(*qkv, heads)); });
}

char *vit_part_dropout(Tensor **out, const Tensor *x, double p, uint64_t key) {
    return guard([&] { *out = new Tensor(dropout(*x, p, static_cast<int64_t>(key))); });
}

char *vit_part_dropout_add(Tensor **out, const Tensor *x, const Tensor *residual, double p,
                           uint64_t key) {
    return guard(
        [&] { *out = new Tensor(dropout_add(*x, *residual, p, static_cast<int64_t>(key))); });
}

char *vit_part_gelu_dropout(Tensor **out, const Tensor *x, const Tensor *bias, double p,
                            uint64_t key) {
    return guard(
        [&] { *out = new Tensor(gelu_dropout(*x, optional(bias), p, static_cast<int64_t>(key))); });
}

char *vit_part_add_norm(Tensor **sum, Tensor **normed, const Tensor *x, const Tensor *bias,
                        const Tensor *residual, double p, uint64_t key, const Tensor *weight,
                        const Tensor *shift, double epsilon) {
    return guard([&] {
        auto results = add_norm(*x, optional(bias), *residual, p, static_cast<int64_t>(key),
                                *weight, *shift, epsilon);
        *sum = new Tensor(results.sum);
        *normed = new Tensor(results.normed);
    });
}

// One step of AdamW on whole buffers, which without weight decay is Adam; `step` counts from 1.
char *vit_part_adam(const Tensor *parameters, const Tensor *gradient, const Tensor *mean,
                    const Tensor *square, double step, double learning_rate, double beta1,
                    double beta2, double weight_decay, double epsilon) {
    return guard([&] {
        at::NoGradGuard no_grad;
        Tensor count = at::full({}, step, parameters->options());
        at::_fused_adamw_({*parameters}, {*gradient}, {*mean}, {*square}, {}, {count},
                          learning_rate, beta1, beta2, weight_decay, epsilon, /*amsgrad=*/false,
                          /*maximize=*/false);
    });
}

char *vit_part_allow_tf32(bool allow) {
    return guard([&] { at::globalContext().setAllowTF32CuBLAS(allow); });
}

} // extern "C"
