// The CPU execution context: a thread pool, scratch memory, and parallel loops over chunks fixed by the problem.
//
// Chunks never depend on the number of threads, and every chunk has one owner, so results do not either.
#pragma once
#include <algorithm>
#include <functional>
#include <type_traits>

#include "common.hpp"

namespace pyrec {

struct Blas;  // blas.hpp: SciPy's BLAS and LAPACK, by pointer

// Thrown out of a kernel when the user asked to stop (Ctrl-C).
struct Interrupted {};

// How a kernel runs: number of threads, linear algebra, and a function that says whether to stop.
struct Exec {
    int threads = 1;
    const Blas* blas = nullptr;
    bool (*stop)() = nullptr;  // asked by the calling thread, about every 50 ms
};

using Chunk = std::function<void(Index)>;

// Runs f(0) .. f(chunks - 1), each once, on up to ex.threads threads including the caller. Rethrows what f throws.
void run_chunks(const Exec& ex, Index chunks, const Chunk& f);

inline Index ceil_div(Index n, Index d) { return (n + d - 1) / d; }

// f(begin, end) for consecutive ranges of at most `grain` out of [0, n).
template <class F> void parallel_ranges(const Exec& ex, Index n, Index grain, F f) {
    run_chunks(ex, ceil_div(n, grain), [&](Index c) { f(c * grain, std::min(n, (c + 1) * grain)); });
}

// f(i) for every i in [0, n), `grain` at a time.
template <class F> void parallel_for(const Exec& ex, Index n, Index grain, F f) {
    parallel_ranges(ex, n, grain, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) f(i);
    });
}

// Scratch memory of the running thread: 64-byte aligned, uninitialised, kept between calls (fresh pages cost more
// than the arithmetic), given back in reverse order of taking. 2 MB pages are asked for where it is large.
void* scratch_take(std::size_t bytes);
void scratch_give(std::size_t bytes);

template <class T> class Scratch {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    explicit Scratch(Index n)
        : bytes_(static_cast<std::size_t>(n) * sizeof(T)), data_(static_cast<T*>(scratch_take(bytes_))) {}
    ~Scratch() { scratch_give(bytes_); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    T* data() { return data_; }
    T& operator[](Index i) { return data_[i]; }

  private:
    std::size_t bytes_;
    T* data_;
};

}  // namespace pyrec
