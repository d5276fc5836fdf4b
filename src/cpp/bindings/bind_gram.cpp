#include <pybind11/stl.h>

#include <optional>

#include "array.hpp"
#include "gram.hpp"

namespace pyrec {
namespace {

#ifdef PYREC_CUDA
template <class T>
void gram_of(const Exec& ex, Out<T> out, In<Index> indptr, In<Id> indices, In<T> data, std::optional<In<T>> weights,
             In<Index> start, In<Index> entry, In<Index> user, Index first) {
    const auto [count, I] = dims<2>("out", out);
    require(0 <= first && first <= I - count, "out must be rows of a square matrix");
    const Csr<T> X = csr("X", indptr, indices, data, I);
    if (weights) require_shape("weights", *weights, {X.rows});
    require_shape("start", start, {I + 1});
    require_shape("entry", entry, {indices.size()});
    require_shape("user", user, {indices.size()});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::gram(ex, out.data, X, weights ? weights->data : nullptr, {start.data, entry.data, user.data}, first,
                        count);
}
#else
template <class T>
void gram_of(const Exec& ex, Out<T> out, In<Index> indptr, In<Id> indices, In<T> data, std::optional<In<T>> weights) {
    const auto [I, columns] = dims<2>("out", out);
    require(I == columns, "out must be square");
    const Csr<T> X = csr("X", indptr, indices, data, I);
    if (weights) require_shape("weights", *weights, {X.rows});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::gram(ex, out.data, X, weights ? weights->data : nullptr);
}

template <class T> void ease_from_inverse_of(const Exec& ex, Out<T> p) {
    const auto [I, columns] = dims<2>("p", p);
    require(I == columns, "p must be square");
    py::gil_scoped_release nogil;
    PYREC_BACKEND::ease_from_inverse(ex, p.data, I);
}
#endif

}  // namespace

#ifdef PYREC_CUDA
#define DEFINE(T) m.def("gram", &gram_of<T>);
#else
#define DEFINE(T)               \
    m.def("gram", &gram_of<T>); \
    m.def("ease_from_inverse", &ease_from_inverse_of<T>);
#endif
void bind_gram(py::module_& m) { PYREC_FLOATS(DEFINE) }

}  // namespace pyrec
