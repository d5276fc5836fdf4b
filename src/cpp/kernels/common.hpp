// What every kernel sees: the index type, the execution context, parallel loops.
#pragma once
#include <cstddef>
#include <cstdint>

#ifndef PYREC_BACKEND
#define PYREC_BACKEND cpu
#endif

// For small functions that CUDA kernels share.
#ifdef __CUDACC__
#define PYREC_HOST_DEVICE __host__ __device__
#else
#define PYREC_HOST_DEVICE
#endif

// Kernels are templates over the element type, instantiated for both.
#define PYREC_FLOATS(X) X(float) X(double)

namespace pyrec {

using Index = std::int64_t;  // every offset, size and product
using Id = std::int32_t;     // user, item and feature ids

// Compressed sparse rows, borrowed: row r is [indptr[r], indptr[r + 1]), ids ascending, no duplicates.
template <class T> struct Csr {
    const Index* indptr;
    const Id* indices;
    const T* data;
    Index rows, cols;
    Index nnz() const { return indptr[rows]; }
};

}  // namespace pyrec

#ifdef PYREC_CUDA
#include "launch.cuh"
#else
#include "parallel.hpp"
#endif
