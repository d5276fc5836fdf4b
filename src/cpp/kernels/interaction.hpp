// Feature interactions. B batch, F fields, D embedding size; arrays C-contiguous, none alias.
#pragma once
#include "common.hpp"

namespace pyrec::PYREC_BACKEND {

// out (B,D) = sum_{i<j} emb[:,i] * emb[:,j];  emb (B,F,D).  He & Chua 2017, arXiv:1708.05027, eq. 3.
template <class T> void bi_interaction_forward(const Exec& ex, T* out, const T* emb, Index B, Index F, Index D);
// d_emb (B,F,D), d_emb[b,f] = d_out[b] * (sum_j emb[b,j] - emb[b,f]);  d_out (B,D).
template <class T>
void bi_interaction_backward(const Exec& ex, T* d_emb, const T* d_out, const T* emb, Index B, Index F, Index D);
// out (B) = sum_d sum_{i<j} emb[:,i,d] emb[:,j,d];  emb (B,F,D).  The pairs of a factorization machine, Rendle 2010.
template <class T> void fm_forward(const Exec& ex, T* out, const T* emb, Index B, Index F, Index D);
// d_emb (B,F,D), d_emb[b,f] = d_out[b] * (sum_j emb[b,j] - emb[b,f]);  d_out (B).
template <class T> void fm_backward(const Exec& ex, T* d_emb, const T* d_out, const T* emb, Index B, Index F, Index D);

}  // namespace pyrec::PYREC_BACKEND
