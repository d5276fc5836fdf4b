#include "id_lists.hpp"
#include "topk.hpp"

namespace pyrec {
namespace {

using PYREC_BACKEND::Filter;

Filter filter_of(const Lists& excluded, const Lists& candidates, Index rows, Index I) {
    return {id_lists("exclude", excluded, rows, I), id_lists("candidates", candidates, rows, I)};
}

// Checks the outputs, returns k.
template <class T> Index outputs(const Out<Id>& items, const Out<T>& scores, Index rows) {
    const auto [n, k] = dims<2>("items", items);
    require(n == rows && k >= 1, "items must be (rows, k) with k >= 1");
    require_shape("scores", scores, {n, k});
    return k;
}

#ifdef PYREC_CUDA
template <class T>
void top_k_of(const Exec& ex, Out<Id> items, Out<T> out, Out<Id> nans, In<T> scores, const Lists& excluded,
              const Lists& candidates) {
    const auto [n, I] = dims<2>("scores", scores);
    const Index k = outputs(items, out, n);
    require_shape("nans", nans, {n});
    const Filter filter = filter_of(excluded, candidates, n, I);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::top_k(ex, items.data, out.data, nans.data, scores.data, n, I, k, filter);
}

template <class T>
void sparse_scores_of(const Exec& ex, Out<T> out, In<Index> indptr, In<Id> indices, In<T> data, In<Index> w_indptr,
                      In<Id> w_indices, In<T> w_data) {
    const auto [n, I] = dims<2>("out", out);
    const Csr<T> W = csr("weights", w_indptr, w_indices, w_data, I);
    const Csr<T> X = csr("X", indptr, indices, data, W.rows);
    require(n == X.rows, "out must have a row for each of X");
    py::gil_scoped_release nogil;
    PYREC_BACKEND::sparse_scores(ex, out.data, X, W);
}
#else
template <class T>
Index top_k_of(const Exec& ex, Out<Id> items, Out<T> out, In<T> scores, const Lists& excluded,
               const Lists& candidates) {
    const auto [n, I] = dims<2>("scores", scores);
    const Index k = outputs(items, out, n);
    const Filter filter = filter_of(excluded, candidates, n, I);
    py::gil_scoped_release nogil;
    return PYREC_BACKEND::top_k(ex, items.data, out.data, scores.data, n, I, k, filter);
}

template <class T>
Index factor_top_k_of(const Exec& ex, Out<Id> items, Out<T> out, In<T> user_factors, In<T> item_factors,
                      const Lists& excluded, const Lists& candidates) {
    const auto [n, d] = dims<2>("user_factors", user_factors);
    const auto [I, d_items] = dims<2>("item_factors", item_factors);
    require(d == d_items, "user_factors and item_factors differ in width");
    const Index k = outputs(items, out, n);
    const Filter filter = filter_of(excluded, candidates, n, I);
    py::gil_scoped_release nogil;
    return PYREC_BACKEND::factor_top_k(ex, items.data, out.data, user_factors.data, item_factors.data, n, I, d, k,
                                       filter);
}

template <class T>
Index sparse_top_k_of(const Exec& ex, Out<Id> items, Out<T> out, In<Index> indptr, In<Id> indices, In<T> data, In<T> W,
                      const Lists& excluded, const Lists& candidates) {
    const auto [J, I] = dims<2>("weights", W);
    const Csr<T> X = csr("X", indptr, indices, data, J);
    const Index k = outputs(items, out, X.rows);
    const Filter filter = filter_of(excluded, candidates, X.rows, I);
    py::gil_scoped_release nogil;
    return PYREC_BACKEND::sparse_top_k(ex, items.data, out.data, X, W.data, I, k, filter);
}

template <class T>
Index sparse_sparse_top_k_of(const Exec& ex, Out<Id> items, Out<T> out, In<Index> indptr, In<Id> indices, In<T> data,
                             In<Index> w_indptr, In<Id> w_indices, In<T> w_data, Index I, const Lists& excluded,
                             const Lists& candidates) {
    const Csr<T> W = csr("weights", w_indptr, w_indices, w_data, I);
    const Csr<T> X = csr("X", indptr, indices, data, W.rows);
    const Index k = outputs(items, out, X.rows);
    const Filter filter = filter_of(excluded, candidates, X.rows, I);
    py::gil_scoped_release nogil;
    return PYREC_BACKEND::sparse_top_k(ex, items.data, out.data, X, W, k, filter);
}
#endif

#ifdef PYREC_CUDA
void require_pairs(const In<Index>& rows, const In<Index>& items, Index, Index) {
    require_shape("items", items, {rows.size()});
}
#else
void require_pairs(const In<Index>& rows, const In<Index>& items, Index n, Index I) {
    require_shape("items", items, {rows.size()});
    bool good = true;
    for (Index p = 0; p < rows.size(); ++p)
        good &= rows.data[p] >= 0 && rows.data[p] < n && items.data[p] >= 0 && items.data[p] < I;
    require(good, "rows and items must be ids of X and weights");
}
#endif

template <class T>
void pair_scores_of(const Exec& ex, Out<T> out, In<Index> indptr, In<Id> indices, In<T> data, In<T> W, In<Index> rows,
                    In<Index> items) {
    const auto [J, I] = dims<2>("weights", W);
    const Csr<T> X = csr("X", indptr, indices, data, J);
    require_pairs(rows, items, X.rows, I);
    require_shape("out", out, {rows.size()});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::sparse_pair_scores(ex, out.data, X, W.data, I, rows.data, items.data, rows.size());
}

template <class T>
void sparse_pair_scores_of(const Exec& ex, Out<T> out, In<Index> indptr, In<Id> indices, In<T> data, In<Index> w_indptr,
                           In<Id> w_indices, In<T> w_data, Index I, In<Index> rows, In<Index> items) {
    const Csr<T> W = csr("weights", w_indptr, w_indices, w_data, I);
    const Csr<T> X = csr("X", indptr, indices, data, W.rows);
    require_pairs(rows, items, X.rows, I);
    require_shape("out", out, {rows.size()});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::sparse_pair_scores(ex, out.data, X, W, rows.data, items.data, rows.size());
}

}  // namespace

#ifdef PYREC_CUDA
#define DEFINE_TOP_K(T)           \
    m.def("top_k", &top_k_of<T>); \
    m.def("sparse_scores", &sparse_scores_of<T>);
#else
#define DEFINE_TOP_K(T)                         \
    m.def("top_k", &top_k_of<T>);               \
    m.def("factor_top_k", &factor_top_k_of<T>); \
    m.def("sparse_top_k", &sparse_top_k_of<T>); \
    m.def("sparse_sparse_top_k", &sparse_sparse_top_k_of<T>);
#endif
#define DEFINE(T)                             \
    DEFINE_TOP_K(T)                           \
    m.def("pair_scores", &pair_scores_of<T>); \
    m.def("sparse_pair_scores", &sparse_pair_scores_of<T>);
void bind_topk(py::module_& m) { PYREC_FLOATS(DEFINE) }

}  // namespace pyrec
