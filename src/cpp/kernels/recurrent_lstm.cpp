// The LSTM, and the plain network, which is one without cells and gates.
#include "math.hpp"
#include "recurrent.hpp"
#include "steps.hpp"

namespace pyrec::cpu {

template <class T>
void lstm_forward(const Exec& ex, T* h, T* c, T* gates, const T* x, const T* h0, const T* c0, const T* u,
                  const Steps& steps, Index d) {
    const Index w = 4 * d;
    each_step(ex, steps, [&](const Step& s) {
        const T *from = previous(s, h0, h, d), *cells = previous(s, c0, c, d), *in = x + s.at * w;
        T *to = h + s.at * d, *to_c = c + s.at * d, *a = gates + s.at * w;
        product(ex, a, w, {from, d, Op::none}, {u, w, Op::none}, s.rows, w, d, T(0));
        each_row(ex, s.rows, w, [=](Index i) {
            T *g_i = a + i * w, *g_f = g_i + d, *g_g = g_f + d, *g_o = g_g + d, *o_c = to_c + i * d, *o_h = to + i * d;
            const T *v = in + i * w, *q = cells + i * d;
#pragma omp simd
            for (Index j = 0; j < 2 * d; ++j) g_i[j] = math::sigmoid(g_i[j] + v[j]);
#pragma omp simd
            for (Index j = 0; j < d; ++j) {
                g_g[j] = math::tanh(g_g[j] + v[2 * d + j]);
                g_o[j] = math::sigmoid(g_o[j] + v[3 * d + j]);
                o_c[j] = g_f[j] * q[j] + g_i[j] * g_g[j];
                o_h[j] = g_o[j] * math::tanh(o_c[j]);
            }
        });
    });
}

template <class T>
void lstm_backward(const Exec& ex, T* d_x, T* d_h0, T* d_c0, T* d_u, const T* d_h, const T* d_c, const T* h, const T* c,
                   const T* gates, const T* h0, const T* c0, const T* u, const Steps& steps, Index d) {
    const Index w = 4 * d;
    Carry<T> flow(d_h0, steps, d), flow_c(d_c0, steps, d);
    Transposed<T> back(ex, u, steps, d, w);
    T *carry = flow.data(), *carry_c = flow_c.data();
    each_step_back(ex, steps, [&](const Step& s) {
        const T *cells = previous(s, c0, c, d), *now = c + s.at * d, *a = gates + s.at * w;
        const T *outside = d_h + s.at * d, *outside_c = d_c ? d_c + s.at * d : nullptr;
        T* d_a = d_x + s.at * w;
        each_row(ex, s.rows, w, [=](Index r) {
            const T *i = a + r * w, *f = i + d, *g = f + d, *o = g + d, *q = cells + r * d, *cell = now + r * d;
            T *d_i = d_a + r * w, *d_f = d_i + d, *d_g = d_f + d, *d_o = d_g + d;
            T *on_h = carry + r * d, *on_c = carry_c + r * d;
            if (outside_c)
                for (Index j = 0; j < d; ++j) on_c[j] += outside_c[r * d + j];
            const T* e = outside + r * d;
#pragma omp simd
            for (Index j = 0; j < d; ++j) {
                const T by_h = e[j] + on_h[j], tanh_c = math::tanh(cell[j]);
                const T by_c = on_c[j] + by_h * o[j] * (T(1) - tanh_c * tanh_c);
                d_i[j] = by_c * g[j] * i[j] * (T(1) - i[j]);
                d_f[j] = by_c * q[j] * f[j] * (T(1) - f[j]);
                d_g[j] = by_c * i[j] * (T(1) - g[j] * g[j]);
                d_o[j] = by_h * tanh_c * o[j] * (T(1) - o[j]);
                on_c[j] = by_c * f[j];
            }
        });
        if (flows(s.t, steps, d_h0)) {
            product(ex, carry, d, {d_a, w, Op::none}, back.columns(0), s.rows, d, w, T(0));
        } else {
            std::fill_n(carry, s.rows * d, T(0));
            std::fill_n(carry_c, s.rows * d, T(0));
        }
    });
    const Previous<T> before(ex, h0, h, steps, d);
    product_of_rows(ex, d_u, before.rows(), d_x, w, d, w, steps.total());
}

template <class T>
void rnn_forward(const Exec& ex, T* h, const T* x, const T* h0, const T* u, const Steps& steps, Index d) {
    each_step(ex, steps, [&](const Step& s) {
        T* to = h + s.at * d;
        const T* in = x + s.at * d;
        product(ex, to, d, {previous(s, h0, h, d), d, Op::none}, {u, d, Op::none}, s.rows, d, d, T(0));
        each_row(ex, s.rows, d, [=](Index i) {
#pragma omp simd
            for (Index j = i * d; j < (i + 1) * d; ++j) to[j] = math::tanh(to[j] + in[j]);
        });
    });
}

template <class T>
void rnn_backward(const Exec& ex, T* d_x, T* d_h0, T* d_u, const T* d_h, const T* h, const T* h0, const T* u,
                  const Steps& steps, Index d) {
    Carry<T> flow(d_h0, steps, d);
    Transposed<T> back(ex, u, steps, d, d);
    T* carry = flow.data();
    each_step_back(ex, steps, [&](const Step& s) {
        const T *out = h + s.at * d, *outside = d_h + s.at * d;
        T* d_a = d_x + s.at * d;
        each_row(ex, s.rows, d, [=](Index i) {
#pragma omp simd
            for (Index j = i * d; j < (i + 1) * d; ++j) d_a[j] = (outside[j] + carry[j]) * (T(1) - out[j] * out[j]);
        });
        if (flows(s.t, steps, d_h0))
            product(ex, carry, d, {d_a, d, Op::none}, back.columns(0), s.rows, d, d, T(0));
        else
            std::fill_n(carry, s.rows * d, T(0));
    });
    const Previous<T> before(ex, h0, h, steps, d);
    product_of_rows(ex, d_u, before.rows(), d_x, d, d, d, steps.total());
}

#define INSTANTIATE(T)                                                                                                \
    template void lstm_forward(const Exec&, T*, T*, T*, const T*, const T*, const T*, const T*, const Steps&, Index); \
    template void lstm_backward(const Exec&, T*, T*, T*, T*, const T*, const T*, const T*, const T*, const T*,        \
                                const T*, const T*, const T*, const Steps&, Index);                                   \
    template void rnn_forward(const Exec&, T*, const T*, const T*, const T*, const Steps&, Index);                    \
    template void rnn_backward(const Exec&, T*, T*, T*, const T*, const T*, const T*, const T*, const Steps&, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
