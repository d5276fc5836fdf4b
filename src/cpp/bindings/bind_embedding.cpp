#include <pybind11/stl.h>

#include <optional>

#include "array.hpp"
#include "embedding.hpp"

namespace pyrec {
namespace {

using PYREC_BACKEND::Bags;

template <class T> using Values = std::optional<In<T>>;

// The values of n ids, one each, or null.
template <class T> const T* values_of(const Values<T>& values, Index n) {
    require(!values || values->size() == n, "values must be as many as ids");
    return values ? values->data : nullptr;
}

template <class T> void gather_of(const Exec& ex, Out<T> out, In<T> table, In<Id> ids, const Values<T>& values) {
    const auto [rows, d] = dims<2>("table", table);
    const auto [n] = dims<1>("ids", ids);
    require_shape("out", out, {n, d});
    require_ids("ids", ids.data, n, rows);
    const T* const scale = values_of(values, ids.size());
    py::gil_scoped_release nogil;
    PYREC_BACKEND::gather(ex, out.data, table.data, ids.data, scale, n, d);
}

template <class T>
void bag_forward_of(const Exec& ex, Out<T> out, In<T> table, In<Id> ids, In<Index> offsets, const Values<T>& weights,
                    bool mean) {
    const auto [rows, d] = dims<2>("table", table);
    const auto [n] = dims<1>("ids", ids);
    const auto [bags, d_out] = dims<2>("out", out);
    require(d_out == d, "out must have the columns of the table");
    require_offsets("offsets", offsets, bags, n);
    require_ids("ids", ids.data, n, rows);
    const T* const scale = values_of(weights, ids.size());
    py::gil_scoped_release nogil;
    PYREC_BACKEND::bag_forward(ex, out.data, table.data, ids.data, scale, Bags{offsets.data, bags, mean}, d);
}

template <class T>
void pooled_pairs_forward_of(const Exec& ex, Out<T> out, Out<T> totals, In<T> table, In<Id> ids,
                             const Values<T>& values) {
    const auto [rows, d] = dims<2>("table", table);
    const auto [B, F] = dims<2>("ids", ids);
    require_shape("out", out, {B, d});
    require_shape("totals", totals, {B, d});
    require_ids("ids", ids.data, B * F, rows);
    const T* const scale = values_of(values, ids.size());
    py::gil_scoped_release nogil;
    PYREC_BACKEND::pooled_pairs_forward(ex, out.data, totals.data, table.data, ids.data, scale, B, F, d);
}

#ifdef PYREC_CUDA

template <class T>
void gather_backward_of(const Exec& ex, Out<T> sums, In<T> d_out, const Ids& ids, const Values<T>& values) {
    const auto [n, d] = dims<2>("d_out", d_out);
    require(ids.size == n, "ids must be as many as rows of d_out");
    require_shape("sums", sums, {ids.count, d});
    const T* const scale = values_of(values, n);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::gather_backward(ex, sums.data, d_out.data, ids, scale, d);
}

template <class T>
void bag_backward_of(const Exec& ex, Out<T> sums, In<T> d_out, const Ids& ids, In<Index> offsets,
                     const Values<T>& weights, bool mean) {
    const auto [bags, d] = dims<2>("d_out", d_out);
    require_shape("offsets", offsets, {bags + 1});
    require_shape("sums", sums, {ids.count, d});
    const T* const scale = values_of(weights, ids.size);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::bag_backward(ex, sums.data, d_out.data, ids, scale, Bags{offsets.data, bags, mean}, d);
}

template <class T>
void pooled_pairs_backward_of(const Exec& ex, Out<T> sums, In<T> d_out, In<T> totals, In<T> table, const Ids& ids,
                              const Values<T>& values) {
    const auto [B, d] = dims<2>("d_out", d_out);
    require_shape("totals", totals, {B, d});
    require_shape("table", table, {dims<2>("table", table)[0], d});
    require(B == 0 ? ids.size == 0 : ids.size % B == 0, "ids must be the same number for each row of d_out");
    require_shape("sums", sums, {ids.count, d});
    const T* const scale = values_of(values, ids.size);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::pooled_pairs_backward(ex, sums.data, d_out.data, totals.data, table.data, ids, scale,
                                         ids.size / std::max<Index>(B, 1), d);
}

#else

template <class T> void require_gradient(const Out<Id>& unique, const Out<T>& sums, Index n, Index d) {
    require(n < Index{1} << 32, "ids must be fewer than 2^32");  // positions are sorted as 32 bits
    require_shape("unique", unique, {n});
    require_shape("sums", sums, {n, d});
}

template <class T>
Index gather_backward_of(const Exec& ex, Out<Id> unique, Out<T> sums, In<T> d_out, In<Id> ids,
                         const Values<T>& values) {
    const auto [n, d] = dims<2>("d_out", d_out);
    require_shape("ids", ids, {n});
    require_gradient(unique, sums, n, d);
    require_ids("ids", ids.data, n, Index{1} << 31);
    const T* const scale = values_of(values, ids.size());
    py::gil_scoped_release nogil;
    return PYREC_BACKEND::gather_backward(ex, unique.data, sums.data, d_out.data, ids.data, scale, n, d);
}

template <class T>
Index bag_backward_of(const Exec& ex, Out<Id> unique, Out<T> sums, In<T> d_out, In<Id> ids, In<Index> offsets,
                      const Values<T>& weights, bool mean) {
    const auto [bags, d] = dims<2>("d_out", d_out);
    const auto [n] = dims<1>("ids", ids);
    require_gradient(unique, sums, n, d);
    require_offsets("offsets", offsets, bags, n);
    require_ids("ids", ids.data, n, Index{1} << 31);
    const T* const scale = values_of(weights, ids.size());
    py::gil_scoped_release nogil;
    return PYREC_BACKEND::bag_backward(ex, unique.data, sums.data, d_out.data, ids.data, scale,
                                       Bags{offsets.data, bags, mean}, d);
}

template <class T>
Index pooled_pairs_backward_of(const Exec& ex, Out<Id> unique, Out<T> sums, In<T> d_out, In<T> totals, In<T> table,
                               In<Id> ids, const Values<T>& values) {
    const auto [rows, d] = dims<2>("table", table);
    const auto [B, F] = dims<2>("ids", ids);
    require_shape("d_out", d_out, {B, d});
    require_shape("totals", totals, {B, d});
    require_gradient(unique, sums, B * F, d);
    require_ids("ids", ids.data, B * F, rows);
    const T* const scale = values_of(values, ids.size());
    py::gil_scoped_release nogil;
    return PYREC_BACKEND::pooled_pairs_backward(ex, unique.data, sums.data, d_out.data, totals.data, table.data,
                                                ids.data, scale, B, F, d);
}

#endif

}  // namespace

#define DEFINE(T)                                               \
    m.def("gather", &gather_of<T>);                             \
    m.def("gather_backward", &gather_backward_of<T>);           \
    m.def("bag_forward", &bag_forward_of<T>);                   \
    m.def("bag_backward", &bag_backward_of<T>);                 \
    m.def("pooled_pairs_forward", &pooled_pairs_forward_of<T>); \
    m.def("pooled_pairs_backward", &pooled_pairs_backward_of<T>);
void bind_embedding(py::module_& m) { PYREC_FLOATS(DEFINE) }

}  // namespace pyrec
