#include "array.hpp"
#include "math.hpp"

namespace pyrec {
namespace {

template <class T> void math_map_of(const Exec& ex, Out<T> out, In<T> x, const std::string& function) {
    const auto [n] = dims<1>("x", x);
    require_shape("out", out, {n});
    py::gil_scoped_release nogil;
    if (!PYREC_BACKEND::math_map(ex, out.data, x.data, n, function)) {
        py::gil_scoped_acquire gil;
        throw py::value_error("no such function: " + function);
    }
}

}  // namespace

#define DEFINE(T) m.def("math_map", &math_map_of<T>);
void bind_math(py::module_& m) { PYREC_FLOATS(DEFINE) }

}  // namespace pyrec
