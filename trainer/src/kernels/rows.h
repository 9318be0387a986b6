// Loops over the rows of a tensor, and sums over them.

#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include <ATen/ATen.h>

#include "elements.h"
#include "parallel.h"

// Elements that one thread takes at a time.
constexpr int64_t GRAIN = 1 << 14;

// Calls run(thread, first row, end) on all threads; without rows, not at all.
template <typename F> void for_rows(int64_t rows, int64_t width, F run) {
    parallel_for(0, rows, std::max<int64_t>(1, GRAIN / std::max<int64_t>(1, width)),
                 [&](int64_t start, int64_t end) { run(at::get_thread_num(), start, end); });
}

// Sums over rows, [count, width]: every thread has its own.
struct ThreadSums {
    at::Tensor sums;

    ThreadSums(int64_t count, int64_t width)
        : sums(at::zeros({at::get_num_threads(), count, width}, at::kFloat)) {}

    float *of(int64_t thread, int64_t index) const {
        return elements<float>(sums) + (thread * sums.size(1) + index) * sums.size(2);
    }
    at::Tensor total() const { return sums.sum(0); }
};

// What is multiplied with or added to every row, [width] float32.
inline at::Tensor row_of(const at::Tensor &row, const char *name, int64_t width) {
    check(row, name, false);
    TORCH_CHECK(row.dim() == 1 && row.size(0) == width, name, " of shape ", row.sizes(),
                ", expected [", width, "]");
    return row.contiguous();
}

// The same of a bias; zeros if there is none.
inline at::Tensor bias_or_zeros(const std::optional<at::Tensor> &bias, int64_t width) {
    return bias ? row_of(*bias, "bias", width) : at::zeros({width}, at::kFloat);
}
