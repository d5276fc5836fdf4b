#include "array.hpp"
#include "interaction.hpp"

namespace pyrec {
namespace {

template <class T> void bi_forward(const Exec& ex, Out<T> out, In<T> emb) {
    const auto [B, F, D] = dims<3>("emb", emb);
    require_shape("out", out, {B, D});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::bi_interaction_forward(ex, out.data, emb.data, B, F, D);
}

template <class T> void bi_backward(const Exec& ex, Out<T> d_emb, In<T> d_out, In<T> emb) {
    const auto [B, F, D] = dims<3>("emb", emb);
    require_shape("d_out", d_out, {B, D});
    require_shape("d_emb", d_emb, {B, F, D});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::bi_interaction_backward(ex, d_emb.data, d_out.data, emb.data, B, F, D);
}

template <class T> void fm_forward_of(const Exec& ex, Out<T> out, In<T> emb) {
    const auto [B, F, D] = dims<3>("emb", emb);
    require_shape("out", out, {B});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::fm_forward(ex, out.data, emb.data, B, F, D);
}

template <class T> void fm_backward_of(const Exec& ex, Out<T> d_emb, In<T> d_out, In<T> emb) {
    const auto [B, F, D] = dims<3>("emb", emb);
    require_shape("d_out", d_out, {B});
    require_shape("d_emb", d_emb, {B, F, D});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::fm_backward(ex, d_emb.data, d_out.data, emb.data, B, F, D);
}

}  // namespace

#define DEFINE(T)                                      \
    m.def("bi_interaction_forward", &bi_forward<T>);   \
    m.def("bi_interaction_backward", &bi_backward<T>); \
    m.def("fm_forward", &fm_forward_of<T>);            \
    m.def("fm_backward", &fm_backward_of<T>);
void bind_interaction(py::module_& m) { PYREC_FLOATS(DEFINE) }

}  // namespace pyrec
