// Rows of a table, looked up by id, and the gradients of these rows. d columns; ids are in range.
//
// A gradient comes as the distinct ids, ascending, with the sum of the gradients of each row in the order of the batch:
// unique (n) and sums (n, d) for n ids are filled up to the count that is returned. On a device the ids come grouped
// instead, and sums is (groups.count, d).
#pragma once
#include "common.hpp"
#ifdef PYREC_CUDA
#include "groups.cuh"
#endif

namespace pyrec::PYREC_BACKEND {

// out[p] = values[p] * table[ids[p]];  table (rows, d), ids and values (n), out (n, d). values may be null: all 1.
template <class T>
void gather(const Exec& ex, T* out, const T* table, const Id* ids, const T* values, Index n, Index d);

// sums: values[p] * d_out[p];  d_out (n, d).
#ifdef PYREC_CUDA
template <class T>
void gather_backward(const Exec& ex, T* sums, const T* d_out, const Groups& groups, const T* values, Index d);
#else
template <class T>
Index gather_backward(const Exec& ex, Id* unique, T* sums, const T* d_out, const Id* ids, const T* values, Index n,
                      Index d);
#endif

// Lists of ids: bag k has those from offsets[k] to offsets[k + 1], each with its weight, or 1 where weights is null.
struct Bags {
    const Index* offsets;
    Index count;
    bool mean;  // of the weighted rows, instead of their sum
};

// out[k] = sum_p weights[p] * table[ids[p]] over bag k, divided by the number of its ids if `mean`; 0 if it has none.
// table (rows, d), ids and weights (n), out (count, d).
template <class T>
void bag_forward(const Exec& ex, T* out, const T* table, const Id* ids, const T* weights, const Bags& bags, Index d);

// d_out (count, d).
#ifdef PYREC_CUDA
template <class T>
void bag_backward(const Exec& ex, T* sums, const T* d_out, const Groups& groups, const T* weights, const Bags& bags,
                  Index d);
#else
template <class T>
Index bag_backward(const Exec& ex, Id* unique, T* sums, const T* d_out, const Id* ids, const T* weights,
                   const Bags& bags, Index d);
#endif

// With e[b,f] = values[b,f] * table[ids[b,f]]: out[b] = sum_{i<j} e[b,i] * e[b,j] and totals[b] = sum_f e[b,f], without
// e in memory. He & Chua 2017, arXiv:1708.05027, eq. 3.  ids and values (B, F), out and totals (B, d).
template <class T>
void pooled_pairs_forward(const Exec& ex, T* out, T* totals, const T* table, const Id* ids, const T* values, Index B,
                          Index F, Index d);

// sums: values[b,f] * d_out[b] * (totals[b] - e[b,f]);  d_out (B, d).
#ifdef PYREC_CUDA
template <class T>
void pooled_pairs_backward(const Exec& ex, T* sums, const T* d_out, const T* totals, const T* table,
                           const Groups& groups, const T* values, Index F, Index d);
#else
template <class T>
Index pooled_pairs_backward(const Exec& ex, Id* unique, T* sums, const T* d_out, const T* totals, const T* table,
                            const Id* ids, const T* values, Index B, Index F, Index d);
#endif

}  // namespace pyrec::PYREC_BACKEND
