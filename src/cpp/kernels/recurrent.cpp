// The GRU in both forms; the other cells are in recurrent_lstm.cpp.
#include "recurrent.hpp"

#include "math.hpp"
#include "steps.hpp"

namespace pyrec::cpu {

template <class T>
void gru_before_forward(const Exec& ex, T* h, T* gates, T* rp, const T* x, const T* h0, const T* u, const Steps& steps,
                        Index d) {
    const Index w = 3 * d;
    each_step(ex, steps, [&](const Step& s) {
        const T *from = previous(s, h0, h, d), *in = x + s.at * w;
        T *to = h + s.at * d, *a = gates + s.at * w, *kept = rp + s.at * d;
        product(ex, a + d, w, {from, d, Op::none}, {u + d, w, Op::none}, s.rows, 2 * d, d, T(0));
        each_row(ex, s.rows, 2 * d, [=](Index i) {
            T *g = a + i * w + d, *k = kept + i * d;
            const T *v = in + i * w + d, *p = from + i * d;
#pragma omp simd
            for (Index j = 0; j < 2 * d; ++j) g[j] = math::sigmoid(g[j] + v[j]);
#pragma omp simd
            for (Index j = 0; j < d; ++j) k[j] = g[j] * p[j];
        });
        product(ex, a, w, {kept, d, Op::none}, {u, w, Op::none}, s.rows, d, d, T(0));
        each_row(ex, s.rows, d, [=](Index i) {
            T *c = a + i * w, *o = to + i * d;
            const T *z = c + 2 * d, *v = in + i * w, *p = from + i * d;
#pragma omp simd
            for (Index j = 0; j < d; ++j) {
                c[j] = math::tanh(c[j] + v[j]);
                o[j] = (T(1) - z[j]) * p[j] + z[j] * c[j];
            }
        });
    });
}

template <class T>
void gru_before_backward(const Exec& ex, T* d_x, T* d_h0, T* d_u, const T* d_h, const T* h, const T* gates, const T* rp,
                         const T* h0, const T* u, const Steps& steps, Index d) {
    const Index w = 3 * d, n = steps.total();
    Carry<T> flow(d_h0, steps, d);
    Transposed<T> back(ex, u, steps, d, w);
    Scratch<T> d_rp(steps.lanes() * d);
    T *carry = flow.data(), *d_reset = d_rp.data();
    each_step_back(ex, steps, [&](const Step& s) {
        const T *from = previous(s, h0, h, d), *a = gates + s.at * w, *outside = d_h + s.at * d;
        T* d_a = d_x + s.at * w;
        each_row(ex, s.rows, d, [=](Index i) {
            const T *c = a + i * w, *z = c + 2 * d, *p = from + i * d, *e = outside + i * d;
            T *d_c = d_a + i * w, *d_z = d_c + 2 * d, *on = carry + i * d;
#pragma omp simd
            for (Index j = 0; j < d; ++j) {
                const T g = e[j] + on[j], open = T(1) - z[j];
                d_c[j] = g * z[j] * (T(1) - c[j] * c[j]);
                d_z[j] = g * (c[j] - p[j]) * z[j] * open;
                on[j] = g * open;
            }
        });
        product(ex, d_reset, d, {d_a, w, Op::none}, back.columns(0), s.rows, d, d, T(0));
        each_row(ex, s.rows, d, [=](Index i) {
            const T *r = a + i * w + d, *p = from + i * d, *g = d_reset + i * d;
            T *d_r = d_a + i * w + d, *on = carry + i * d;
#pragma omp simd
            for (Index j = 0; j < d; ++j) {
                d_r[j] = g[j] * p[j] * r[j] * (T(1) - r[j]);
                on[j] += g[j] * r[j];
            }
        });
        if (flows(s.t, steps, d_h0))
            product(ex, carry, d, {d_a + d, w, Op::none}, back.columns(d), s.rows, d, 2 * d, T(1));
        else
            std::fill_n(carry, s.rows * d, T(0));
    });
    const Previous<T> before(ex, h0, h, steps, d);
    product_of_rows(ex, d_u, rp, d_x, w, d, d, n);
    product_of_rows(ex, d_u + d, before.rows(), d_x + d, w, d, 2 * d, n);
}

template <class T>
void gru_after_forward(const Exec& ex, T* h, T* gates, T* m, const T* x, const T* h0, const T* u, const T* bias,
                       const Steps& steps, Index d) {
    const Index w = 3 * d;
    Scratch<T> zeros(bias ? 0 : w);
    if (!bias) std::fill_n(zeros.data(), w, T(0));
    const T* b = bias ? bias : zeros.data();
    each_step(ex, steps, [&](const Step& s) {
        const T *from = previous(s, h0, h, d), *in = x + s.at * w;
        T *to = h + s.at * d, *a = gates + s.at * w, *kept = m + s.at * d;
        product(ex, a, w, {from, d, Op::none}, {u, w, Op::none}, s.rows, w, d, T(0));
        each_row(ex, s.rows, w, [=](Index i) {
            T *r = a + i * w, *z = r + d, *c = z + d, *k = kept + i * d, *o = to + i * d;
            const T *v = in + i * w, *p = from + i * d;
#pragma omp simd
            for (Index j = 0; j < 2 * d; ++j) r[j] = math::sigmoid(r[j] + v[j] + b[j]);
#pragma omp simd
            for (Index j = 0; j < d; ++j) {
                k[j] = c[j] + b[2 * d + j];
                c[j] = math::tanh(v[2 * d + j] + r[j] * k[j]);
                o[j] = z[j] * p[j] + (T(1) - z[j]) * c[j];
            }
        });
    });
}

template <class T>
void gru_after_backward(const Exec& ex, T* d_x, T* d_h0, T* d_u, T* d_bias, const T* d_h, const T* h, const T* gates,
                        const T* m, const T* h0, const T* u, const Steps& steps, Index d) {
    const Index w = 3 * d, n = steps.total();
    Carry<T> flow(d_h0, steps, d);
    Transposed<T> back(ex, u, steps, d, w);
    Scratch<T> d_s(n * w);  // gradient of p U + bias
    T *carry = flow.data(), *d_sums = d_s.data();
    each_step_back(ex, steps, [&](const Step& s) {
        const T *from = previous(s, h0, h, d), *a = gates + s.at * w, *kept = m + s.at * d, *outside = d_h + s.at * d;
        T *d_a = d_x + s.at * w, *d_sum = d_sums + s.at * w;
        each_row(ex, s.rows, w, [=](Index i) {
            const T *r = a + i * w, *z = r + d, *c = z + d, *k = kept + i * d, *p = from + i * d, *e = outside + i * d;
            T *x_r = d_a + i * w, *x_z = x_r + d, *x_c = x_z + d, *on = carry + i * d;
            T *s_r = d_sum + i * w, *s_z = s_r + d, *s_c = s_z + d;
#pragma omp simd
            for (Index j = 0; j < d; ++j) {
                const T g = e[j] + on[j], open = T(1) - z[j], d_c = g * open * (T(1) - c[j] * c[j]);
                x_c[j] = d_c;
                s_c[j] = d_c * r[j];
                x_r[j] = s_r[j] = d_c * k[j] * r[j] * (T(1) - r[j]);
                x_z[j] = s_z[j] = g * (p[j] - c[j]) * z[j] * open;
                on[j] = g * z[j];
            }
        });
        if (flows(s.t, steps, d_h0))
            product(ex, carry, d, {d_sum, w, Op::none}, back.columns(0), s.rows, d, w, T(1));
        else
            std::fill_n(carry, s.rows * d, T(0));
    });
    const Previous<T> before(ex, h0, h, steps, d);
    product_of_rows(ex, d_u, before.rows(), d_sums, w, d, w, n);
    column_sums(ex, d_bias, d_sums, n, w);
}

#define INSTANTIATE(T)                                                                                              \
    template void gru_before_forward(const Exec&, T*, T*, T*, const T*, const T*, const T*, const Steps&, Index);   \
    template void gru_before_backward(const Exec&, T*, T*, T*, const T*, const T*, const T*, const T*, const T*,    \
                                      const T*, const Steps&, Index);                                               \
    template void gru_after_forward(const Exec&, T*, T*, T*, const T*, const T*, const T*, const T*, const Steps&,  \
                                    Index);                                                                         \
    template void gru_after_backward(const Exec&, T*, T*, T*, T*, const T*, const T*, const T*, const T*, const T*, \
                                     const T*, const Steps&, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
