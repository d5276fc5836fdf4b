// Dense linear algebra, row-major, from packed panels (packed.hpp) whose sizes depend on the shape alone: same
// bits for any number of threads. BLAS and LAPACK serve for small triangular blocks.
#pragma once
#include "blas.hpp"

namespace pyrec::PYREC_BACKEND {

#ifndef PYREC_CUDA  // where cuBLAS makes products

// A matrix as it lies in memory: rows start `stride` elements apart; op says whether its transpose is meant.
template <class T> struct Operand {
    const T* data;
    Index stride;
    Op op;
    // Where row i, column j of op(matrix) stands.
    const T* at(Index i, Index j) const { return op == Op::none ? data + i * stride + j : data + j * stride + i; }
};

// c (M,N) = alpha op(a) op(b) + beta c + bias;  op(a) (M,K), op(b) (K,N), bias (N), for each row, or null; c rows ldc
// apart.
template <class T>
void gemm(const Exec& ex, T* c, Index ldc, const Operand<T>& a, const Operand<T>& b, Index M, Index N, Index K, T alpha,
          T beta, const T* bias = nullptr);

// c (N,N) = alpha op(a) op(a)^T + beta c, full and symmetric (beta c reads the lower triangle);  op(a) (N,K).
template <class T> void syrk(const Exec& ex, T* c, const Operand<T>& a, Index N, Index K, T alpha, T beta);

// Blocked algorithms on the lower triangle of a (n,n), one panel of factor_panel(n) columns a call, so that callers can
// show progress and stop. The strict upper triangle is neither read nor kept (diagonal blocks are overwritten).
Index factor_panel(Index n);
// a = L L^T: panels ascending. Returns 0, or the order of the leading minor that is not positive definite.
template <class T> Index cholesky_panel(const Exec& ex, T* a, Index n, Index panel);
// L -> L^-1: the diagonal blocks first, then panels ascending.
template <class T> void invert_diagonal_blocks(const Exec& ex, T* a, Index n);
template <class T> void invert_lower_panel(const Exec& ex, T* a, Index n, Index panel);
// L^-1 -> lower triangle of L^-T L^-1 = (L L^T)^-1: panels ascending.
template <class T> void inverse_product_panel(const Exec& ex, T* a, Index n, Index panel);

// Copies the lower triangle of a (n,n) to the upper.
template <class T> void mirror_lower(const Exec& ex, T* a, Index n);

#endif

// sums (d) of the columns of a (n,d), in float64.
template <class T> void column_sums(const Exec& ex, T* sums, const T* a, Index n, Index d);

}  // namespace pyrec::PYREC_BACKEND
