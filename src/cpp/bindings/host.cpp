// What the CPU bindings share: SciPy's BLAS, Ctrl-C, checks of CSR matrices.
#include "array.hpp"

namespace pyrec {

Blas& blas_table() {
    static Blas table{};
    return table;
}

bool stop_requested() {
    py::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;
}

void require_offsets(const char* name, const In<Index>& indptr, Index rows, Index nnz) {
    require_shape(name, indptr, {rows + 1});
    bool good = indptr.data[0] == 0 && indptr.data[rows] == nnz;
    for (Index r = 0; r < rows; ++r) good &= indptr.data[r] <= indptr.data[r + 1];
    if (!good) throw py::value_error(std::string(name) + ": indptr must ascend from 0 to the number of entries");
}

void require_ids(const char* name, const Id* ids, Index n, Index bound) {
    bool good = true;
    for (Index k = 0; k < n; ++k) good &= static_cast<std::uint32_t>(ids[k]) < static_cast<std::uint64_t>(bound);
    if (!good) throw py::value_error(std::string(name) + ": ids must be in [0, " + std::to_string(bound) + ")");
}

namespace {

template <class F> void take(F*& pointer, const py::dict& capsules, const std::string& name) {
    const py::object capsule = capsules[name.c_str()];
    const char* signature = PyCapsule_GetName(capsule.ptr());
    // The name of a capsule of SciPy is the C signature. 64-bit integers would need other calls than ours.
    if (!signature || !std::strstr(signature, "int *"))
        throw py::value_error("unexpected signature of " + name + ": " + (signature ? signature : "none"));
    pointer = reinterpret_cast<F*>(PyCapsule_GetPointer(capsule.ptr(), signature));
}

template <class T>
void take_all(BlasOf<T>& b, const py::dict& blas, const py::dict& lapack, const std::string& letter) {
    take(b.trmm, blas, letter + "trmm");
    take(b.potrf, lapack, letter + "potrf");
    take(b.trtri, lapack, letter + "trtri");
}

// The __pyx_capi__ dictionaries of scipy.linalg.cython_blas and cython_lapack.
void set_blas(const py::dict& blas, const py::dict& lapack) {
    take_all(blas_table().f, blas, lapack, "s");
    take_all(blas_table().d, blas, lapack, "d");
}

}  // namespace

void bind_host(py::module_& m) { m.def("set_blas", &set_blas); }

}  // namespace pyrec
