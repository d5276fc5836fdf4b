#include "id_lists.hpp"
#include "ranking.hpp"

namespace pyrec {
namespace {

using PYREC_BACKEND::Sought;
using PYREC_BACKEND::Ties;

// Checks the output and what is looked for in n rows of I items.
Sought sought_of(const Out<double>& ranks, const Lists& relevant, const Lists& excluded, Index ties, Index depth,
                 Index n, Index I) {
    require(relevant.has_value(), "relevant must be given");
    require_shape("ranks", ranks, {relevant->second.size()});
    require(ties >= 0 && ties <= static_cast<Index>(Ties::median) && depth >= 1, "ties or depth out of range");
    return {ascending_lists("relevant", relevant, n, I), ascending_lists("exclude", excluded, n, I),
            static_cast<Ties>(ties), depth};
}

#ifdef PYREC_CUDA
template <class T>
void scores_of(const Exec& ex, Out<double> ranks, Out<Id> nans, In<T> scores, const Lists& relevant,
               const Lists& excluded, Index ties, Index depth) {
    const auto [n, I] = dims<2>("scores", scores);
    require_shape("nans", nans, {n});
    const Sought sought = sought_of(ranks, relevant, excluded, ties, depth, n, I);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::ranks_in_scores(ex, ranks.data, nans.data, scores.data, ranks.size(), n, I, sought);
}
#else
using PYREC_BACKEND::Metric;

template <class Int>
Index lists_of(const Exec& ex, Out<double> ranks, In<Int> ranked, Index bound, const Lists& relevant) {
    const auto [n, k] = dims<2>("ranked", ranked);
    require(k < Index{1} << 28, "ranked must have less than 2**28 columns");
    const Sought sought = sought_of(ranks, relevant, {}, 0, 1, n, bound);
    py::gil_scoped_release nogil;
    return PYREC_BACKEND::ranks_in_lists(ex, ranks.data, ranked.data, n, k, bound, sought.relevant);
}

template <class T>
Index scores_of(const Exec& ex, Out<double> ranks, In<T> scores, const Lists& relevant, const Lists& excluded,
                Index ties, Index depth) {
    const auto [n, I] = dims<2>("scores", scores);
    const Sought sought = sought_of(ranks, relevant, excluded, ties, depth, n, I);
    py::gil_scoped_release nogil;
    return PYREC_BACKEND::ranks_in_scores(ex, ranks.data, scores.data, n, I, sought);
}

template <class T>
Index factors_of(const Exec& ex, Out<double> ranks, In<T> users, In<T> items, std::optional<In<T>> bias,
                 const Lists& relevant, const Lists& excluded, Index ties, Index depth) {
    const auto [n, d] = dims<2>("user_factors", users);
    const auto [I, d_items] = dims<2>("item_factors", items);
    require(d == d_items, "user_factors and item_factors differ in width");
    if (bias) require_shape("item_bias", *bias, {I});
    const Sought sought = sought_of(ranks, relevant, excluded, ties, depth, n, I);
    py::gil_scoped_release nogil;
    return PYREC_BACKEND::ranks_in_factors(ex, ranks.data, users.data, items.data, bias ? bias->data : nullptr, n, I, d,
                                           sought);
}

template <class T>
Index sparse_of(const Exec& ex, Out<double> ranks, In<Index> indptr, In<Id> indices, In<T> data, In<T> W,
                const Lists& relevant, const Lists& excluded, Index ties, Index depth) {
    const auto [J, I] = dims<2>("weights", W);
    const Csr<T> X = csr("X", indptr, indices, data, J);
    const Sought sought = sought_of(ranks, relevant, excluded, ties, depth, X.rows, I);
    py::gil_scoped_release nogil;
    return PYREC_BACKEND::ranks_in_sparse(ex, ranks.data, X, W.data, I, sought);
}

template <class T>
Index sparse_sparse_of(const Exec& ex, Out<double> ranks, In<Index> indptr, In<Id> indices, In<T> data,
                       In<Index> w_indptr, In<Id> w_indices, In<T> w_data, Index I, const Lists& relevant,
                       const Lists& excluded, Index ties, Index depth) {
    const Csr<T> W = csr("weights", w_indptr, w_indices, w_data, I);
    const Csr<T> X = csr("X", indptr, indices, data, W.rows);
    const Sought sought = sought_of(ranks, relevant, excluded, ties, depth, X.rows, I);
    py::gil_scoped_release nogil;
    return PYREC_BACKEND::ranks_in_sparse(ex, ranks.data, X, W, sought);
}

void measure_of(const Exec& ex, Out<double> out, In<double> ranks, In<Index> indptr, In<std::int32_t> metrics,
                In<Index> depths, std::optional<In<double>> gains, std::optional<In<double>> rankable) {
    const Index n = indptr.size() - 1, M = metrics.size();
    require(n >= 0, "indptr must have at least one element");
    require_offsets("indptr", indptr, n, ranks.size());
    require_shape("depths", depths, {M});
    require_shape("out", out, {M, n});
    for (Index m = 0; m < M; ++m)
        require(metrics.data[m] >= 0 && metrics.data[m] <= static_cast<std::int32_t>(Metric::mean_rank) &&
                    depths.data[m] >= 1,
                "metric or depth out of range");
    if (gains) require_shape("gains", *gains, {ranks.size()});
    if (rankable) require_shape("n_rankable", *rankable, {n});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::measure(ex, out.data, ranks.data, indptr.data, n, reinterpret_cast<const Metric*>(metrics.data),
                           depths.data, M, gains ? gains->data : nullptr, rankable ? rankable->data : nullptr);
}
#endif

}  // namespace

#ifdef PYREC_CUDA
void bind_ranking(py::module_& m) {
    m.def("ranks_in_scores", &scores_of<float>);
    m.def("ranks_in_scores", &scores_of<double>);
}
#else
#define DEFINE(T)                              \
    m.def("ranks_in_scores", &scores_of<T>);   \
    m.def("ranks_in_factors", &factors_of<T>); \
    m.def("ranks_in_sparse", &sparse_of<T>);   \
    m.def("ranks_in_sparse_sparse", &sparse_sparse_of<T>);
void bind_ranking(py::module_& m) {
    PYREC_FLOATS(DEFINE)
    m.def("ranks_in_lists", &lists_of<std::int32_t>);
    m.def("ranks_in_lists", &lists_of<std::int64_t>);
    m.def("measure", &measure_of);
}
#endif

}  // namespace pyrec
