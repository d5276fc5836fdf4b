// The network of neural collaborative filtering (He et al. 2017, arXiv:1708.05031, eq. 8 to 12): the logit of pairs of
// a user and an item, and its gradients. B pairs.
//
// Pair b has a row p of a table of users and a row q of a table of items, of d elements each. The first g of both are
// multiplied, the others are the foot of a tower of L layers:
//
//   z_0 = [p[g:], q[g:]],  z_l = mask_l * max(0, z_{l-1} W_l + b_l),  logit = h . [p[:g] * q[:g], z_L] + c
#pragma once
#include "common.hpp"

namespace pyrec::PYREC_BACKEND {

#ifndef PYREC_CUDA

// W (in, out), bias (out), mask (B, out) or null: all 1.
template <class T> struct TowerLayer {
    const T *w, *bias, *mask;
    Index in, out;
};

template <class T> struct PairNetwork {
    const T *users, *items;  // tables, d columns
    const Id *user, *item;   // (B): in range
    const TowerLayer<T>* layers;
    Index depth;             // L; in of the first layer is 2 (d - g), or g is d where there is none
    const T *head, *offset;  // h (g + out of the last layer) and c (1)
    Index B, d, g;
};

// logits (B), and kept (B, sum of all out): z_1 to z_L side by side.
template <class T> void ncf_forward(const Exec& ex, T* logits, T* kept, const PairNetwork<T>& net);

// d_users and d_items (B, d): gradients of the rows of each pair. d_params: of W_1, b_1, ..., W_L, b_L, h, c, one after
// the other. Given d_logits (B), and kept as the forward left it.
template <class T>
void ncf_backward(const Exec& ex, T* d_users, T* d_items, T* d_params, const T* d_logits, const T* kept,
                  const PairNetwork<T>& net);

#else

// On a device the products with W_l are cuBLAS's: the Python functions call it between these, which do all else. What
// cuBLAS reads and writes is contiguous, while `kept`, and `slopes` like it, have the layers side by side.

template <class T> struct TableRows {
    const T *users, *items;  // tables, d columns, the first g of which are multiplied
    const Id *user, *item;   // (B): in range
    Index B, d, g;
};

// The `width` columns of one layer from `column` on, in an array of `stride` columns.
struct LayerColumns {
    Index B, stride, column, width;
};

// foot (B, 2 (d - g)): z_0.
template <class T> void ncf_foot(const Exec& ex, T* foot, const TableRows<T>& rows);

// z (B, width) = mask * max(0, z + bias), and the same in the columns of kept. mask (B, width) or null: all 1.
template <class T>
void ncf_layer_forward(const Exec& ex, T* z, T* kept, const T* bias, const T* mask, const LayerColumns& at);

// logits (B). z_L are the last `top` columns of kept (B, stride); head (g + top), offset (1).
template <class T>
void ncf_logits(const Exec& ex, T* logits, const T* kept, const T* head, const T* offset, const TableRows<T>& rows,
                Index stride, Index top);

// d_z (B, width): of z_L = mask * max(0, x), that of x; and the same in the columns of slopes. head (width): h of z_L.
template <class T>
void ncf_top_backward(const Exec& ex, T* d_z, T* slopes, const T* d_logits, const T* head, const T* kept, const T* mask,
                      const LayerColumns& at);

// d_z (B, width): of a layer below, that of z becomes that of x; and the same in the columns of slopes. z (B, width):
// its columns of kept.
template <class T>
void ncf_layer_backward(const Exec& ex, T* d_z, T* slopes, T* z, const T* kept, const T* mask, const LayerColumns& at);

// d_users and d_items (B, d): gradients of the rows of each pair; d_foot (B, 2 (d - g)) is that of z_0, head (g) is h
// of the products.
template <class T>
void ncf_rows_backward(const Exec& ex, T* d_users, T* d_items, const T* d_logits, const T* d_foot, const T* head,
                       const TableRows<T>& rows);

// sums (stride + g + top + 1): over the pairs, of the columns of slopes (B, stride), which are the gradients of all
// biases, then those of h and of c.
template <class T>
void ncf_sums(const Exec& ex, T* sums, const T* slopes, const T* d_logits, const T* kept, const TableRows<T>& rows,
              Index stride, Index top);

#endif

}  // namespace pyrec::PYREC_BACKEND
