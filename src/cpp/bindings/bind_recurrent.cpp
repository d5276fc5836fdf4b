#include <pybind11/stl.h>

#include <optional>

#include "array.hpp"
#include "recurrent.hpp"

namespace pyrec {
namespace {

template <class A> using Maybe = std::optional<A>;

template <class A> auto data_of(const Maybe<A>& a) { return a ? a->data : nullptr; }

#ifdef PYREC_CUDA
// Sizes of a step on a device: rows x d states, and `width` columns of gates.
struct StepSizes {
    Index rows, d, width;

    template <class A>
    StepSizes(const A& states, Index blocks)
        : rows{dims<2>("states", states)[0]}, d{states.shape[1]}, width{blocks * d} {}

    template <class... A> void states(const A&... arrays) const {
        (require_shape("an array of states", arrays, {rows, d}), ...);
    }
    template <class... A> void shares(const A&... arrays) const {
        (require_shape("an array of gates", arrays, {rows, width}), ...);
    }
};

template <class T> void gru_before_gates_of(const Exec& ex, Out<T> gates, Out<T> rp, In<T> s, In<T> x, In<T> p) {
    const StepSizes z(p, 3);
    z.states(rp);
    z.shares(gates, x);
    require_shape("s", s, {z.rows, 2 * z.d});
    PYREC_BACKEND::gru_before_gates(ex, gates.data, rp.data, s.data, x.data, p.data, z.rows, z.d);
}

template <class T> void gru_before_states_of(const Exec& ex, Out<T> h, Out<T> gates, In<T> s, In<T> x, In<T> p) {
    const StepSizes z(p, 3);
    z.states(h, s);
    z.shares(gates, x);
    PYREC_BACKEND::gru_before_states(ex, h.data, gates.data, s.data, x.data, p.data, z.rows, z.d);
}

template <class T>
void gru_before_states_back_of(const Exec& ex, Out<T> d_x, Out<T> carry, In<T> d_h, In<T> gates, In<T> p) {
    const StepSizes z(p, 3);
    z.states(carry, d_h);
    z.shares(d_x, gates);
    PYREC_BACKEND::gru_before_states_back(ex, d_x.data, carry.data, d_h.data, gates.data, p.data, z.rows, z.d);
}

template <class T>
void gru_before_gates_back_of(const Exec& ex, Out<T> d_x, Out<T> carry, In<T> d_rp, In<T> gates, In<T> p) {
    const StepSizes z(p, 3);
    z.states(carry, d_rp);
    z.shares(d_x, gates);
    PYREC_BACKEND::gru_before_gates_back(ex, d_x.data, carry.data, d_rp.data, gates.data, p.data, z.rows, z.d);
}

template <class T>
void gru_after_step_of(const Exec& ex, Out<T> h, Out<T> gates, Out<T> m, In<T> s, In<T> x, In<T> p, Maybe<In<T>> bias) {
    const StepSizes z(p, 3);
    z.states(h, m);
    z.shares(gates, s, x);
    if (bias) require_shape("bias", *bias, {z.width});
    PYREC_BACKEND::gru_after_step(ex, h.data, gates.data, m.data, s.data, x.data, p.data, data_of(bias), z.rows, z.d);
}

template <class T>
void gru_after_back_of(const Exec& ex, Out<T> d_x, Out<T> d_s, Out<T> carry, In<T> d_h, In<T> gates, In<T> m, In<T> p) {
    const StepSizes z(p, 3);
    z.states(carry, d_h, m);
    z.shares(d_x, d_s, gates);
    PYREC_BACKEND::gru_after_back(ex, d_x.data, d_s.data, carry.data, d_h.data, gates.data, m.data, p.data, z.rows,
                                  z.d);
}

template <class T> void lstm_step_of(const Exec& ex, Out<T> h, Out<T> c, Out<T> gates, In<T> s, In<T> x, In<T> q) {
    const StepSizes z(q, 4);
    z.states(h, c);
    z.shares(gates, s, x);
    PYREC_BACKEND::lstm_step(ex, h.data, c.data, gates.data, s.data, x.data, q.data, z.rows, z.d);
}

template <class T>
void lstm_back_of(const Exec& ex, Out<T> d_x, Out<T> carry, Out<T> carry_c, In<T> d_h, Maybe<In<T>> d_c, In<T> c,
                  In<T> gates, In<T> q) {
    const StepSizes z(q, 4);
    z.states(carry, carry_c, d_h, c);
    if (d_c) z.states(*d_c);
    z.shares(d_x, gates);
    PYREC_BACKEND::lstm_back(ex, d_x.data, carry.data, carry_c.data, d_h.data, data_of(d_c), c.data, gates.data, q.data,
                             z.rows, z.d);
}

template <class T> void rnn_step_of(const Exec& ex, Out<T> h, In<T> s, In<T> x) {
    StepSizes(h, 1).states(s, x);
    PYREC_BACKEND::rnn_step(ex, h.data, s.data, x.data, h.size());
}

template <class T> void rnn_back_of(const Exec& ex, Out<T> d_x, In<T> carry, In<T> d_h, In<T> h) {
    StepSizes(h, 1).states(d_x, carry, d_h);
    PYREC_BACKEND::rnn_back(ex, d_x.data, carry.data, d_h.data, h.data, h.size());
}
#else
// Sizes of a call, checked against h0 (B,d), u (d, blocks * d) and the packed rows of each step.
struct Sizes {
    Index B, d, width, n;
    Steps steps;

