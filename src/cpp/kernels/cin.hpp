// Compressed interaction network of xDeepFM (Lian et al. 2018, arXiv:1803.05170, eq. 6): one layer, any sizes.
// B batch, m fields, H maps of the layer before, O maps of this one, D embedding size; arrays C-contiguous, the outputs
// alias nothing. x0 and xk may be the same array, as in a first layer: an implementation may then divide the gradient
// between d_x0 and d_xk as it likes.
#pragma once
#include "common.hpp"

namespace pyrec::PYREC_BACKEND {

// out (B,O,D) = sum_{h,i} w[o,h,i] xk[b,h,d] x0[b,i,d] + bias[o];  x0 (B,m,D), xk (B,H,D), w (O,H,m), bias (O) or null.
template <class T>
void cin_forward(const Exec& ex, T* out, const T* x0, const T* xk, const T* w, const T* bias, Index B, Index m, Index H,
                 Index O, Index D);

// d_x0 (B,m,D), d_xk (B,H,D), d_w (O,H,m), d_bias (O), given d_out (B,O,D) and the forward's input.
template <class T>
void cin_backward(const Exec& ex, T* d_x0, T* d_xk, T* d_w, T* d_bias, const T* d_out, const T* x0, const T* xk,
                  const T* w, Index B, Index m, Index H, Index O, Index D);

// What a layer gives, from its sums a (B,O,D): pooled (B,P) = sum_d act(a[:, :P]), eq. 7, and hidden (B,N,D) =
// act(a[:, O-N:]), the maps of the next layer; P, N <= O. act is max(x, 0), or x.
template <class T>
void cin_pool_forward(const Exec& ex, T* pooled, T* hidden, const T* a, Index B, Index O, Index D, Index P, Index N,
                      bool relu);

// d_a (B,O,D), given d_pooled (B,P), d_hidden (B,N,D) and the forward's input.
template <class T>
void cin_pool_backward(const Exec& ex, T* d_a, const T* d_pooled, const T* d_hidden, const T* a, Index B, Index O,
                       Index D, Index P, Index N, bool relu);

}  // namespace pyrec::PYREC_BACKEND
