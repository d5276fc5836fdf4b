// The CPU side of array.hpp: NumPy arrays, and an execution context made from a number of threads.
#pragma once
#include "array.hpp"
#include "blas.hpp"

namespace pyrec {

Blas& blas_table();     // filled by set_blas
bool stop_requested();  // runs Python's signal handlers; true leaves their exception set

// Offsets and ids of a CSR matrix, checked so that no kernel can be led out of bounds.
void require_offsets(const char* name, const In<Index>& indptr, Index rows, Index nnz);
void require_ids(const char* name, const Id* ids, Index n, Index bound);

}  // namespace pyrec

namespace pybind11::detail {

template <class T, class A, bool writeable> struct host_array_caster {
    PYBIND11_TYPE_CASTER(A, const_name("array"));
    bool load(handle src, bool) {
        if (!array_t<std::remove_const_t<T>, array::c_style>::check_(src)) return false;
        const auto a = reinterpret_borrow<array>(src);
        if (a.ndim() > 4 || (writeable && !a.writeable())) return false;
        if (reinterpret_cast<std::uintptr_t>(a.data()) % alignof(T) != 0) return false;
        value.data = static_cast<T*>(const_cast<void*>(a.data()));
        value.ndim = static_cast<int>(a.ndim());
        std::copy_n(a.shape(), a.ndim(), value.shape.begin());
        return true;
    }
};
template <class T> struct type_caster<pyrec::In<T>> : host_array_caster<const T, pyrec::In<T>, false> {};
template <class T> struct type_caster<pyrec::Out<T>> : host_array_caster<T, pyrec::Out<T>, true> {};

template <> struct type_caster<pyrec::Exec> {
    PYBIND11_TYPE_CASTER(pyrec::Exec, const_name("int"));
    bool load(handle src, bool) {
        if (!PyLong_Check(src.ptr())) return false;
        const long threads = PyLong_AsLong(src.ptr());
        if (threads < 1 || threads > 4096) return false;
        value = {static_cast<int>(threads), &pyrec::blas_table(), &pyrec::stop_requested};
        return true;
    }
};

}  // namespace pybind11::detail
