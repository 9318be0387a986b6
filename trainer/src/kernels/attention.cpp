// Attention, one head of one image at a time: its map of softmax stays in a core's cache and is
// never stored.
//
// The backward pass computes the map again from the queries, the keys, and the largest score and
// the sum of exponentials of each row, as FlashAttention does (arXiv:2205.14135, appendix B); it
// works on the transposed map, so that nothing of the map's size has to be turned.

#include "operations.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include <ATen/native/CPUBlas.h>
#include <torch/csrc/autograd/custom_function.h>

#include "elements.h"
#include "parallel.h"

namespace {

using at::BFloat16;
using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Elements of two vectors side by side, by their positions; gcc before 12 has it by another name.
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, Four{__VA_ARGS__})
#endif

// A matrix in memory, row after row.
template <typename T> struct Matrix {
    T *data;
    int64_t stride;

    T *row(int64_t index) const { return data + index * stride; }
};

// Scores are kept in rows of a whole number of the longest vectors.
constexpr int64_t VECTOR = 16;

int64_t row_length(int64_t count) { return (count + VECTOR - 1) / VECTOR * VECTOR; }

// What softmax of a row of scores is computed with: exp(scale·score − largest)·share.
struct RowSums {
    float *largest, *share;
};

// Each row of scores becomes softmax(scale·scores); what lies behind the last column becomes 0.
FOR_EVERY_CPU void softmax(float *scores, RowSums sums, int64_t rows, int64_t columns,
                           float scale) {
    constexpr float NOTHING = -std::numeric_limits<float>::infinity();
    int64_t length = row_length(columns);
    for (int64_t r = 0; r < rows; r++, scores += length) {
        for (int64_t c = columns; c < length; c++) scores[c] = NOTHING;
        float largest = NOTHING, sum = 0;
#pragma omp simd reduction(max : largest)
        for (int64_t c = 0; c < length; c++) largest = scores[c] > largest ? scores[c] : largest;
        largest *= scale;
#pragma omp simd reduction(+ : sum)
        for (int64_t c = 0; c < length; c++) {
            scores[c] = exponential(scores[c] * scale - largest);
            sum += scores[c];
        }
        float share = 1 / sum;
        for (int64_t c = 0; c < length; c++) scores[c] *= share;
        sums.largest[r] = largest;
        sums.share[r] = share;
    }
}

// The transposed scores become the transposed map, and its gradient that of the scores. `dots` is
// room for a row.
FOR_EVERY_CPU void softmax_backward(float *scores, float *gradients, RowSums sums, float *dots,
                                    int64_t tokens, float scale) {
    int64_t length = row_length(tokens);
    for (int64_t c = 0; c < length; c++) dots[c] = 0;
    for (int64_t r = 0; r < tokens; r++) {
        float *row = scores + r * length, *slopes = gradients + r * length;
        for (int64_t c = 0; c < tokens; c++) {
            row[c] = exponential(row[c] * scale - sums.largest[c]) * sums.share[c];
            dots[c] += row[c] * slopes[c];
        }
    }
    for (int64_t r = 0; r < tokens; r++) {
        float *row = scores + r * length, *slopes = gradients + r * length;
        for (int64_t c = 0; c < tokens; c++) slopes[c] = scale * row[c] * (slopes[c] - dots[c]);
    }
}

FOR_EVERY_CPU void round(const float *in, BFloat16 *out, int64_t count) {
    for (int64_t i = 0; i < count; i++) out[i].x = narrow(in[i]);
}

