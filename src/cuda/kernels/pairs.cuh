// The pairs of fields i < j by their number, for kernels.
#pragma once
#include <cmath>

#include "launch.cuh"

namespace pyrec::cuda {

// The number of the pair (i, i + 1), the first of field i.
__device__ inline Index first_pair(Index i, Index F) { return i * (2 * F - i - 1) / 2; }

__device__ inline Index pair_number(Index i, Index j, Index F) { return first_pair(i, F) + j - i - 1; }

struct FieldPair {
    Index i, j;
};

// The root is a good guess, and at most one field away.
__device__ inline FieldPair field_pair(Index t, Index F) {
    const double middle = static_cast<double>(F) - 0.5;
    const double root = middle - std::sqrt(middle * middle - 2.0 * static_cast<double>(t));
    Index i = static_cast<Index>(root);
    while (first_pair(i, F) > t) --i;
    while (first_pair(i + 1, F) <= t) ++i;
    return {i, i + 1 + t - first_pair(i, F)};
}

}  // namespace pyrec::cuda
