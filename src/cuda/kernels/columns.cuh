// Sums over the rows of a matrix (B, n), one or more a column, in one order: over parts of the rows, then over these.
#pragma once
#include "scratch.cuh"

#if defined(PYREC_SIMT) || defined(__CUDACC__)
namespace pyrec {

// A block works on so many columns side by side, so many rows at a time.
constexpr int kColumnsOfBlock = 32, kRowsOfBlock = kBlock / kColumnsOfBlock;

// The rows of a part, which depend on the shape alone, and the grid of the kernels below.
inline Index rows_of_part(Index B) {
    constexpr Index least = 64, most_parts = 128;
    const Index rows = (B + most_parts - 1) / most_parts;
    return rows < least ? least : rows;
}
inline Index parts_of(Index B) { return B == 0 ? 1 : (B + rows_of_part(B) - 1) / rows_of_part(B); }
inline Index column_grid(Index parts, Index n) { return parts * ((n + kColumnsOfBlock - 1) / kColumnsOfBlock); }

// Where a thread stands: its column, and which rows of its block's part are its turn.
struct Place {
    Index part, column, begin, end;
    __device__ Place(Index B, Index n, Index rows) {
        const Index across = (n + kColumnsOfBlock - 1) / kColumnsOfBlock;
        part = blockIdx.x / across;
        column = blockIdx.x % across * kColumnsOfBlock + threadIdx.x % kColumnsOfBlock;
        begin = part * rows + threadIdx.x / kColumnsOfBlock;
        end = (part + 1) * rows < B ? (part + 1) * rows : B;
    }
    template <class F> __device__ void for_rows(F f) const {
        for (Index b = begin; b < end; b += kRowsOfBlock) f(b);
    }
};

// add(sum, b, c) for the rows b of a part, then finish(part, c, sum).
template <class A, class Add, class Finish>
__global__ void sum_part(Index B, Index n, Index rows, Add add, Finish finish) {
    PYREC_SHARED(A, sums);
    const Place at(B, n, rows);
    A sum{};
    if (at.column < n) at.for_rows([&](Index b) { add(sum, b, at.column); });
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x >= kColumnsOfBlock || at.column >= n) return;
    for (int r = 1; r < kRowsOfBlock; ++r) sum.merge(sums[r * kColumnsOfBlock + threadIdx.x]);
    finish(at.part, at.column, sum);
}

template <class A> struct StorePart {
    A* parts;
    Index n;
    __device__ void operator()(Index part, Index c, const A& sum) const { parts[part * n + c] = sum; }
};
template <class A> struct MergePart {
    const A* parts;
    Index n;
    __device__ void operator()(A& sum, Index part, Index c) const { sum.merge(parts[part * n + c]); }
};

// finish(0, c, sum) for each column c: the sum, of type A, of what add(sum, b, c) adds for all rows b. A() is nothing,
// and sum.merge(other) adds a sum.
template <class A, class Add, class Finish> void sum_columns(const Exec& ex, Index B, Index n, Add add, Finish finish) {
    constexpr std::size_t shared = kBlock * sizeof(A);
    const Index parts = parts_of(B);
    Scratch<A> sums(ex, parts * n);
    launch(sum_part<A, Add, StorePart<A>>, column_grid(parts, n), kBlock, shared, ex.stream, B, n, rows_of_part(B), add,
           StorePart<A>{sums.data(), n});
    launch(sum_part<A, MergePart<A>, Finish>, column_grid(1, n), kBlock, shared, ex.stream, parts, n, parts,
           MergePart<A>{sums.data(), n}, finish);
}

// A sum in float64.
struct Total {
    double sum = 0;
    __device__ void merge(const Total& other) { sum += other.sum; }
};

// Add: the elements of a (B, n).
template <class T> struct AddElement {
    const T* a;
    Index n;
    __device__ void operator()(Total& total, Index b, Index c) const { total.sum += static_cast<double>(a[b * n + c]); }
};

// Finish: into sums (n).
template <class T> struct StoreTotal {
    T* sums;
    __device__ void operator()(Index, Index c, const Total& total) const { sums[c] = static_cast<T>(total.sum); }
};

}  // namespace pyrec
#endif
