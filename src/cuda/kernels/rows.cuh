// Passes over one row of scores by the lanes of a block.
#pragma once
#include <limits>

#include "cross_entropy.hpp"
#include "math.hpp"
#include "reduce.cuh"

#if defined(PYREC_SIMT) || defined(__CUDACC__)
namespace pyrec::cuda {

template <class T> inline constexpr T kLowest = std::numeric_limits<T>::lowest();
template <class T> inline constexpr T kAbsent = -std::numeric_limits<T>::infinity();  // the score of what is not there

constexpr int kSums = 5;  // of a row, that are made together, at most
constexpr std::size_t kRowShared = kSums * kWarpsOfBlock * sizeof(double);

// Each of `sums` over all lanes of the block, in all of them, with a barrier for all.
template <class T, int n> __device__ void block_sums(T (&sums)[n], double* shared) {
    static_assert(n <= kSums);
    T* const of_warps = reinterpret_cast<T*>(shared);
    for (T& sum : sums) sum = warp_reduce(sum, Sum{});
    const unsigned warps = blockDim.x / kWarp;
    if (warps == 1) return;
    if (threadIdx.x % kWarp == 0)
        for (int k = 0; k < n; ++k) of_warps[static_cast<unsigned>(k) * warps + threadIdx.x / kWarp] = sums[k];
    __syncthreads();
    for (int k = 0; k < n; ++k) {
        const T* const of = of_warps + static_cast<unsigned>(k) * warps;
        sums[k] = of[0];
        for (unsigned w = 1; w < warps; ++w) sums[k] += of[w];
    }
    __syncthreads();
}

// The largest score(j), NaN aside; -inf of none.
template <class T, class F> __device__ T largest(Index n, double* shared, F score) {
    T best = kAbsent<T>;
    for_elements(n, [&](Index j) { best = Max{}(best, score(j)); });
    return block_reduce(best, Max{}, reinterpret_cast<T*>(shared));
}

// What scores are taken from before exp: their maximum, or where there is none a number, so that exp(-inf) is left.
template <class T> __device__ T shift_of(T maximum) { return maximum < kLowest<T> ? kLowest<T> : maximum; }

}  // namespace pyrec::cuda
#endif
