#include <pybind11/stl.h>

#include "array.hpp"
#include "random.hpp"

namespace pyrec {
namespace {

template <class T>
void uniform(const Exec& ex, Out<T> out, std::uint64_t seed, std::uint32_t purpose, std::uint32_t epoch,
             std::uint64_t first) {
    const Stream stream = stream_of(seed, purpose, epoch);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::random_uniform(ex, out.data, out.size(), stream, first);
}

template <class T>
void uniform_at(const Exec& ex, Out<T> out, In<Index> position, std::uint64_t seed, std::uint32_t purpose,
                std::uint32_t epoch) {
    require_shape("position", position, {out.size()});
    const Stream stream = stream_of(seed, purpose, epoch);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::random_uniform_at(ex, out.data, position.data, out.size(), stream);
}

void integers(const Exec& ex, Out<Index> out, std::uint64_t high, std::uint64_t seed, std::uint32_t purpose,
              std::uint32_t epoch, std::uint64_t first) {
    const Stream stream = stream_of(seed, purpose, epoch);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::random_integers(ex, out.data, out.size(), high, stream, first);
}

}  // namespace

#define DEFINE(T) m.def("random_uniform", &uniform<T>), m.def("random_uniform_at", &uniform_at<T>);
void bind_random(py::module_& m) {
    PYREC_FLOATS(DEFINE)
    m.def("random_integers", &integers);
    m.def("philox", [](std::uint32_t k0, std::uint32_t k1, std::array<std::uint32_t, 4> c) {
        const Words w = philox(k0, k1, Words{{c[0], c[1], c[2], c[3]}});
        return py::make_tuple(w.word[0], w.word[1], w.word[2], w.word[3]);
    });
}

}  // namespace pyrec
