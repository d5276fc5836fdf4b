#include "recurrent.hpp"

#include <chrono>

#include "linalg.hpp"
#include "math.hpp"

namespace pyrec::cpu {
namespace {

// One step: its number, its first row and that of the step before, and how many rows it has.
struct Step {
    Index t, at, before, rows;
};

// Lets the user stop a call between two steps, which are too short for their own loops to ask.
class StopWatch {
  public:
    explicit StopWatch(const Exec& ex) : ex_(ex) {}
    void look() {
        if (!ex_.stop || Clock::now() - asked_ < std::chrono::milliseconds(50)) return;
        if (ex_.stop()) throw Interrupted{};
        asked_ = Clock::now();
    }

  private:
    using Clock = std::chrono::steady_clock;
    const Exec& ex_;
    Clock::time_point asked_ = Clock::now();
};

template <class F> void each_step(const Exec& ex, const Steps& steps, F f) {
    StopWatch watch(ex);
    for (Index t = 0, at = 0, before = 0; t < steps.count; before = at, at += steps.rows[t++]) {
        f(Step{t, at, before, steps.rows[t]});
        watch.look();
    }
}

template <class F> void each_step_back(const Exec& ex, const Steps& steps, F f) {
    StopWatch watch(ex);
    for (Index t = steps.count - 1, end = steps.total(); t >= 0; end -= steps.rows[t--]) {
        const Index at = end - steps.rows[t];
        f(Step{t, at, t ? at - steps.rows[t - 1] : 0, steps.rows[t]});
        watch.look();
    }
}

// The states before a step.
template <class T> const T* previous(const Step& s, const T* initial, const T* states, Index d) {
    return s.t == 0 ? initial : states + s.before * d;
}

// The states before all steps, end to end.
template <class T> class Previous {
  public:
    Previous(const Exec& ex, const T* initial, const T* states, const Steps& steps, Index d)
        : copy_(steps.count > 1 ? steps.total() * d : 0), rows_(steps.count > 1 ? copy_.data() : initial) {
        if (steps.count > 1) {
            each_step(ex, steps, [&](const Step& s) {
                std::copy_n(previous(s, initial, states, d), s.rows * d, copy_.data() + s.at * d);
            });
        }
    }
    const T* rows() const { return rows_; }

  private:
    Scratch<T> copy_;
    const T* rows_;
};

// The gradient that flows from a step to the one before: `given` (B,d), or scratch where it is null. Begins with zeros,
// which remain in the rows of sequences that are over.
template <class T> class Carry {
  public:
    Carry(T* given, const Steps& steps, Index d)
        : own_(given ? 0 : steps.lanes() * d), data_(given ? given : own_.data()) {
        std::fill_n(data_, steps.lanes() * d, T(0));
    }
    T* data() { return data_; }

  private:
    Scratch<T> own_;
    T* data_;
};

// Whether the gradient flows on from step t to the state before it.
template <class T> bool flows(Index t, const Steps& steps, const T* d_h0) {
    return t == 0 ? d_h0 != nullptr : steps.bptt == 0 || t % steps.bptt != 0;
}

// c (M,N) = a b + beta c, by one thread where others would take longer to wake than to help.
template <class T>
void product(const Exec& ex, T* c, Index ldc, const Operand<T>& a, const Operand<T>& b, Index M, Index N, Index K,
             T beta) {
    Exec few = ex;
    if (M * N * K < Index{1} << 21) few.threads = 1;
    gemm(few, c, ldc, a, b, M, N, K, T(1), beta);
}

// d_u (d,N), in rows of `stride` = states^T d_a over all n rows.
template <class T>
void product_of_rows(const Exec& ex, T* d_u, const T* states, const T* d_a, Index stride, Index d, Index N, Index n) {
    product(ex, d_u, stride, {states, d, Op::transpose}, {d_a, stride, Op::none}, d, N, n, T(0));
}

// f(row) for the rows of a step, which have `width` numbers that go through a function.
template <class F> void each_row(const Exec& ex, Index rows, Index width, F f) {
    parallel_for(ex, rows, std::max<Index>(1, 16384 / std::max<Index>(width, 1)), f);
}

// sums (width) of the columns of a (n, width), rows in their order.
template <class T> void column_sums(const Exec& ex, T* sums, const T* a, Index n, Index width) {
    parallel_ranges(ex, width, std::max<Index>(64, 65536 / std::max<Index>(n, 1)), [=](Index begin, Index end) {
        std::fill(sums + begin, sums + end, T(0));
        for (Index i = 0; i < n; ++i)
            for (Index j = begin; j < end; ++j) sums[j] += a[i * width + j];
    });
}

}  // namespace

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
        product(ex, d_reset, d, {d_a, w, Op::none}, {u, w, Op::transpose}, s.rows, d, d, T(0));
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
            product(ex, carry, d, {d_a + d, w, Op::none}, {u + d, w, Op::transpose}, s.rows, d, 2 * d, T(1));
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
            product(ex, carry, d, {d_sum, w, Op::none}, {u, w, Op::transpose}, s.rows, d, w, T(1));
        else
            std::fill_n(carry, s.rows * d, T(0));
    });
    const Previous<T> before(ex, h0, h, steps, d);
    product_of_rows(ex, d_u, before.rows(), d_sums, w, d, w, n);
    column_sums(ex, d_bias, d_sums, n, w);
}

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
    T *carry = flow.data(), *carry_c = flow_c.data();
    each_step_back(ex, steps, [&](const Step& s) {
        const T *cells = previous(s, c0, c, d), *now = c + s.at * d, *a = gates + s.at * w;
        const T *outside = d_h + s.at * d, *outside_c = d_c ? d_c + s.at * d : nullptr;
        T* d_a = d_x + s.at * w;
        const bool on = flows(s.t, steps, d_h0);
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
        if (on) {
            product(ex, carry, d, {d_a, w, Op::none}, {u, w, Op::transpose}, s.rows, d, w, T(0));
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
    T* carry = flow.data();
    each_step_back(ex, steps, [&](const Step& s) {
        const T *out = h + s.at * d, *outside = d_h + s.at * d;
        T* d_a = d_x + s.at * d;
        each_row(ex, s.rows, d, [=](Index i) {
#pragma omp simd
            for (Index j = i * d; j < (i + 1) * d; ++j) d_a[j] = (outside[j] + carry[j]) * (T(1) - out[j] * out[j]);
        });
        if (flows(s.t, steps, d_h0))
            product(ex, carry, d, {d_a, d, Op::none}, {u, d, Op::transpose}, s.rows, d, d, T(0));
        else
            std::fill_n(carry, s.rows * d, T(0));
    });
    const Previous<T> before(ex, h0, h, steps, d);
    product_of_rows(ex, d_u, before.rows(), d_x, d, d, d, steps.total());
}

#define INSTANTIATE(T)                                                                                                \
    template void gru_before_forward(const Exec&, T*, T*, T*, const T*, const T*, const T*, const Steps&, Index);     \
    template void gru_before_backward(const Exec&, T*, T*, T*, const T*, const T*, const T*, const T*, const T*,      \
                                      const T*, const Steps&, Index);                                                 \
    template void gru_after_forward(const Exec&, T*, T*, T*, const T*, const T*, const T*, const T*, const Steps&,    \
                                    Index);                                                                           \
    template void gru_after_backward(const Exec&, T*, T*, T*, T*, const T*, const T*, const T*, const T*, const T*,   \
                                     const T*, const Steps&, Index);                                                  \
    template void lstm_forward(const Exec&, T*, T*, T*, const T*, const T*, const T*, const T*, const Steps&, Index); \
    template void lstm_backward(const Exec&, T*, T*, T*, T*, const T*, const T*, const T*, const T*, const T*,        \
                                const T*, const T*, const T*, const Steps&, Index);                                   \
    template void rnn_forward(const Exec&, T*, const T*, const T*, const T*, const Steps&, Index);                    \
    template void rnn_backward(const Exec&, T*, T*, T*, const T*, const T*, const T*, const T*, const Steps&, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
