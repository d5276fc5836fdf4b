#include "array.hpp"
#include "cooccurrence.hpp"

namespace pyrec {
namespace {

using PYREC_BACKEND::Cooccurrence;

template <class T>
void cooccurrence_top_k_of(const Exec& ex, Out<Id> items, Out<T> values, Index first, int measure, In<Index> indptr,
                           In<Id> indices, In<T> data, In<Index> item_indptr, In<Id> item_indices, In<T> item_data,
                           In<double> sizes, double total, double least) {
    const auto [n, k] = dims<2>("items", items);
    require_shape("values", values, {n, k});
    const Index I = sizes.size();
    require_shape("sizes", sizes, {I});
    require(k >= 1 && first >= 0 && n <= I - first, "items must be rows of items, with k >= 1");
    require(measure >= 0 && measure <= static_cast<int>(Cooccurrence::likelihood_ratio), "no such measure");
    const Csr<T> X = csr("X", indptr, indices, data, I);
    const Csr<T> by_item = csr("by_item", item_indptr, item_indices, item_data, X.rows);
    require(by_item.rows == I, "by_item must have a row for each item");
    py::gil_scoped_release nogil;
    PYREC_BACKEND::cooccurrence_top_k(ex, items.data, values.data, n, k, first, static_cast<Cooccurrence>(measure), X,
                                      by_item, sizes.data, total, least);
}

}  // namespace

#define DEFINE(T) m.def("cooccurrence_top_k", &cooccurrence_top_k_of<T>);
void bind_cooccurrence(py::module_& m) { PYREC_FLOATS(DEFINE) }

}  // namespace pyrec
