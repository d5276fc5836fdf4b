#include <pybind11/stl.h>

#include <optional>

#include "array.hpp"
#include "choice.hpp"
#include "losses.hpp"

namespace pyrec {
namespace {

using PYREC_BACKEND::Sampled;

template <class T> const T* pointer(const char* name, const std::optional<In<T>>& a, Index n) {
    if (!a) return nullptr;
    require_shape(name, *a, {n});
    return a->data;
}

void require_parts(const Out<double>& losses, Index n) {
    require_shape("losses", losses, {(n + PYREC_BACKEND::kLossPart - 1) / PYREC_BACKEND::kLossPart});
}

// Of a loss of sampled scores: its name, divisor, log_q, label smoothing, whether to sum, reg, whether it is plain,
// elu.
template <class T>
using Options = std::tuple<std::string, double, std::optional<In<T>>, double, bool, double, bool, double>;

template <class T> Sampled<T> sampled(const Options<T>& options, Index M, Index N, const Id* item_ids) {
    const auto& [loss, divisor, log_q, smoothing, sum, reg, plain_reg, elu] = options;
    require(M <= N && (M == 0 || loss == "cross-entropy" || N >= 2), "scores must be (M, N) with M <= N, 2 <= N");
    require(divisor > 0.0, "divisor must be positive");
    const auto kind =
        choice<PYREC_BACKEND::SampledLoss>("loss", loss, {"cross-entropy", "bpr", "top1", "top1-max", "bpr-max"});
    return {kind, divisor, pointer("log_q", log_q, N), smoothing, sum, reg, plain_reg, elu, item_ids};
}

template <class T>
void sampled_loss_of(const Exec& ex, Out<double> losses, Out<T> d_scores, In<T> scores,
                     const std::optional<In<Id>>& item_ids, const Options<T>& options) {
    const auto [M, N] = dims<2>("scores", scores);
    require_shape("d_scores", d_scores, {M, N});
    require_shape("losses", losses, {M});
    const Sampled<T> how = sampled(options, M, N, pointer("item_ids", item_ids, N));
    py::gil_scoped_release nogil;
    PYREC_BACKEND::sampled_loss(ex, losses.data, d_scores.data, scores.data, M, N, how);
}

#ifdef PYREC_CUDA
template <class T>
void target_softmax_of(const Exec& ex, Out<double> losses, Out<T> scores, const std::optional<In<T>>& bias,
                       In<Id> target, double divisor) {
    const auto [B, I] = dims<2>("scores", scores);
    require_shape("losses", losses, {B});
    require_shape("target", target, {B});
    const T* b = pointer("bias", bias, I);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::target_softmax(ex, losses.data, scores.data, b, target.data, B, I, divisor);
}
#else
template <class T>
void sampled_head_of(const Exec& ex, Out<double> losses, Out<T> d_hidden, Out<T> d_rows, std::optional<Out<T>> d_bias,
                     In<T> hidden, In<T> weight, const std::optional<In<T>>& bias, In<Id> item_ids, bool mask,
                     const Options<T>& options) {
    const auto [M, d] = dims<2>("hidden", hidden);
    const auto [I, d_items] = dims<2>("weight", weight);
    const auto [N] = dims<1>("item_ids", item_ids);
    require(d == d_items, "hidden and weight differ in width");
    require_ids("item_ids", item_ids.data, N, I);
    require_shape("d_hidden", d_hidden, {M, d});
    require_shape("losses", losses, {M});
    require_shape("d_rows", d_rows, {N, d});
    require(bias.has_value() == d_bias.has_value(), "d_bias belongs to bias");
    if (d_bias) require_shape("d_bias", *d_bias, {N});
    const Sampled<T> how = sampled(options, M, N, mask ? item_ids.data : nullptr);
    const T* b = pointer("bias", bias, I);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::sampled_head(ex, losses.data, d_hidden.data, d_rows.data, d_bias ? d_bias->data : nullptr,
                                hidden.data, weight.data, b, item_ids.data, M, N, d, how);
}

template <class T>
void full_softmax_of(const Exec& ex, Out<double> losses, Out<T> d_hidden, Out<T> d_weight, std::optional<Out<T>> d_bias,
                     In<T> hidden, In<T> weight, const std::optional<In<T>>& bias, In<Id> target, double divisor) {
    const auto [B, d] = dims<2>("hidden", hidden);
    const auto [I, d_items] = dims<2>("weight", weight);
    require(d == d_items, "hidden and weight differ in width");
    require_shape("target", target, {B});
    require_ids("target", target.data, B, I);
    require_shape("d_hidden", d_hidden, {B, d});
    require_shape("losses", losses, {B});
    require_shape("d_weight", d_weight, {I, d});
    require(bias.has_value() == d_bias.has_value(), "d_bias belongs to bias");
    if (d_bias) require_shape("d_bias", *d_bias, {I});
    const T* b = pointer("bias", bias, I);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::full_softmax(ex, losses.data, d_hidden.data, d_weight.data, d_bias ? d_bias->data : nullptr,
                                hidden.data, weight.data, b, target.data, B, I, d, divisor);
}
#endif

template <class T>
void pointwise_of(const Exec& ex, Out<double> losses, Out<T> d_y, In<T> y, In<T> t, const std::optional<In<T>>& weight,
                  const std::string& loss, double delta, double divisor) {
    const auto [n] = dims<1>("predictions", y);
    require_shape("targets", t, {n});
    require_shape("d_predictions", d_y, {n});
    require_parts(losses, n);
    const T* w = pointer("weight", weight, n);
    const auto kind = choice<PYREC_BACKEND::Pointwise>("loss", loss, {"squared", "logistic", "huber"});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::pointwise_loss(ex, losses.data, d_y.data, y.data, t.data, w, n, kind, delta, divisor);
}

template <class T>
void pairwise_of(const Exec& ex, Out<double> losses, Out<T> d_pos, Out<T> d_neg, In<T> pos, In<T> neg,
                 const std::optional<In<T>>& weight, const std::string& loss, double margin, double divisor) {
    const auto [n] = dims<1>("pos", pos);
    require_shape("neg", neg, {n});
    require_shape("d_pos", d_pos, {n});
    require_shape("d_neg", d_neg, {n});
    require_parts(losses, n);
    const T* w = pointer("weight", weight, n);
    const auto kind = choice<PYREC_BACKEND::Pairwise>("loss", loss, {"bpr", "hinge"});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::pairwise_loss(ex, losses.data, d_pos.data, d_neg.data, pos.data, neg.data, w, n, kind, margin,
                                 divisor);
}

template <class T> void warp_of(const Exec& ex, Out<T> weight, In<T> pos, In<T> neg, Index n_items, double margin) {
    const auto [n, U] = dims<2>("neg", neg);
    require(U >= 1 && n_items >= 1, "neg must have columns, n_items must be positive");
    require_shape("pos", pos, {n});
    require_shape("weight", weight, {n});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::warp_weights(ex, weight.data, pos.data, neg.data, n, U, n_items, margin);
}

template <class T>
void multinomial_of(const Exec& ex, Out<double> losses, Out<T> d_logits, In<T> logits, In<Index> indptr, In<Id> indices,
                    In<T> data, double divisor) {
    const auto [B, I] = dims<2>("logits", logits);
    require_shape("d_logits", d_logits, {B, I});
    const Csr<T> x = csr("targets", indptr, indices, data, I);
    require(x.rows == B, "targets must have as many rows as logits");
    require_shape("losses", losses, {B});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::multinomial(ex, losses.data, d_logits.data, logits.data, x, divisor);
}

template <class T>
void softmax_kl_of(const Exec& ex, Out<double> losses, Out<T> d_logits, In<T> logits, In<T> p, double divisor) {
    const auto [B, I] = dims<2>("logits", logits);
    require_shape("d_logits", d_logits, {B, I});
    require_shape("targets", p, {B, I});
    require_shape("losses", losses, {B});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::softmax_kl(ex, losses.data, d_logits.data, logits.data, p.data, B, I, divisor);
}

template <class T>
void gaussian_kl_of(const Exec& ex, Out<double> losses, Out<T> d_mu, Out<T> d_log_var, In<T> mu, In<T> log_var,
                    double divisor) {
    const auto [n] = dims<1>("mu", mu);
    require_shape("log_var", log_var, {n});
    require_shape("d_mu", d_mu, {n});
    require_shape("d_log_var", d_log_var, {n});
    require_parts(losses, n);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::gaussian_kl(ex, losses.data, d_mu.data, d_log_var.data, mu.data, log_var.data, n, divisor);
}

template <class T>
void cosine_softmax_of(const Exec& ex, Out<double> losses, Out<T> d_query, Out<T> d_candidate, In<T> query,
                       In<T> candidate, double gamma, double divisor) {
    const auto [B, C, d] = dims<3>("candidates", candidate);
    require(C >= 1, "candidates must have the clicked one");
    require_shape("queries", query, {B, d});
    require_shape("d_queries", d_query, {B, d});
    require_shape("d_candidates", d_candidate, {B, C, d});
    require_shape("losses", losses, {B});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::cosine_softmax(ex, losses.data, d_query.data, d_candidate.data, query.data, candidate.data, B, C, d,
                                  gamma, divisor);
}

}  // namespace

#ifdef PYREC_CUDA
#define DEFINE_HEADS(T) m.def("target_softmax", &target_softmax_of<T>);
#else
#define DEFINE_HEADS(T)                         \
    m.def("sampled_head", &sampled_head_of<T>); \
    m.def("full_softmax", &full_softmax_of<T>);
#endif
#define DEFINE(T)                               \
    DEFINE_HEADS(T)                             \
    m.def("sampled_loss", &sampled_loss_of<T>); \
    m.def("pointwise_loss", &pointwise_of<T>);  \
    m.def("pairwise_loss", &pairwise_of<T>);    \
    m.def("warp_weights", &warp_of<T>);         \
    m.def("multinomial", &multinomial_of<T>);   \
    m.def("softmax_kl", &softmax_kl_of<T>);     \
    m.def("gaussian_kl", &gaussian_kl_of<T>);   \
    m.def("cosine_softmax", &cosine_softmax_of<T>);
void bind_losses(py::module_& m) {
    m.attr("loss_part") = PYREC_BACKEND::kLossPart;
    PYREC_FLOATS(DEFINE)
}

}  // namespace pyrec
