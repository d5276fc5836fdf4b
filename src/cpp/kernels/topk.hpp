// The k best items of every row, without a rows x items matrix of scores. n rows, I items, k kept.
//
// Order: higher score, then smaller id; NaN after every number. Where fewer than k items can be ranked, out_items is
// padded with -1 and out_scores with -inf. On the CPU all selections return how many NaN scores they met.
#pragma once
#include "lists.hpp"

namespace pyrec::PYREC_BACKEND {

// What is ranked: all items but those of `excluded`, or, where given, `candidates` without `excluded`.
struct Filter {
    IdLists excluded, candidates;
};

#ifdef PYREC_CUDA
// scores (n,I), which the caller makes of factors by a dense product;  nans (n): how many a row has
template <class T>
void top_k(const Exec& ex, Id* out_items, T* out_scores, Id* nans, const T* scores, Index n, Index I, Index k,
           const Filter& filter);

// out (n,I) = X W, such scores of sparse weights;  X (n,J), W (J,I)
template <class T> void sparse_scores(const Exec& ex, T* out, const Csr<T>& X, const Csr<T>& W);
#else
// scores (n,I)
template <class T>
Index top_k(const Exec& ex, Id* out_items, T* out_scores, const T* scores, Index n, Index I, Index k,
            const Filter& filter);

// score of row u, item i = users[u] . items[i];  users (n,d), items (I,d)
template <class T>
Index factor_top_k(const Exec& ex, Id* out_items, T* out_scores, const T* users, const T* items, Index n, Index I,
                   Index d, Index k, const Filter& filter);

// scores = X W;  X (n,J), W (J,I) dense or sparse
template <class T>
Index sparse_top_k(const Exec& ex, Id* out_items, T* out_scores, const Csr<T>& X, const T* W, Index I, Index k,
                   const Filter& filter);
template <class T>
Index sparse_top_k(const Exec& ex, Id* out_items, T* out_scores, const Csr<T>& X, const Csr<T>& W, Index k,
                   const Filter& filter);
#endif

// out (m): element (rows[p], items[p]) of X W
template <class T>
void sparse_pair_scores(const Exec& ex, T* out, const Csr<T>& X, const T* W, Index I, const Index* rows,
                        const Index* items, Index m);
template <class T>
void sparse_pair_scores(const Exec& ex, T* out, const Csr<T>& X, const Csr<T>& W, const Index* rows, const Index* items,
                        Index m);

}  // namespace pyrec::PYREC_BACKEND
