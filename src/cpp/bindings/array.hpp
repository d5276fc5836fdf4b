// Arrays at the border to Python. A binding checks dtype, layout, shape and id ranges, releases the GIL, and calls one
// kernel; it never converts, copies or allocates.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>

#include "random.hpp"

namespace py = pybind11;

namespace pyrec {

// A borrowed C-contiguous array of exactly this element type, at most 4 dimensions.
template <class T> struct Array {
    T* data = nullptr;
    int ndim = 0;
    std::array<Index, 4> shape{};
    Index size() const {
        Index n = 1;
        for (int i = 0; i < ndim; ++i) n *= shape[static_cast<std::size_t>(i)];
        return n;
    }
};
template <class T> struct In : Array<const T> {};
template <class T> struct Out : Array<T> {};

template <class A> std::string shape_text(const A& a) {
    std::string s = "(";
    for (int i = 0; i < a.ndim; ++i) s += (i ? ", " : "") + std::to_string(a.shape[static_cast<std::size_t>(i)]);
    return s + ")";
}

template <int N, class A> std::array<Index, N> dims(const char* name, const A& a) {
    if (a.ndim != N)
        throw py::value_error(std::string(name) + " must have " + std::to_string(N) + " dimensions, got shape " +
                              shape_text(a));
    std::array<Index, N> d;
    std::copy_n(a.shape.begin(), N, d.begin());
    return d;
}

template <class A> void require_shape(const char* name, const A& a, std::initializer_list<Index> shape) {
    if (a.ndim == static_cast<int>(shape.size()) && std::equal(shape.begin(), shape.end(), a.shape.begin())) return;
    throw py::value_error(std::string(name) + " has the wrong shape: " + shape_text(a));
}

inline void require(bool holds, const char* message) {
    if (!holds) throw py::value_error(message);
}

inline Stream stream_of(std::uint64_t seed, std::uint32_t purpose, std::uint32_t epoch) {
    require(purpose < 1u << 8, "purpose must be below 2^8");
    require(epoch < 1u << 24, "epoch must be below 2^24");
    return {seed, purpose, epoch};
}

}  // namespace pyrec

#ifdef PYREC_CUDA
#include "cuda_arrays.hpp"
#else
#include "host_arrays.hpp"
#endif

namespace pyrec {

// What tells a kernel which rows a batch touches, with repeats: the ids; on a device these grouped.
#ifdef PYREC_CUDA
using Ids = Groups;
inline Index size_of(const Ids& ids) { return ids.size; }
#else
using Ids = In<Id>;
inline Index size_of(const Ids& ids) { return ids.size(); }
#endif

template <class T>
Csr<T> csr(const char* name, const In<Index>& indptr, const In<Id>& indices, const In<T>& data, Index cols) {
    require(indptr.ndim == 1 && indptr.shape[0] >= 1, "indptr must be 1-D with at least one element");
    require_offsets(name, indptr, indptr.shape[0] - 1, indices.size());
    require_shape(name, data, {indices.size()});
    require_ids(name, indices.data, indices.size(), cols);
    return {indptr.data, indices.data, data.data, indptr.shape[0] - 1, cols};
}

}  // namespace pyrec
