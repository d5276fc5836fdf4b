// The CUDA execution context, and for kernels: launching, grid-stride loops, dynamic shared memory.
//
// Bindings see the context only. Kernel files are compiled by nvcc, or with PYREC_SIMT by the host compiler against the
// test double in src/cuda/simt; so that both work, kernels keep to the rules there.
#pragma once
#include "common.hpp"

struct CUstream_st;  // a CUDA stream is a pointer to one

namespace pyrec {

// How a kernel runs: asynchronously, after what is already in the stream. Null is the default stream.
struct Exec {
    CUstream_st* stream = nullptr;
};

}  // namespace pyrec

#ifdef PYREC_SIMT
#include "simt.hpp"
#elif defined(__CUDACC__)
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>
#include <type_traits>

// The block's dynamic shared memory as T* name; a kernel cuts it by hand. At most 48 KB.
#define PYREC_SHARED(T, name)                                \
    extern __shared__ __align__(16) unsigned char shared_[]; \
    T* const name = reinterpret_cast<T*>(shared_)

namespace pyrec {

// kernel(args...) on a one-dimensional grid; nothing where the grid is empty. Throws with CUDA's own message.
template <class... P>
void launch(void (*kernel)(P...), Index grid, int block, std::size_t shared_bytes, CUstream_st* stream,
            std::type_identity_t<P>... args) {
    if (grid == 0) return;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(grid));
    config.blockDim = dim3(static_cast<unsigned>(block));
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    const cudaError_t error = cudaLaunchKernelEx(&config, kernel, args...);
    if (error == cudaSuccess) return;
    cudaGetLastError();  // reported here, so not once more by whoever asks next
    throw std::runtime_error(std::string("CUDA kernel launch failed: ") + cudaGetErrorString(error));
}

}  // namespace pyrec
#endif

#if defined(PYREC_SIMT) || defined(__CUDACC__)
namespace pyrec {

// Threads a block where nothing asks for another number. Where lanes are threads of the CPU, two warps show every race.
#ifdef PYREC_SIMT_THREADS
constexpr int kBlock = 64;
#else
constexpr int kBlock = 256;
#endif

// Blocks for n elements, one a thread; beyond the cap threads take several, as any device is full long before it.
inline Index grid_for(Index n) {
    constexpr Index cap = Index{1} << 16;
    const Index blocks = (n + kBlock - 1) / kBlock;
    return blocks < cap ? blocks : cap;
}

// f(i) for every i in [0, n), neighbours by neighbours.
template <class F> __device__ void grid_stride(Index n, F f) {
    const Index step = Index{gridDim.x} * blockDim.x;
    for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) f(i);
}

}  // namespace pyrec
#endif