// x [rows, columns] to its transpose, in blocks of 4 by 4.
template <typename T>
void transpose(Matrix<const T> x, int64_t rows, int64_t columns, Matrix<T> out) {
    int64_t whole_rows = 0, whole_columns = 0;
    if constexpr (sizeof(T) == 4) {
        typedef uint32_t Four __attribute__((vector_size(16)));
        whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
        for (int64_t r = 0; r < whole_rows; r += 4) {
            for (int64_t c = 0; c < whole_columns; c += 4) {
                Four in[4], pairs[4], turned[4];
                for (int i = 0; i < 4; i++) std::memcpy(&in[i], x.row(r + i) + c, sizeof(Four));
                for (int i = 0; i < 2; i++) {
                    pairs[i] = SHUFFLE(in[i], in[i + 2], 0, 4, 1, 5);
                    pairs[i + 2] = SHUFFLE(in[i], in[i + 2], 2, 6, 3, 7);
                }
                for (int i = 0; i < 2; i++) {
                    turned[2 * i] = SHUFFLE(pairs[2 * i], pairs[2 * i + 1], 0, 4, 1, 5);
                    turned[2 * i + 1] = SHUFFLE(pairs[2 * i], pairs[2 * i + 1], 2, 6, 3, 7);
                }
                for (int i = 0; i < 4; i++) {
                    std::memcpy(out.row(c + i) + r, &turned[i], sizeof(Four));
                }
            }
        }
    }
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = r < whole_rows ? whole_columns : 0; c < columns; c++) {
            out.row(c)[r] = x.row(r)[c];
        }
    }
}

// Products of T. The second factor is packed: GROUP rows of it lie side by side, element by
// element, as the processor's instructions want them. An inner axis is therefore as long as a
// multiple of GROUP, and what was added to it is zero.
template <typename T> struct Product {
    static constexpr int64_t GROUP = sizeof(float) / sizeof(T);

    static int64_t padded(int64_t inner) { return (inner + GROUP - 1) / GROUP * GROUP; }

    static void pack(Matrix<const T> x, int64_t rows, int64_t columns, T *out) {
        for (int64_t r = 0; r < rows; r++) {
            T *to = out + r / GROUP * GROUP * columns + r % GROUP;
            for (int64_t c = 0; c < columns; c++) to[c * GROUP] = x.row(r)[c];
        }
    }

    // Packs xᵀ; the number of columns is a multiple of GROUP, and a group is moved as one number.
    static void pack_transposed(Matrix<const T> x, int64_t rows, int64_t columns, T *out) {
        Matrix<const uint32_t> groups = {reinterpret_cast<const uint32_t *>(x.data),
                                         x.stride / GROUP};
        transpose(groups, rows, columns / GROUP, {reinterpret_cast<uint32_t *>(out), rows});
    }

    // a [rows, inner] times b [inner, columns], which is packed.
    static void run(Matrix<const T> a, Matrix<const T> b, int64_t rows, int64_t inner,
                    int64_t columns, Matrix<float> out) {
        at::native::cpublas::brgemm(rows, columns, inner, a.stride, b.stride, out.stride,
                                    /*add_C=*/false, a.data, b.data, out.data,
                                    /*is_vnni=*/GROUP > 1);
    }

    static void run(Matrix<const T> a, const std::vector<T> &packed, int64_t rows, int64_t inner,
                    int64_t columns, Matrix<float> out) {
        run(a, Matrix<const T>{packed.data(), columns}, rows, inner, columns, out);
    }
};

struct Shape {
    int64_t batch, tokens, heads, dim_head;

    Shape(const Tensor &qkv, int64_t heads)
        : batch(qkv.size(0)), tokens(qkv.size(1)), heads(heads),
          dim_head(qkv.size(2) / (3 * heads)) {}

    int64_t tasks() const { return batch * heads; }
    float scale() const { return static_cast<float>(1 / std::sqrt(static_cast<double>(dim_head))); }

    // What one task, a head of an image, has in a tensor [batch, tokens, parts, heads, dim_head]:
    // [tokens, dim_head].
    template <typename T> Matrix<T> part(const Tensor &tensor, int64_t task, int64_t part) const {
        int64_t stride = tensor.size(2), image = task / heads, head = task % heads;
        return {elements<T>(tensor) + image * tokens * stride + (part * heads + head) * dim_head,
                stride};
    }

    // What one task has in a tensor [tasks, 2, tokens].
    RowSums sums(const Tensor &tensor, int64_t task) const {
        float *first = elements<float>(tensor) + 2 * task * tokens;
        return {first, first + tokens};
    }
};

