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

// The pairs t = 0, 1, ... of fields i < j are (0, 1), (0, 2), ..., (1, 2), ...: F (F - 1) / 2 of them.

// out (B,pairs), out[:,t] = sum_d emb[:,i,d] emb[:,j,d];  emb (B,F,D).  Qu et al. 2016, arXiv:1611.00144, eq. 9.
template <class T> void inner_products_forward(const Exec& ex, T* out, const T* emb, Index B, Index F, Index D);
// d_emb (B,F,D), d_emb[:,i] = sum_{j != i} d_out[:,t] emb[:,j];  d_out (B,pairs).
template <class T>
void inner_products_backward(const Exec& ex, T* d_emb, const T* d_out, const T* emb, Index B, Index F, Index D);

// The network that scores a pair p of fields: h . relu(w p + b).
template <class T> struct PairScore {
    const T *w, *b, *h;  // (A,D), (A), (A)
    Index A, D;
};

// pooled (B,D) = sum_t a_t p_t for p_t = emb[:,i] * emb[:,j] and a = softmax_t(score(p_t)); 0 where there is no pair.
// log_sum (B) = log sum_t exp(score(p_t)).  emb (B,F,D).  Xiao et al. 2017, arXiv:1708.04617, eq. 4 and 5.
template <class T>
void attention_pooling_forward(const Exec& ex, T* pooled, T* log_sum, const T* emb, const PairScore<T>& score, Index B,
                               Index F);
// d_emb (B,F,D), and the gradients of w, b and h; d_pooled (B,D), pooled and log_sum as the forward pass made them.
// sums (P,A,D+2) is scratch memory: the gradients of w, b and h, side by side, over each of P >= 1 runs of examples.
template <class T>
void attention_pooling_backward(const Exec& ex, T* d_emb, T* d_w, T* d_b, T* d_h, double* sums, const T* d_pooled,
                                const T* pooled, const T* log_sum, const T* emb, const PairScore<T>& score, Index B,
                                Index F, Index P);

}  // namespace pyrec::PYREC_BACKEND
