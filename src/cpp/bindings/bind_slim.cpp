#include <pybind11/stl.h>

#include <optional>

#include "array.hpp"
#include "slim.hpp"

namespace pyrec {
namespace {

using PYREC_BACKEND::SlimColumns;
using PYREC_BACKEND::SlimProblem;

using Lists = std::optional<std::pair<In<Index>, In<Id>>>;  // (indptr, ids): the candidates of each column

template <class T>
void slim_columns_of(const Exec& ex, Out<Id> items, Out<T> weights, Out<Index> counts, Out<Index> sweeps,
                     Out<T> violations, In<T> gram, Index first, double l1, double l2, bool positive, double tolerance,
                     Index max_sweeps, const Lists& candidates) {
    const auto [I, columns] = dims<2>("gram", gram);
    require(I == columns, "gram must be square");
    const auto [n, width] = dims<2>("items", items);
    require(width == I && first >= 0 && n <= I - first, "items must be (columns, I), columns of gram");
    require_shape("weights", weights, {n, I});
    require_shape("counts", counts, {n});
    require_shape("sweeps", sweeps, {n});
    require_shape("violations", violations, {n});
    if (candidates) {
        require_offsets("candidates", candidates->first, n, candidates->second.size());
        require_ids("candidates", candidates->second.data, candidates->second.size(), I);
    }
    const SlimColumns<T> out{items.data, weights.data, counts.data, sweeps.data, violations.data, first, n};
    const SlimProblem problem{l1, l2, positive, tolerance, max_sweeps};
    const Index* indptr = candidates ? candidates->first.data : nullptr;
    const Id* ids = candidates ? candidates->second.data : nullptr;
    py::gil_scoped_release nogil;
    PYREC_BACKEND::slim_columns(ex, out, gram.data, I, problem, indptr, ids);
}

}  // namespace

#define DEFINE(T) m.def("slim_columns", &slim_columns_of<T>);
void bind_slim(py::module_& m) { PYREC_FLOATS(DEFINE) }

}  // namespace pyrec
