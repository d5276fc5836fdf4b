// Rows of a product of a sparse and a dense matrix, some columns at a time. Every element is summed over the entries of
// its row in their order, so that an element has the same bits whichever function made it. CPU only.
#pragma once
#include "parallel.hpp"
#include "simd.hpp"

namespace pyrec::cpu {

// acc[c]: column ids[c] of a row of X W, for some columns.
template <class T>
void gather_scores(T* acc, const Csr<T>& X, Index row, const T* W, Index I, const Id* ids, Index count) {
    std::fill(acc, acc + count, T(0));
    for (Index e = X.indptr[row]; e < X.indptr[row + 1]; ++e) {
        const T* w = W + X.indices[e] * I;
        for (Index c = 0; c < count; ++c) acc[c] = multiply_add(X.data[e], w[ids[c]], acc[c]);
    }
}

inline constexpr int kSumVectors = 8;  // sums of a row that are held in registers
template <class T> inline constexpr Index kSumWidth = kSumVectors * kLanes<T>;

// sums[c] = sum_e x[e] * w[e][c] over the entries of a row of X, for `count` columns of w, whose rows are stride apart.
template <class T> void row_sums(T* sums, const Csr<T>& X, Index row, const T* w, Index stride, Index count) {
    constexpr int lanes = kLanes<T>;
    const Index from = X.indptr[row], to = X.indptr[row + 1];
    if (count < kSumWidth<T>) {
        std::fill(sums, sums + count, T(0));
        for (Index e = from; e < to; ++e)
            for (Index c = 0; c < count; ++c) sums[c] += X.data[e] * w[X.indices[e] * stride + c];
        return;
    }
    Vec<T> s[kSumVectors] = {};
    for (Index e = from; e < to; ++e) {
        const T* at = w + X.indices[e] * stride;
        for (int v = 0; v < kSumVectors; ++v) s[v] += X.data[e] * load(at + v * lanes);
    }
    for (int v = 0; v < kSumVectors; ++v) store(sums + v * lanes, s[v]);
}

// A whole row of X W, W sparse.
template <class T> void sparse_row_sums(T* sums, const Csr<T>& X, Index row, const Csr<T>& W) {
    std::fill(sums, sums + W.cols, T(0));
    for (Index e = X.indptr[row]; e < X.indptr[row + 1]; ++e) {
        const Index i = X.indices[e];
        for (Index w = W.indptr[i]; w < W.indptr[i + 1]; ++w) sums[W.indices[w]] += X.data[e] * W.data[w];
    }
}

// Runs f(j, count, sum) for the columns [j, j + count) of X W, a block of at most kSumWidth after the other; sum(sums,
// row) makes a row's part of the block, row among `rows` from `first` on. Columns outside, rows inside: a block of W
// serves many rows from cache. Where it serves enough of them it is packed first, which makes its lines and pages
// adjacent.
template <class T, class F>
void for_column_blocks(const Exec& ex, const Csr<T>& X, Index first, Index rows, const T* W, Index I, F f) {
    constexpr Index width = kSumWidth<T>;
    const bool packs = X.indptr[first + rows] - X.indptr[first] > 4 * X.cols;
    Scratch<T> packed(packs ? X.cols * width : 0);
    T* block = packed.data();
    for (Index j = 0; j < I; j += width) {
        const Index count = std::min(width, I - j);
        if (packs) {
            parallel_for(ex, X.cols, 256, [=](Index i) {
                std::copy_n(W + i * I + j, count, block + i * width);
                std::fill(block + i * width + count, block + (i + 1) * width, T(0));
            });
        }
        f(j, count, [&](T* sums, Index row) {
            if (packs)
                row_sums(sums, X, row, block, width, width);
            else
                row_sums(sums, X, row, W + j, I, count);
        });
    }
}

inline constexpr Index kSumRows = 16384;  // rows to which a packed block of columns is applied

}  // namespace pyrec::cpu
