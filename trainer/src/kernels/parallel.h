// Loops on libtorch's own threads, whatever the compiler.
//
// `at::parallel_for` needs a compiler whose OpenMP is the library that libtorch has loaded, which
// is GNU's; clang's own is another one, with threads of its own. So the loop is handed to GNU's
// library by the function that gcc compiles
// `#pragma omp parallel` to. Which thread takes what is as in ATen/ParallelOpenMP.h.

#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>

#include <ATen/Parallel.h>
#include <c10/util/ParallelGuard.h>

extern "C" {
// `threads` 0: as many as `omp_set_num_threads` was told, which is what `at::set_num_threads`
// calls.
void GOMP_parallel(void (*run)(void *), void *data, unsigned threads, unsigned flags);
int omp_get_num_threads();
int omp_get_thread_num();
}

// A loop that runs on several threads.
template <typename F> struct ParallelLoop {
    int64_t start, end, grain;
    const F &run;
    std::atomic_flag failed = ATOMIC_FLAG_INIT;
    std::exception_ptr error = nullptr;

    // What one thread does.
    void run_part() {
        int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
        if (grain > 0) threads = std::min(threads, at::divup(end - start, grain));
        int64_t length = at::divup(end - start, threads), first = start + thread * length;
        if (first >= end) return;
        try {
            at::internal::ThreadIdGuard id(static_cast<int>(thread));
            c10::ParallelGuard guard(true);
            run(first, std::min(end, first + length));
        } catch (...) {
            if (!failed.test_and_set()) error = std::current_exception();
        }
    }
};

// Calls run(first, end) on the threads for parts of the range, none shorter than `grain` unless it
// is the last; for an empty range, not at all.
template <typename F> void parallel_for(int64_t start, int64_t end, int64_t grain, const F &run) {
    if (start >= end) return;
    at::internal::lazy_init_num_threads();
    int64_t count = end - start;
    if (count <= grain || count == 1 || at::in_parallel_region() || at::get_num_threads() == 1) {
        at::internal::ThreadIdGuard id(0);
        c10::ParallelGuard guard(true);
        run(start, end);
        return;
    }
    ParallelLoop<F> loop{start, end, grain, run};
    GOMP_parallel([](void *data) { static_cast<ParallelLoop<F> *>(data)->run_part(); }, &loop, 0,
                  0);
    if (loop.error) std::rethrow_exception(loop.error);
}
