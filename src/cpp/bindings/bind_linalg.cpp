#include <pybind11/stl.h>

#include "array.hpp"
#include "linalg.hpp"

namespace pyrec {
namespace {

template <class T> void column_sums_of(const Exec& ex, Out<T> sums, In<T> a) {
    const auto [n, d] = dims<2>("a", a);
    require_shape("sums", sums, {d});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::column_sums(ex, sums.data, a.data, n, d);
}

#ifndef PYREC_CUDA

using PYREC_BACKEND::Operand;

constexpr Index kMaxSide = 2147483647;  // sides and strides reach BLAS as 32-bit integers

template <class T> Operand<T> operand(const char* name, const In<T>& a, bool transpose, Index* rows, Index* cols) {
    const auto [m, n] = dims<2>(name, a);
    require(m <= kMaxSide && n <= kMaxSide, "matrix sides must be below 2^31");
    *rows = transpose ? n : m;
    *cols = transpose ? m : n;
    return {a.data, std::max<Index>(n, 1), transpose ? Op::transpose : Op::none};
}

template <class T>
void gemm_of(const Exec& ex, Out<T> c, In<T> a, In<T> b, bool trans_a, bool trans_b, double alpha, double beta,
             std::optional<In<T>> bias) {
    Index M, K, K2, N;
    const auto oa = operand("a", a, trans_a, &M, &K), ob = operand("b", b, trans_b, &K2, &N);
    require(K == K2, "the inner sizes of a and b differ");
    require_shape("c", c, {M, N});
    if (bias) require_shape("bias", *bias, {N});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::gemm(ex, c.data, N, oa, ob, M, N, K, static_cast<T>(alpha), static_cast<T>(beta),
                        bias ? bias->data : nullptr);
}

template <class T> void syrk_of(const Exec& ex, Out<T> c, In<T> a, bool trans, double alpha, double beta) {
    Index N, K;
    const auto oa = operand("a", a, trans, &N, &K);
    require_shape("c", c, {N, N});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::syrk(ex, c.data, oa, N, K, static_cast<T>(alpha), static_cast<T>(beta));
}

// A square matrix and one of its panels.
template <class T> Index square(const Out<T>& a, Index panel) {
    const auto [n, columns] = dims<2>("a", a);
    require(n == columns && n <= kMaxSide, "a must be square");
    require(panel >= 0 && panel * PYREC_BACKEND::factor_panel(n) <= n, "no such panel");
    return n;
}

template <class T> Index cholesky_panel_of(const Exec& ex, Out<T> a, Index panel) {
    const Index n = square(a, panel);
    py::gil_scoped_release nogil;
    return PYREC_BACKEND::cholesky_panel(ex, a.data, n, panel);
}

template <class T, auto kernel> void panel_of(const Exec& ex, Out<T> a, Index panel) {
    const Index n = square(a, panel);
    py::gil_scoped_release nogil;
    kernel(ex, a.data, n, panel);
}

template <class T, auto kernel> void whole_of(const Exec& ex, Out<T> a) {
    const Index n = square(a, 0);
    py::gil_scoped_release nogil;
    kernel(ex, a.data, n);
}

#endif

}  // namespace

#ifdef PYREC_CUDA
#define DEFINE(T) m.def("column_sums", &column_sums_of<T>);
#else
#define DEFINE(T)                                                                             \
    m.def("column_sums", &column_sums_of<T>);                                                 \
    m.def("gemm", &gemm_of<T>);                                                               \
    m.def("syrk", &syrk_of<T>);                                                               \
    m.def("cholesky_panel", &cholesky_panel_of<T>);                                           \
    m.def("invert_lower_panel", &panel_of<T, &PYREC_BACKEND::invert_lower_panel<T>>);         \
    m.def("inverse_product_panel", &panel_of<T, &PYREC_BACKEND::inverse_product_panel<T>>);   \
    m.def("invert_diagonal_blocks", &whole_of<T, &PYREC_BACKEND::invert_diagonal_blocks<T>>); \
    m.def("mirror_lower", &whole_of<T, &PYREC_BACKEND::mirror_lower<T>>);
#endif
void bind_linalg(py::module_& m) {
    PYREC_FLOATS(DEFINE)
#ifndef PYREC_CUDA
    m.def("factor_panel", &PYREC_BACKEND::factor_panel);
#endif
}

}  // namespace pyrec
