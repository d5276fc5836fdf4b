#include <pybind11/stl.h>

#include "activations.hpp"
#include "array.hpp"
#include "choice.hpp"

namespace pyrec {
namespace {

using PYREC_BACKEND::Activation;
using PYREC_BACKEND::RowActivation;

Activation activation(const std::string& name) {
    return choice<Activation>("activation", name,
                              {"identity", "sigmoid", "tanh", "relu", "leaky", "elu", "selu", "softplus"});
}

RowActivation row_activation(const std::string& name) {
    return choice<RowActivation>("activation", name, {"softmax", "log_softmax", "l2_normalize"});
}

template <class T>
void activation_forward_of(const Exec& ex, Out<T> y, In<T> x, const std::string& name, double alpha) {
    const auto [n] = dims<1>("x", x);
    require_shape("y", y, {n});
    const Activation f = activation(name);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::activation_forward(ex, y.data, x.data, n, f, alpha);
}

template <class T>
void activation_backward_of(const Exec& ex, Out<T> d_x, In<T> d_y, In<T> y, const std::string& name, double alpha) {
    const auto [n] = dims<1>("y", y);
    require_shape("d_y", d_y, {n});
    require_shape("d_x", d_x, {n});
    const Activation f = activation(name);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::activation_backward(ex, d_x.data, d_y.data, y.data, n, f, alpha);
}

template <class T> void row_forward_of(const Exec& ex, Out<T> y, In<T> x, const std::string& name) {
    const auto [B, n] = dims<2>("x", x);
    require_shape("y", y, {B, n});
    const RowActivation f = row_activation(name);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::row_forward(ex, y.data, x.data, B, n, f);
}

template <class T> void row_backward_of(const Exec& ex, Out<T> d_x, In<T> d_y, In<T> of, const std::string& name) {
    const auto [B, n] = dims<2>("d_y", d_y);
    require_shape("x or y", of, {B, n});
    require_shape("d_x", d_x, {B, n});
    const RowActivation f = row_activation(name);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::row_backward(ex, d_x.data, d_y.data, of.data, B, n, f);
}

template <class T>
void dropout_of(const Exec& ex, Out<T> y, In<T> x, double rate, std::uint64_t seed, std::uint32_t purpose,
                std::uint32_t epoch, std::uint64_t first) {
    const auto [n] = dims<1>("x", x);
    require_shape("y", y, {n});
    require(rate >= 0.0 && rate < 1.0, "rate must be in [0, 1)");
    const Stream stream = stream_of(seed, purpose, epoch);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::dropout(ex, y.data, x.data, n, rate, stream, first);
}

}  // namespace

#define DEFINE(T)                                             \
    m.def("activation_forward", &activation_forward_of<T>);   \
    m.def("activation_backward", &activation_backward_of<T>); \
    m.def("row_forward", &row_forward_of<T>);                 \
    m.def("row_backward", &row_backward_of<T>);               \
    m.def("dropout", &dropout_of<T>);
void bind_activations(py::module_& m) { PYREC_FLOATS(DEFINE) }

}  // namespace pyrec