enum Part { QUERY, KEY, VALUE };

// What one thread works with, reused from task to task; all of it fits a core's cache.
template <typename T> struct Workspace {
    const Shape &shape;
    int64_t tokens = shape.tokens, dim_head = shape.dim_head, inner = Product<T>::padded(tokens);
    std::vector<T> packed_columns = std::vector<T>(dim_head * tokens);
    std::vector<T> packed_rows = std::vector<T>(inner * dim_head);
    std::vector<float> result = std::vector<float>(tokens * dim_head);
    int64_t length = row_length(tokens);
    std::vector<float> map = std::vector<float>(tokens * length);
    std::vector<T> rounded_map = std::vector<T>(GROUPED ? tokens * inner : 0);
    // For the backward pass alone.
    std::vector<float> map_gradient, dots, turned;
    std::vector<T> rounded_gradient, packed_gradient, transposed;

    static constexpr bool GROUPED = Product<T>::GROUP > 1;

    Workspace(const Shape &shape, bool backward) : shape(shape) {
        if (!backward) return;
        map_gradient.resize(tokens * length);
        dots.resize(length);
        transposed.resize(dim_head * inner);
        if (!GROUPED) return;
        turned.resize(tokens * dim_head);
        rounded_gradient.resize(tokens * inner);
        packed_gradient.resize(inner * tokens);
    }

    // a·bᵀ of two [tokens, dim_head].
    void scores(Matrix<const T> a, Matrix<const T> b, float *out) {
        Product<T>::pack_transposed(b, tokens, dim_head, packed_columns.data());
        Product<T>::run(a, packed_columns, tokens, dim_head, tokens, {out, length});
    }

    // A map [tokens, tokens] as a first factor.
    Matrix<const T> factor(const std::vector<float> &map, std::vector<T> &rounded) {
        if constexpr (GROUPED) {
            for (int64_t r = 0; r < tokens; r++) {
                round(&map[r * length], &rounded[r * inner], tokens);
            }
            return {rounded.data(), inner};
        } else {
            return {map.data(), length};
        }
    }

    // map·x of [tokens, tokens] and [tokens, dim_head].
    void mix(Matrix<const T> map, Matrix<const T> x, Matrix<T> out) {
        Product<T>::pack(x, tokens, dim_head, packed_rows.data());
        if constexpr (GROUPED) {
            Product<T>::run(map, packed_rows, tokens, inner, dim_head, {result.data(), dim_head});
            write(result, out);
        } else {
            Product<T>::run(map, packed_rows, tokens, inner, dim_head, out);
        }
    }

    // mapᵀ·x, computed as (xᵀ·map)ᵀ.
    void mix_transposed(Matrix<const T> map, Matrix<const T> x, Matrix<T> out) {
        transpose(x, tokens, dim_head, Matrix<T>{transposed.data(), inner});
        Matrix<float> product = {result.data(), tokens};
        if constexpr (GROUPED) {
            Product<T>::pack(map, tokens, tokens, packed_gradient.data());
            Product<T>::run({transposed.data(), inner}, packed_gradient, dim_head, inner, tokens,
                            product);
            transpose<float>({result.data(), tokens}, dim_head, tokens, {turned.data(), dim_head});
            write(turned, out);
        } else {
            Product<T>::run({transposed.data(), inner}, map, dim_head, inner, tokens, product);
            transpose<float>({result.data(), tokens}, dim_head, tokens, out);
        }
    }

    void write(const std::vector<float> &rows, Matrix<BFloat16> out) {
        for (int64_t r = 0; r < tokens; r++) round(&rows[r * dim_head], out.row(r), dim_head);
    }

    void forward(const Tensor &qkv, const Tensor &out, RowSums sums, int64_t task) {
        scores(shape.part<const T>(qkv, task, QUERY), shape.part<const T>(qkv, task, KEY),
               map.data());
        softmax(map.data(), sums, tokens, tokens, shape.scale());
        mix(factor(map, rounded_map), shape.part<const T>(qkv, task, VALUE),
            shape.part<T>(out, task, 0));
    }

    void backward(const Tensor &qkv, const Tensor &grad_out, RowSums sums, const Tensor &grad,
                  int64_t task) {
        auto query = shape.part<const T>(qkv, task, QUERY),
             key = shape.part<const T>(qkv, task, KEY);
        auto slope = shape.part<const T>(grad_out, task, 0);
        scores(key, query, map.data());
        scores(shape.part<const T>(qkv, task, VALUE), slope, map_gradient.data());
        softmax_backward(map.data(), map_gradient.data(), sums, dots.data(), tokens, shape.scale());
        mix(factor(map, rounded_map), slope, shape.part<T>(grad, task, VALUE));
        auto gradient = factor(map_gradient, rounded_gradient);
        mix(gradient, query, shape.part<T>(grad, task, KEY));
        mix_transposed(gradient, key, shape.part<T>(grad, task, QUERY));
    }
};

