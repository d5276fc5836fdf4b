// The CUDA side of array.hpp: anything with __cuda_array_interface__ (CuPy, PyTorch, Numba, ...), and an execution
// context made from the handle of a stream.
#pragma once
#include <type_traits>

#include "array.hpp"
#include "groups.cuh"

namespace pyrec {

struct ElementType {
    char kind;  // of the interface's typestr: b, i, u or f
    Index size;
};

template <class T> constexpr ElementType element_type() {
    static_assert(std::is_arithmetic_v<T>);
    constexpr char kind = std::is_same_v<T, bool>       ? 'b'
                          : std::is_floating_point_v<T> ? 'f'
                          : std::is_signed_v<T>         ? 'i'
                                                        : 'u';
    return {kind, sizeof(T)};
}

// Reads the interface of `src` into `a`; false unless it is an aligned C-contiguous array of exactly this type, at most
// 4-dimensional. What another stream still does to the array is not awaited: the caller has ordered it before ours.
bool read_array(py::handle src, ElementType type, bool writeable, Array<void>& a);

// What cannot be looked at from here: the Python functions have checked ids and offsets on the device.
inline void require_offsets(const char*, const In<Index>&, Index, Index) {}
inline void require_ids(const char*, const Id*, Index, Index) {}

}  // namespace pyrec

namespace pybind11::detail {

template <class T, class A, bool writeable> struct device_array_caster {
    PYBIND11_TYPE_CASTER(A, const_name("array"));
    bool load(handle src, bool) {
        pyrec::Array<void> a;
        if (!pyrec::read_array(src, pyrec::element_type<T>(), writeable, a)) return false;
        value.data = static_cast<T*>(a.data), value.ndim = a.ndim, value.shape = a.shape;
        return true;
    }
};
template <class T> struct type_caster<pyrec::In<T>> : device_array_caster<T, pyrec::In<T>, false> {};
template <class T> struct type_caster<pyrec::Out<T>> : device_array_caster<T, pyrec::Out<T>, true> {};

// The tuple that pyrec_core/kernels/_groups.py makes.
template <> struct type_caster<pyrec::Groups> {
    PYBIND11_TYPE_CASTER(pyrec::Groups, const_name("tuple"));
    bool load(handle src, bool) {
        if (!PyTuple_Check(src.ptr()) || PyTuple_GET_SIZE(src.ptr()) != 3) return false;
        const tuple parts = reinterpret_borrow<tuple>(src);
        make_caster<pyrec::In<pyrec::Id>> unique;
        make_caster<pyrec::In<pyrec::Index>> starts, order;
        if (!unique.load(parts[0], false) || !starts.load(parts[1], false) || !order.load(parts[2], false))
            return false;
        const pyrec::In<pyrec::Id>& ids = unique;
        const pyrec::In<pyrec::Index>&begins = starts, &positions = order;
        if (begins.size() != ids.size() + 1) return false;
        value = {ids.data, begins.data, positions.data, ids.size(), positions.size()};
        return true;
    }
};

template <> struct type_caster<pyrec::Exec> {
    PYBIND11_TYPE_CASTER(pyrec::Exec, const_name("int"));
    bool load(handle src, bool) {
        make_caster<std::uintptr_t> stream;
        if (!PyLong_Check(src.ptr()) || !stream.load(src, false)) return false;
        value = {reinterpret_cast<CUstream_st*>(cast_op<std::uintptr_t>(stream))};
        return true;
    }
};

}  // namespace pybind11::detail
