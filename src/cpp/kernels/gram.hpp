// Gram matrices of sparse interactions, and the EASE weights made of them. U users, I items.
#pragma once
#include "common.hpp"

namespace pyrec::PYREC_BACKEND {

// out (I,I) = X^T diag(weights) X, symmetric and full. X (U,I); weights (U) or null for ones. Sums are exact for 0/1
// data without weights (32-bit counts) and taken in float64 otherwise; each is rounded to T once.
#ifdef PYREC_CUDA
// The entries of X by item: those of item i are entry[start[i]] .. entry[start[i + 1] - 1], in the order of their
// users.
struct ByItem {
    const Index *start, *entry, *user;  // (I + 1), (nnz), (nnz)
};
// Rows `first` .. `first + count - 1` of it only: out (count,I), as all of them may not fit on the device.
template <class T>
void gram(const Exec& ex, T* out, const Csr<T>& X, const T* weights, const ByItem& by, Index first, Index count);
#else
template <class T> void gram(const Exec& ex, T* out, const Csr<T>& X, const T* weights);

// In place, from the lower triangle of P = (X^T X + l2 I)^-1 (I,I) to B: B_ij = -P_ij / P_jj, B_ii = 0, columns scaled.
// Steck 2019, arXiv:1905.03375, eq. 8.
template <class T> void ease_from_inverse(const Exec& ex, T* p, Index I);
#endif

}  // namespace pyrec::PYREC_BACKEND
