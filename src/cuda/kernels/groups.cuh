// The positions of a batch grouped by their ids, and sums over each group: one owner an element, one order.
//
// Bindings see the groups only.
#pragma once
#include "common.hpp"

namespace pyrec {

// As pyrec_core/kernels/_groups.py makes them: order[starts[g]] to order[starts[g + 1] - 1] are the positions of id
// unique[g], ascending. The ids ascend, too.
struct Groups {
    const Id* unique;     // (count)
    const Index* starts;  // (count + 1)
    const Index* order;   // (size)
    Index count, size;
};

}  // namespace pyrec

#if defined(PYREC_SIMT) || defined(__CUDACC__)
namespace pyrec {

constexpr Index kLongGroup = 64;  // positions: a group of more has a block to itself, such as that of a frequent value

// A thread for each column of each group.
template <class T, class Term, class Sink>
__global__ void sum_short_groups(Groups groups, Index d, Term term, Sink sink) {
    grid_stride(groups.count * d, [=](Index i) {
        const Index g = i / d, c = i % d, begin = groups.starts[g], end = groups.starts[g + 1];
        if (end - begin > kLongGroup) return;
        T sum = 0;
        for (Index k = begin; k < end; ++k) sum += term(groups.order[k], groups.unique[g], c);
        sink(g, c, sum);
    });
}

// A block for each long group: `width` columns, a power of 2, side by side, and its positions dealt out to `slots`.
template <class T, class Term, class Sink>
__global__ void sum_long_groups(Groups groups, Index d, int width, Term term, Sink sink) {
    PYREC_SHARED(T, sums);
    const int lane = static_cast<int>(threadIdx.x), slot = lane / width;
    const int slots = static_cast<int>(blockDim.x) / width;
    for (Index g = blockIdx.x; g < groups.count; g += gridDim.x) {
        const Index begin = groups.starts[g], end = groups.starts[g + 1];
        if (end - begin <= kLongGroup) continue;
        const Id id = groups.unique[g];
        for (Index first = 0; first < d; first += width) {
            const Index c = first + lane % width;
            T sum = 0;
            if (c < d)
                for (Index k = begin + slot; k < end; k += slots) sum += term(groups.order[k], id, c);
            sums[lane] = sum;
            __syncthreads();
            for (int half = slots / 2; half > 0; half /= 2) {
                if (slot < half) sums[lane] += sums[lane + half * width];
                __syncthreads();
            }
            if (slot == 0 && c < d) sink(g, c, sums[lane]);
            __syncthreads();
        }
    }
}

// sink(g, c, sum) for each group g and column c in [0, d): the sum of term(p, id, c) over the positions p of the group.
template <class T, class Term, class Sink>
void sum_groups(const Exec& ex, const Groups& groups, Index d, Term term, Sink sink) {
    if (groups.count == 0 || d == 0) return;
    int width = 1;
    while (width < d && width < kBlock) width *= 2;
    constexpr Index kLook = 16, kBlocks = 2048;  // groups that a block looks at, blocks at most
    const Index blocks = (groups.count + kLook - 1) / kLook;
    launch(sum_short_groups<T, Term, Sink>, grid_for(groups.count * d), kBlock, 0, ex.stream, groups, d, term, sink);
    launch(sum_long_groups<T, Term, Sink>, blocks < kBlocks ? blocks : kBlocks, kBlock, kBlock * sizeof(T), ex.stream,
           groups, d, width, term, sink);
}

// Term: row p of rows (n, d), times values[p] where there are values.
template <class T> struct RowTerm {
    const T *rows, *values;
    Index d;
    __device__ T operator()(Index p, Id, Index c) const {
        const T element = rows[p * d + c];
        return values ? values[p] * element : element;
    }
};

// Sink: into sums (count, d).
template <class T> struct StoreSum {
    T* sums;
    Index d;
    __device__ void operator()(Index g, Index c, T sum) const { sums[g * d + c] = sum; }
};

}  // namespace pyrec
#endif
