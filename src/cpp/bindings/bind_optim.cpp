#include <pybind11/stl.h>

#include <optional>

#include "array.hpp"
#include "optim.hpp"

namespace pyrec {
namespace {

using PYREC_BACKEND::States;

template <class T> using State = std::optional<Out<T>>;

Step step_of(int rule, double lr, double momentum, bool nesterov, double eps, bool eps_inside, double beta1,
             double beta2, double l1, double l2, double decay, Index t) {
    require(rule >= 0 && rule <= static_cast<int>(Rule::ftrl), "rule must be one of the rules");
    require(t >= 1, "t must be >= 1");
    return {static_cast<Rule>(rule), lr, momentum, eps, beta1, beta2, l1, l2, decay, nesterov, eps_inside, t};
}

// The states, of the shape of w, after checking that the rule has what it needs.
template <class T>
States<T> states_of(const Out<T>& w, const State<T>& s0, const State<T>& s1, const State<T>& velocity, Rule rule) {
    for (const State<T>* s : {&s0, &s1, &velocity})
        require(!*s || ((*s)->ndim == w.ndim && (*s)->shape == w.shape), "states must have the shape of the weights");
    require(rule == Rule::sgd || s0, "s0 is missing");
    require(rule == Rule::sgd || rule == Rule::adagrad || rule == Rule::rmsprop || s1, "s1 is missing");
    require(rule != Rule::ftrl || !velocity, "ftrl has no velocity");
    const auto data = [](const State<T>& s) { return s ? s->data : nullptr; };
    return {data(s0), data(s1), data(velocity)};
}

template <class T>
void dense_step_of(const Exec& ex, Out<T> w, State<T> s0, State<T> s1, State<T> velocity, In<T> g, int rule, double lr,
                   double momentum, bool nesterov, double eps, bool eps_inside, double beta1, double beta2, double l1,
                   double l2, double decay, Index t) {
    const Step step = step_of(rule, lr, momentum, nesterov, eps, eps_inside, beta1, beta2, l1, l2, decay, t);
    const States<T> states = states_of(w, s0, s1, velocity, step.rule);
    require(g.ndim == w.ndim && g.shape == w.shape, "g must have the shape of the weights");
    py::gil_scoped_release nogil;
    PYREC_BACKEND::dense_step(ex, w.data, states, g.data, w.size(), step);
}

template <class T>
void row_step_of(const Exec& ex, Out<T> w, State<T> s0, State<T> s1, State<T> velocity,
                 std::optional<Out<Index>> touched, const Ids& ids, In<T> g, int rule, double lr, double momentum,
                 bool nesterov, double eps, bool eps_inside, double beta1, double beta2, double l1, double l2,
                 double decay, Index t) {
    const auto [rows, d] = dims<2>("w", w);
    const Step step = step_of(rule, lr, momentum, nesterov, eps, eps_inside, beta1, beta2, l1, l2, decay, t);
    const States<T> states = states_of(w, s0, s1, velocity, step.rule);
    require_shape("g", g, {size_of(ids), d});
    require(!touched || step.rule == Rule::adam, "touched is for adam");
    if (touched) require_shape("touched", *touched, {rows});
    Index* const last = touched ? touched->data : nullptr;
#ifdef PYREC_CUDA
    py::gil_scoped_release nogil;
    PYREC_BACKEND::row_step(ex, w.data, states, last, ids, g.data, d, step);
#else
    require_ids("ids", ids.data, ids.size(), rows);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::row_step(ex, w.data, states, last, ids.data, g.data, ids.size(), d, step);
#endif
}

#ifdef PYREC_CUDA
template <class T> void coalesce_of(const Exec& ex, Out<T> sums, const Ids& ids, In<T> g) {
    const auto [n, d] = dims<2>("g", g);
    require(ids.size == n, "ids must be as many as rows of g");
    require_shape("sums", sums, {ids.count, d});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::coalesce(ex, sums.data, ids, g.data, d);
}

template <class T> void sum_of_squares_of(const Exec& ex, Out<double> total, In<T> g) {
    require_shape("total", total, {1});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::sum_of_squares(ex, total.data, g.data, g.size());
}
#else
template <class T> Index coalesce_of(const Exec& ex, Out<Id> unique, Out<T> sums, const Ids& ids, In<T> g) {
    const auto [n, d] = dims<2>("g", g);
    require_shape("ids", ids, {n});
    require_shape("unique", unique, {n});
    require_shape("sums", sums, {n, d});
    require_ids("ids", ids.data, n, Index{1} << 31);
    py::gil_scoped_release nogil;
    return PYREC_BACKEND::coalesce(ex, unique.data, sums.data, ids.data, g.data, n, d);
}

template <class T> double sum_of_squares_of(const Exec& ex, In<T> g) {
    py::gil_scoped_release nogil;
    return PYREC_BACKEND::sum_of_squares(ex, g.data, g.size());
}
#endif

}  // namespace

#define DEFINE(T)                           \
    m.def("dense_step", &dense_step_of<T>); \
    m.def("row_step", &row_step_of<T>);     \
    m.def("coalesce", &coalesce_of<T>);     \
    m.def("sum_of_squares", &sum_of_squares_of<T>);
void bind_optim(py::module_& m) { PYREC_FLOATS(DEFINE) }

}  // namespace pyrec
