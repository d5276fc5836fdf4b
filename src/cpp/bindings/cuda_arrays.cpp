#include "array.hpp"

#include <pybind11/stl.h>

#include <vector>

namespace pyrec {
namespace {

bool is_contiguous(const std::vector<Index>& strides, const Array<void>& a, Index item) {
    if (static_cast<int>(strides.size()) != a.ndim) return false;
    if (a.size() == 0) return true;
    for (std::size_t d = strides.size(); d-- > 0; item *= a.shape[d])
        if (a.shape[d] != 1 && strides[d] != item) return false;
    return true;
}

}  // namespace

bool read_array(py::handle src, ElementType type, bool writeable, Array<void>& a) {
    const py::object interface = py::getattr(src, "__cuda_array_interface__", py::none());
    if (!py::isinstance<py::dict>(interface)) return false;
    const auto entry = [&](const char* key) { return py::object(interface.attr("get")(key)); };  // or None

    const std::string typestr = (type.size == 1 ? "|" : "<") + std::string(1, type.kind) + std::to_string(type.size);
    if (!entry("typestr").equal(py::str(typestr)) || !entry("mask").is_none()) return false;

    py::detail::make_caster<std::vector<Index>> shape, strides;
    if (!shape.load(entry("shape"), false)) return false;
    const std::vector<Index>& extents = shape;
    if (extents.size() > a.shape.size()) return false;
    if (std::any_of(extents.begin(), extents.end(), [](Index n) { return n < 0; })) return false;
    a.ndim = static_cast<int>(extents.size());
    std::copy(extents.begin(), extents.end(), a.shape.begin());
    if (const py::object given = entry("strides"); !given.is_none())
        if (!strides.load(given, false) || !is_contiguous(strides, a, type.size)) return false;

    py::detail::make_caster<std::pair<std::uintptr_t, bool>> data;
    if (!data.load(entry("data"), false)) return false;
    const auto [address, readonly] = py::detail::cast_op<std::pair<std::uintptr_t, bool>>(data);
    if ((writeable && readonly) || address % static_cast<std::uintptr_t>(type.size) != 0) return false;
    if (address == 0 && a.size() > 0) return false;
    a.data = reinterpret_cast<void*>(address);
    return true;
}

}  // namespace pyrec
