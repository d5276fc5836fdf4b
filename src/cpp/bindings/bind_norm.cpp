#include "array.hpp"
#include "norm.hpp"

namespace pyrec {
namespace {

template <class T> void column_moments_of(const Exec& ex, Out<T> mean, Out<T> var, In<T> x) {
    const auto [B, n] = dims<2>("x", x);
    require(B >= 1, "x must have rows");
    require_shape("mean", mean, {n});
    require_shape("var", var, {n});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::column_moments(ex, mean.data, var.data, x.data, B, n);
}

template <class T>
void batch_norm_forward_of(const Exec& ex, Out<T> y, In<T> x, In<T> mean, In<T> var, In<T> gamma, In<T> beta,
                           double eps) {
    const auto [B, n] = dims<2>("x", x);
    require_shape("y", y, {B, n});
    for (const In<T>* a : {&mean, &var, &gamma, &beta}) require_shape("mean, var, gamma or beta", *a, {n});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::batch_norm_forward(ex, y.data, x.data, mean.data, var.data, gamma.data, beta.data, eps, B, n);
}

template <class T>
void batch_norm_backward_of(const Exec& ex, Out<T> d_x, Out<T> d_gamma, Out<T> d_beta, In<T> d_y, In<T> x, In<T> mean,
                            In<T> var, In<T> gamma, double eps, bool constants) {
    const auto [B, n] = dims<2>("x", x);
    require_shape("d_y", d_y, {B, n});
    require_shape("d_x", d_x, {B, n});
    require_shape("d_gamma", d_gamma, {n});
    require_shape("d_beta", d_beta, {n});
    for (const In<T>* a : {&mean, &var, &gamma}) require_shape("mean, var or gamma", *a, {n});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::batch_norm_backward(ex, d_x.data, d_gamma.data, d_beta.data, d_y.data, x.data, mean.data, var.data,
                                       gamma.data, eps, constants, B, n);
}

template <class T> void layer_norm_forward_of(const Exec& ex, Out<T> y, In<T> x, In<T> gamma, In<T> beta, double eps) {
    const auto [B, n] = dims<2>("x", x);
    require_shape("y", y, {B, n});
    require_shape("gamma", gamma, {n});
    require_shape("beta", beta, {n});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::layer_norm_forward(ex, y.data, x.data, gamma.data, beta.data, eps, B, n);
}

template <class T>
void layer_norm_backward_of(const Exec& ex, Out<T> d_x, Out<T> d_gamma, Out<T> d_beta, In<T> d_y, In<T> x, In<T> gamma,
                            double eps) {
    const auto [B, n] = dims<2>("x", x);
    require_shape("d_y", d_y, {B, n});
    require_shape("d_x", d_x, {B, n});
    require_shape("d_gamma", d_gamma, {n});
    require_shape("d_beta", d_beta, {n});
    require_shape("gamma", gamma, {n});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::layer_norm_backward(ex, d_x.data, d_gamma.data, d_beta.data, d_y.data, x.data, gamma.data, eps, B,
                                       n);
}

}  // namespace

#define DEFINE(T)                                             \
    m.def("column_moments", &column_moments_of<T>);           \
    m.def("batch_norm_forward", &batch_norm_forward_of<T>);   \
    m.def("batch_norm_backward", &batch_norm_backward_of<T>); \
    m.def("layer_norm_forward", &layer_norm_forward_of<T>);   \
    m.def("layer_norm_backward", &layer_norm_backward_of<T>);
void bind_norm(py::module_& m) { PYREC_FLOATS(DEFINE) }

}  // namespace pyrec
