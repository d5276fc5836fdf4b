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

template <class T> void inner_forward(const Exec& ex, Out<T> out, In<T> emb) {
    const auto [B, F, D] = dims<3>("emb", emb);
    require_shape("out", out, {B, F * (F - 1) / 2});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::inner_products_forward(ex, out.data, emb.data, B, F, D);
}

template <class T> void inner_backward(const Exec& ex, Out<T> d_emb, In<T> d_out, In<T> emb) {
    const auto [B, F, D] = dims<3>("emb", emb);
    require_shape("d_out", d_out, {B, F * (F - 1) / 2});
    require_shape("d_emb", d_emb, {B, F, D});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::inner_products_backward(ex, d_emb.data, d_out.data, emb.data, B, F, D);
}

template <class T> PYREC_BACKEND::PairScore<T> pair_score(In<T> w, In<T> b, In<T> h, Index D) {
    const auto [A, D_w] = dims<2>("w", w);
    require(D_w == D, "w must have as many columns as emb");
    require_shape("b", b, {A});
    require_shape("h", h, {A});
    return {w.data, b.data, h.data, A, D};
}

template <class T>
void attention_forward(const Exec& ex, Out<T> pooled, Out<T> log_sum, In<T> emb, In<T> w, In<T> b, In<T> h) {
    const auto [B, F, D] = dims<3>("emb", emb);
    const auto score = pair_score(w, b, h, D);
    require_shape("pooled", pooled, {B, D});
    require_shape("log_sum", log_sum, {B});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::attention_pooling_forward(ex, pooled.data, log_sum.data, emb.data, score, B, F);
}

template <class T>
void attention_backward(const Exec& ex, Out<T> d_emb, Out<T> d_w, Out<T> d_b, Out<T> d_h, Out<double> sums,
                        In<T> d_pooled, In<T> pooled, In<T> log_sum, In<T> emb, In<T> w, In<T> b, In<T> h) {
    const auto [B, F, D] = dims<3>("emb", emb);
    const auto score = pair_score(w, b, h, D);
    const auto [P, A_sums, D_sums] = dims<3>("sums", sums);
    require(P >= 1 && A_sums == score.A && D_sums == D + 2, "sums must have the shape (P, A, D + 2), P >= 1");
    require_shape("d_emb", d_emb, {B, F, D});
    require_shape("d_w", d_w, {score.A, D});
    require_shape("d_b", d_b, {score.A});
    require_shape("d_h", d_h, {score.A});
    require_shape("d_pooled", d_pooled, {B, D});
    require_shape("pooled", pooled, {B, D});
    require_shape("log_sum", log_sum, {B});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::attention_pooling_backward(ex, d_emb.data, d_w.data, d_b.data, d_h.data, sums.data, d_pooled.data,
                                              pooled.data, log_sum.data, emb.data, score, B, F, P);
}

}  // namespace

#define DEFINE(T)                                              \
    m.def("bi_interaction_forward", &bi_forward<T>);           \
    m.def("bi_interaction_backward", &bi_backward<T>);         \
    m.def("fm_forward", &fm_forward_of<T>);                    \
    m.def("fm_backward", &fm_backward_of<T>);                  \
    m.def("inner_products_forward", &inner_forward<T>);        \
    m.def("inner_products_backward", &inner_backward<T>);      \
    m.def("attention_pooling_forward", &attention_forward<T>); \
    m.def("attention_pooling_backward", &attention_backward<T>);
void bind_interaction(py::module_& m) { PYREC_FLOATS(DEFINE) }

}  // namespace pyrec
