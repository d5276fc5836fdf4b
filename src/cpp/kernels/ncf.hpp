// The network of neural collaborative filtering (He et al. 2017, arXiv:1708.05031, eq. 8 to 12): the logit of pairs of
// a user and an item, and its gradients. B pairs; CPU only.
//
// Pair b has a row p of a table of users and a row q of a table of items, of d elements each. The first g of both are
// multiplied, the others are the foot of a tower of L layers:
//
//   z_0 = [p[g:], q[g:]],  z_l = mask_l * max(0, z_{l-1} W_l + b_l),  logit = h . [p[:g] * q[:g], z_L] + c
#pragma once
#include "common.hpp"

namespace pyrec::PYREC_BACKEND {

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

}  // namespace pyrec::PYREC_BACKEND