// Runs every task, on all threads, with a workspace for the kind of elements.
template <typename F>
void for_every_task(const Tensor &qkv, const Shape &shape, bool backward, F run) {
    auto in_kind = [&]<typename T>(T) {
        parallel_for(0, shape.tasks(), 1, [&](int64_t start, int64_t end) {
            Workspace<T> workspace(shape, backward);
            for (int64_t task = start; task < end; task++) run(workspace, task);
            at::native::cpublas::brgemm_release(Workspace<T>::GROUPED);
        });
    };
    qkv.scalar_type() == at::kFloat ? in_kind(float()) : in_kind(BFloat16());
}

// Whether the processor multiplies packed bfloat16.
bool multiplies_bfloat16() {
    static const bool answer = [] {
        BFloat16 ones[2] = {1, 1};
        float result = 0;
        try {
            Product<BFloat16>::run({ones, 2}, Matrix<const BFloat16>{ones, 1}, 1, 2, 1,
                                   {&result, 1});
            at::native::cpublas::brgemm_release(true);
        } catch (const c10::Error &) {
        }
        return result == 2;
    }();
    return answer;
}

struct AttentionFunction : torch::autograd::Function<AttentionFunction> {
    static Tensor forward(AutogradContext *context, const Tensor &input, int64_t heads) {
        Tensor qkv = input.contiguous();
        Shape shape(qkv, heads);
        Tensor out = at::empty({shape.batch, shape.tokens, heads * shape.dim_head}, qkv.options());
        Tensor sums = at::empty({shape.tasks(), 2, shape.tokens}, qkv.options().dtype(at::kFloat));
        for_every_task(qkv, shape, false, [&](auto &workspace, int64_t task) {
            workspace.forward(qkv, out, shape.sums(sums, task), task);
        });
        context->save_for_backward({qkv, sums});
        context->saved_data["heads"] = heads;
        return out;
    }

    static variable_list backward(AutogradContext *context, variable_list grads) {
        auto tensors = context->get_saved_variables();
        Tensor qkv = tensors[0], sums = tensors[1], grad_out = grads[0].contiguous();
        Shape shape(qkv, context->saved_data["heads"].toInt());
        Tensor grad = at::empty_like(qkv);
        for_every_task(qkv, shape, true, [&](auto &workspace, int64_t task) {
            workspace.backward(qkv, grad_out, shape.sums(sums, task), grad, task);
        });
        return {grad, Tensor()};
    }
};

} // namespace

Tensor attention(const Tensor &qkv, int64_t heads) {
    check(qkv, "qkv", true);
    TORCH_CHECK(qkv.dim() == 3 && heads > 0 && qkv.size(2) % (3 * heads) == 0, "qkv of shape ",
                qkv.sizes(), " is not [batch, tokens, 3·heads·dim_head] with ", heads, " heads");
    bool exact = qkv.scalar_type() == at::kFloat;
    bool pairs = qkv.size(2) / (3 * heads) % 2 == 0;
    if (exact || (pairs && multiplies_bfloat16())) return AttentionFunction::apply(qkv, heads);
    return AttentionFunction::apply(qkv.to(at::kFloat), heads).to(qkv.scalar_type());
}
