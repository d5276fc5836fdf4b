// Sums and other reductions over the lanes of a warp and of a block: in one order, the same for every lane.
#pragma once
#include "common.hpp"

#if defined(PYREC_SIMT) || defined(__CUDACC__)
namespace pyrec {

constexpr int kWarp = 32;
constexpr std::size_t kWarpsOfBlock = 32;  // at most: what block_reduce needs of shared memory, in elements

struct Sum {
    template <class T> __device__ T operator()(T a, T b) const { return a + b; }
};
struct Max {  // a NaN is passed over
    template <class T> __device__ T operator()(T a, T b) const { return b > a ? b : a; }
};

// combine() of the values of all lanes of a warp, in all of them.
template <class T, class F> __device__ T warp_reduce(T value, F combine) {
    for (int bit = kWarp / 2; bit > 0; bit /= 2) value = combine(value, __shfl_xor_sync(0xffffffff, value, bit));
    return value;
}

// combine() of the values of all lanes of a block, in all of them. `shared` has kWarpsOfBlock elements, and may be used
// again at once.
template <class T, class F> __device__ T block_reduce(T value, F combine, T* shared) {
    value = warp_reduce(value, combine);
    const unsigned warps = blockDim.x / kWarp;
    if (warps == 1) return value;
    if (threadIdx.x % kWarp == 0) shared[threadIdx.x / kWarp] = value;
    __syncthreads();
    value = shared[0];
    for (unsigned w = 1; w < warps; ++w) value = combine(value, shared[w]);
    __syncthreads();
    return value;
}

// Threads of a block that shares a row of n elements.
inline int row_block(Index n) { return n <= 128 ? kWarp : kBlock; }

// f(b) for every row b in [0, B), a block a row.
template <class F> __device__ void for_rows(Index B, F f) {
    for (Index b = blockIdx.x; b < B; b += gridDim.x) f(b);
}
inline Index row_grid(Index B) { return B < (Index{1} << 16) ? B : Index{1} << 16; }

// f(j) for every element j in [0, n) of a row, by the lanes of its block side by side.
template <class F> __device__ void for_elements(Index n, F f) {
    for (Index j = threadIdx.x; j < n; j += blockDim.x) f(j);
}

}  // namespace pyrec
#endif
