// How much two items belong together, from the users who have both. U users, I items.
#pragma once
#include "common.hpp"

namespace pyrec::PYREC_BACKEND {

// With n_ij = sum_u s_u x_ui x_uj (s_u the weight of user u), n_i = n_ii and N = sum_u s_u:
// count n_ij; cosine n_ij / sqrt(n_i n_j); jaccard n_ij / (n_i + n_j - n_ij); confidence n_ij / n_i;
// lift n_ij N / (n_i n_j); likelihood_ratio: G^2 of the table [n_ij, n_i - n_ij; n_j - n_ij, N - n_i - n_j + n_ij]
// (Dunning 1993, "Accurate Methods for the Statistics of Surprise and Coincidence"), 0 where n_ij <= n_i n_j / N.
enum class Cooccurrence { count, cosine, jaccard, confidence, lift, likelihood_ratio };

// For the items i = first, first + 1, ... (rows of out): the k items j of the largest measure(i, j), best first, ties
// by the smaller id, padded with item -1. Only j != i with n_ij >= least and a measure > 0. X (U,I) holds x; by_item
// (I,U) s_u x_ui; sizes (I) n_i; total N.
template <class T>
void cooccurrence_top_k(const Exec& ex, Id* out_items, T* out_values, Index n, Index k, Index first,
                        Cooccurrence measure, const Csr<T>& X, const Csr<T>& by_item, const double* sizes, double total,
                        double least);

}  // namespace pyrec::PYREC_BACKEND
