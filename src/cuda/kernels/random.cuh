// Streams of random numbers, filled side by side.
#pragma once
#include "random.hpp"

#if defined(PYREC_SIMT) || defined(__CUDACC__)
namespace pyrec::cuda {

// out[k] = f(element first + k of the stream); a thread takes both halves of the words of an example. To be run on
// stream_grid(n) blocks.
template <class T, class F> __device__ void fill(T* out, Index n, const Stream& stream, std::uint64_t first, F f) {
    const std::uint64_t begin = first / 2, end = (first + static_cast<std::uint64_t>(n) + 1) / 2;
    grid_stride(static_cast<Index>(end - begin), [=](Index p) {
        const std::uint64_t example = begin + static_cast<std::uint64_t>(p);
        const Words w = random_words(stream, example, 0);
        for (int half = 0; half < 2; ++half) {
            const Index k = static_cast<Index>(2 * example + static_cast<std::uint64_t>(half) - first);
            if (k >= 0 && k < n) out[k] = f(half_of(w, half));
        }
    });
}

inline Index stream_grid(Index n) { return n > 0 ? grid_for(n / 2 + 1) : 0; }

}  // namespace pyrec::cuda
#endif
