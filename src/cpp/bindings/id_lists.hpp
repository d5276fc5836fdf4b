// Lists of ids at the border to Python.
#pragma once
#include <pybind11/stl.h>

#include <optional>

#include "array.hpp"
#include "lists.hpp"

namespace pyrec {

// (indptr, ids) of ascending lists, one a row, or a single one for all rows; or None.
using Lists = std::optional<std::pair<In<Index>, In<Id>>>;

inline IdLists id_lists(const char* name, const Lists& lists, Index rows, Index bound) {
    if (!lists) return {};
    const auto& [indptr, ids] = *lists;
    const bool shared = indptr.size() == 2 && rows != 1;
    require_offsets(name, indptr, shared ? 1 : rows, ids.size());
    require_ids(name, ids.data, ids.size(), bound);
    return {indptr.data, ids.data, shared};
}

// The same, one list a row, and strictly ascending without doubt: for kernels that would go out of bounds otherwise.
// On a device the Python functions have seen to that.
inline IdLists ascending_lists(const char* name, const Lists& lists, Index rows, Index bound) {
    if (!lists) return {};
    const auto& [indptr, ids] = *lists;
#ifdef PYREC_CUDA
    static_cast<void>(bound);
    require_shape(name, indptr, {rows + 1});
#else
    require_offsets(name, indptr, rows, ids.size());
    bool good = true;
    for (Index r = 0; r < rows; ++r) {
        const Index begin = indptr.data[r], end = indptr.data[r + 1];
        if (begin == end) continue;
        good &= ids.data[begin] >= 0 && ids.data[end - 1] < bound;
        for (Index e = begin + 1; e < end; ++e) good &= ids.data[e - 1] < ids.data[e];
    }
    if (!good)
        throw py::value_error(std::string(name) + ": ids of a row must ascend, in [0, " + std::to_string(bound) + ")");
#endif
    return {indptr.data, ids.data, false};
}

}  // namespace pyrec