    template <class T>
    Sizes(const In<Index>& rows, Index bptt, Index blocks, const In<T>& h0, const In<T>& u)
        : steps{rows.data, rows.size(), bptt} {
        const auto shape = dims<2>("h0", h0);
        B = shape[0], d = shape[1], width = blocks * d;
        require_shape("u", u, {d, width});
        require_shape("steps", rows, {steps.count});
        require(steps.lanes() == B && bptt >= 0, "steps must begin with the rows of h0, and bptt be >= 0");
        n = 0;
        for (Index t = 0; t < steps.count; ++t) {
            require(rows.data[t] >= 0 && rows.data[t] <= (t ? rows.data[t - 1] : B), "steps must not increase");
            n += rows.data[t];
        }
    }

    template <class A> void states(std::initializer_list<A> arrays) const {
        for (const auto& a : arrays) require_shape("an array of states", a, {n, d});
    }
    template <class A> void shares(std::initializer_list<A> arrays) const {
        for (const auto& a : arrays) require_shape("an array of gates", a, {n, width});
    }
    template <class A> void initial(const Maybe<A>& a) const {
        if (a) require_shape("initial states", *a, {B, d});
    }
};

template <class T>
void gru_before_forward_of(const Exec& ex, Out<T> h, Out<T> gates, Out<T> rp, In<T> x, In<T> h0, In<T> u,
                           In<Index> rows) {
    const Sizes s(rows, 0, 3, h0, u);
    s.states({h, rp});
    s.shares({gates});
    s.shares({x});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::gru_before_forward(ex, h.data, gates.data, rp.data, x.data, h0.data, u.data, s.steps, s.d);
}

template <class T>
void gru_before_backward_of(const Exec& ex, Out<T> d_x, Maybe<Out<T>> d_h0, Out<T> d_u, In<T> d_h, In<T> h, In<T> gates,
                            In<T> rp, In<T> h0, In<T> u, In<Index> rows, Index bptt) {
    const Sizes s(rows, bptt, 3, h0, u);
    s.states({d_h, h, rp});
    s.shares({gates});
    s.shares({d_x});
    s.initial(d_h0);
    require_shape("d_u", d_u, {s.d, s.width});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::gru_before_backward(ex, d_x.data, data_of(d_h0), d_u.data, d_h.data, h.data, gates.data, rp.data,
                                       h0.data, u.data, s.steps, s.d);
}

template <class T>
void gru_after_forward_of(const Exec& ex, Out<T> h, Out<T> gates, Out<T> m, In<T> x, In<T> h0, In<T> u,
                          Maybe<In<T>> bias, In<Index> rows) {
    const Sizes s(rows, 0, 3, h0, u);
    s.states({h, m});
    s.shares({gates});
    s.shares({x});
    if (bias) require_shape("bias", *bias, {s.width});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::gru_after_forward(ex, h.data, gates.data, m.data, x.data, h0.data, u.data, data_of(bias), s.steps,
                                     s.d);
}

template <class T>
void gru_after_backward_of(const Exec& ex, Out<T> d_x, Maybe<Out<T>> d_h0, Out<T> d_u, Out<T> d_bias, In<T> d_h,
                           In<T> h, In<T> gates, In<T> m, In<T> h0, In<T> u, In<Index> rows, Index bptt) {
    const Sizes s(rows, bptt, 3, h0, u);
    s.states({d_h, h, m});
    s.shares({gates});
    s.shares({d_x});
    s.initial(d_h0);
    require_shape("d_bias", d_bias, {s.width});
    require_shape("d_u", d_u, {s.d, s.width});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::gru_after_backward(ex, d_x.data, data_of(d_h0), d_u.data, d_bias.data, d_h.data, h.data, gates.data,
                                      m.data, h0.data, u.data, s.steps, s.d);
}

template <class T>
void lstm_forward_of(const Exec& ex, Out<T> h, Out<T> c, Out<T> gates, In<T> x, In<T> h0, In<T> c0, In<T> u,
                     In<Index> rows) {
    const Sizes s(rows, 0, 4, h0, u);
    s.states({h, c});
    s.shares({gates});
    s.shares({x});
    require_shape("c0", c0, {s.B, s.d});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::lstm_forward(ex, h.data, c.data, gates.data, x.data, h0.data, c0.data, u.data, s.steps, s.d);
}

template <class T>
void lstm_backward_of(const Exec& ex, Out<T> d_x, Maybe<Out<T>> d_h0, Maybe<Out<T>> d_c0, Out<T> d_u, In<T> d_h,
                      Maybe<In<T>> d_c, In<T> h, In<T> c, In<T> gates, In<T> h0, In<T> c0, In<T> u, In<Index> rows,
                      Index bptt) {
    const Sizes s(rows, bptt, 4, h0, u);
    s.states({d_h, h, c});
    if (d_c) s.states({*d_c});
    s.shares({gates});
    s.shares({d_x});
    s.initial(d_h0);
    s.initial(d_c0);
    require(d_h0.has_value() == d_c0.has_value(), "d_h0 and d_c0 go together");
    require_shape("c0", c0, {s.B, s.d});
    require_shape("d_u", d_u, {s.d, s.width});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::lstm_backward(ex, d_x.data, data_of(d_h0), data_of(d_c0), d_u.data, d_h.data, data_of(d_c), h.data,
                                 c.data, gates.data, h0.data, c0.data, u.data, s.steps, s.d);
}

template <class T> void rnn_forward_of(const Exec& ex, Out<T> h, In<T> x, In<T> h0, In<T> u, In<Index> rows) {
    const Sizes s(rows, 0, 1, h0, u);
    s.states({h});
    s.shares({x});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::rnn_forward(ex, h.data, x.data, h0.data, u.data, s.steps, s.d);
}

template <class T>
void rnn_backward_of(const Exec& ex, Out<T> d_x, Maybe<Out<T>> d_h0, Out<T> d_u, In<T> d_h, In<T> h, In<T> h0, In<T> u,
                     In<Index> rows, Index bptt) {
    const Sizes s(rows, bptt, 1, h0, u);
    s.states({d_h, h});
    s.shares({d_x});
    s.initial(d_h0);
    require_shape("d_u", d_u, {s.d, s.width});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::rnn_backward(ex, d_x.data, data_of(d_h0), d_u.data, d_h.data, h.data, h0.data, u.data, s.steps, s.d);
}
#endif

}  // namespace

#ifdef PYREC_CUDA
#define DEFINE(T)                                                   \
    m.def("gru_before_gates", &gru_before_gates_of<T>);             \
    m.def("gru_before_states", &gru_before_states_of<T>);           \
    m.def("gru_before_states_back", &gru_before_states_back_of<T>); \
    m.def("gru_before_gates_back", &gru_before_gates_back_of<T>);   \
    m.def("gru_after_step", &gru_after_step_of<T>);                 \
    m.def("gru_after_back", &gru_after_back_of<T>);                 \
    m.def("lstm_step", &lstm_step_of<T>);                           \
    m.def("lstm_back", &lstm_back_of<T>);                           \
    m.def("rnn_step", &rnn_step_of<T>);                             \
    m.def("rnn_back", &rnn_back_of<T>);
#else
#define DEFINE(T)                                             \
    m.def("gru_before_forward", &gru_before_forward_of<T>);   \
    m.def("gru_before_backward", &gru_before_backward_of<T>); \
    m.def("gru_after_forward", &gru_after_forward_of<T>);     \
    m.def("gru_after_backward", &gru_after_backward_of<T>);   \
    m.def("lstm_forward", &lstm_forward_of<T>);               \
    m.def("lstm_backward", &lstm_backward_of<T>);             \
    m.def("rnn_forward", &rnn_forward_of<T>);                 \
    m.def("rnn_backward", &rnn_backward_of<T>);
#endif
void bind_recurrent(py::module_& m) { PYREC_FLOATS(DEFINE) }

}  // namespace pyrec
