// Sparse linear item-item weights by coordinate descent on the Gram matrix. I items.
#pragma once
#include "common.hpp"

namespace pyrec::PYREC_BACKEND {

// What to minimise, and how well: 1/2 |X - X W|^2 + l2/2 |W|^2 + l1 |W|_1 with diag W = 0 and, if positive, W >= 0.
// Ning & Karypis 2011, "SLIM: Sparse Linear Methods for Top-N Recommender Systems", eq. 3.
struct SlimProblem {
    double l1, l2;
    bool positive;
    double tolerance;  // column j is done when its optimality conditions fail by at most this times max_i |G_ij|
    Index max_sweeps;  // over the weights of one column
};

// What becomes of the columns: row c of items and weights holds counts[c] pairs, items ascending.
template <class T> struct SlimColumns {
    Id* items;      // (columns, I)
    T* weights;     // (columns, I)
    Index* counts;  // (columns)
    Index* sweeps;  // (columns)
    T* violations;  // (columns) by how much the conditions fail at the end, as a share of max_i |G_ij|
    Index first, columns;
};

// Columns first, first + 1, ... of W, from the symmetric gram = X^T X (I,I). With candidates (a row for each of the
// columns, ids ascending) other weights stay zero.
template <class T>
void slim_columns(const Exec& ex, const SlimColumns<T>& out, const T* gram, Index I, const SlimProblem& problem,
                  const Index* candidate_indptr, const Id* candidate_ids);

}  // namespace pyrec::PYREC_BACKEND
