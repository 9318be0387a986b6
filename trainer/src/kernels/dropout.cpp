// Dropout of every element by its position alone: the mask is computed again in the backward pass
// instead of stored.

#include "dropout.h"
#include "operations.h"
#include "rows.h"

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

FOR_EVERY_CPU void drop(const float *in, float *out, int64_t start, int64_t end, uint32_t key,
                        uint32_t threshold, float scale) {
    for (int64_t i = start; i < end; i++) out[i] = survivor(in[i] * scale, i, key, threshold);
}

FOR_EVERY_CPU void drop(const uint16_t *in, uint16_t *out, int64_t start, int64_t end, uint32_t key,
                        uint32_t threshold, float scale) {
    for (int64_t i = start; i < end; i++) {
        out[i] = narrow(survivor(widen(in[i]) * scale, i, key, threshold));
    }
}

FOR_EVERY_CPU void drop(const float *in, uint16_t *out, int64_t start, int64_t end, uint32_t key,
                        uint32_t threshold, float scale) {
    for (int64_t i = start; i < end; i++) {
        out[i] = narrow(survivor(in[i] * scale, i, key, threshold));
    }
}

FOR_EVERY_CPU void drop_add(const float *in, const float *other, float *out, int64_t start,
                            int64_t end, uint32_t key, uint32_t threshold, float scale) {
    for (int64_t i = start; i < end; i++) {
        out[i] = other[i] + survivor(in[i] * scale, i, key, threshold);
    }
}

FOR_EVERY_CPU void drop_add(const uint16_t *in, const float *other, float *out, int64_t start,
                            int64_t end, uint32_t key, uint32_t threshold, float scale) {
    for (int64_t i = start; i < end; i++) {
        out[i] = other[i] + survivor(widen(in[i]) * scale, i, key, threshold);
    }
}

template <typename F> void in_parallel(const Tensor &tensor, const Dropout &dropout, F run) {
    parallel_for(0, tensor.numel(), GRAIN, [&](int64_t start, int64_t end) {
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
    static Tensor forward(AutogradContext *context, const Tensor &x, const Tensor &residual,
                          double p, int64_t key) {
        Dropout dropout = checked_dropout(p, key);
        check(x, "x", true);
        check(residual, "residual", false);
        TORCH_CHECK(x.sizes() == residual.sizes(), "x ", x.sizes(), " and residual ",
                    residual.sizes(), " differ in shape");
        save(context, dropout);
        context->saved_data["kind"] = static_cast<int64_t>(x.scalar_type());
        if (p == 0) return at::add(residual, x);
        Tensor in = x.contiguous(), other = residual.contiguous(), out = at::empty_like(other);
        auto run = [&](auto *from) {
            in_parallel(in, dropout, [&](int64_t start, int64_t end, uint32_t block) {
                drop_add(from, elements<const float>(other), elements<float>(out), start, end,
                         block, dropout.threshold(), dropout.scale());
            });
        };
        in.scalar_type() == at::kFloat ? run(elements<const float>(in))
                                       : run(elements<const uint16_t>(in));
        return out;
    }

    static variable_list backward(AutogradContext *context, variable_list grads) {
        auto kind = static_cast<at::ScalarType>(context->saved_data["kind"].toInt());
        Dropout dropout = saved(context);
        if (dropout.p == 0) return {grads[0].to(kind), grads[0], Tensor(), Tensor()};
        Tensor grad = grads[0].contiguous(),
               grad_x = at::empty_like(grad, grad.options().dtype(kind));
        drop_into(grad, grad_x, dropout);
        return {grad_x, grad, Tensor(), Tensor()};
    }
};

} // namespace

Tensor dropout(const Tensor &x, double p, int64_t key) { return DropoutFunction::apply(x, p, key); }

Tensor dropout_add(const Tensor &x, const Tensor &residual, double p, int64_t key) {
    return DropoutAddFunction::apply(x, residual, p, key);
}
