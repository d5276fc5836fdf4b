#include <pybind11/stl.h>

#include <optional>

#include "array.hpp"
#include "cin.hpp"

namespace pyrec {
namespace {

template <class T>
void forward(const Exec& ex, Out<T> out, In<T> x0, In<T> xk, In<T> w, const std::optional<In<T>>& bias) {
    const auto [B, m, D] = dims<3>("x0", x0);
    const auto [O, H, m_w] = dims<3>("w", w);
    require(m_w == m, "w must have as many columns as x0 has fields");
    require_shape("xk", xk, {B, H, D});
    require_shape("out", out, {B, O, D});
    if (bias) require_shape("bias", *bias, {O});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::cin_forward(ex, out.data, x0.data, xk.data, w.data, bias ? bias->data : nullptr, B, m, H, O, D);
}

template <class T>
void backward(const Exec& ex, Out<T> d_x0, Out<T> d_xk, Out<T> d_w, Out<T> d_bias, In<T> d_out, In<T> x0, In<T> xk,
              In<T> w) {
    const auto [B, m, D] = dims<3>("x0", x0);
    const auto [O, H, m_w] = dims<3>("w", w);
    require(m_w == m, "w must have as many columns as x0 has fields");
    require_shape("xk", xk, {B, H, D});
    require_shape("d_out", d_out, {B, O, D});
    require_shape("d_x0", d_x0, {B, m, D});
    require_shape("d_xk", d_xk, {B, H, D});
    require_shape("d_w", d_w, {O, H, m});
    require_shape("d_bias", d_bias, {O});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::cin_backward(ex, d_x0.data, d_xk.data, d_w.data, d_bias.data, d_out.data, x0.data, xk.data, w.data,
                                B, m, H, O, D);
}

template <class T> void pool_forward(const Exec& ex, Out<T> pooled, Out<T> hidden, In<T> a, bool relu) {
    const auto [B, O, D] = dims<3>("a", a);
    const auto [B_pooled, P] = dims<2>("pooled", pooled);
    const auto [B_hidden, N, D_hidden] = dims<3>("hidden", hidden);
    require(B_pooled == B && B_hidden == B && D_hidden == D && P <= O && N <= O, "pooled and hidden must fit a");
    py::gil_scoped_release nogil;
    PYREC_BACKEND::cin_pool_forward(ex, pooled.data, hidden.data, a.data, B, O, D, P, N, relu);
}

template <class T> void pool_backward(const Exec& ex, Out<T> d_a, In<T> d_pooled, In<T> d_hidden, In<T> a, bool relu) {
    const auto [B, O, D] = dims<3>("a", a);
    const auto [B_pooled, P] = dims<2>("d_pooled", d_pooled);
    const auto [B_hidden, N, D_hidden] = dims<3>("d_hidden", d_hidden);
    require_shape("d_a", d_a, {B, O, D});
    require(B_pooled == B && B_hidden == B && D_hidden == D && P <= O && N <= O, "d_pooled and d_hidden must fit a");
    py::gil_scoped_release nogil;
    PYREC_BACKEND::cin_pool_backward(ex, d_a.data, d_pooled.data, d_hidden.data, a.data, B, O, D, P, N, relu);
}

}  // namespace

#define DEFINE(T)                                \
    m.def("cin_forward", &forward<T>);           \
    m.def("cin_backward", &backward<T>);         \
    m.def("cin_pool_forward", &pool_forward<T>); \
    m.def("cin_pool_backward", &pool_backward<T>);
void bind_cin(py::module_& m) { PYREC_FLOATS(DEFINE) }

}  // namespace pyrec
