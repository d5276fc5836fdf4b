// Losses of single elements and of pairs, and of rows that are distributions.
#include "losses.hpp"
#include "rows.hpp"

namespace pyrec::cpu {
namespace {

// sum_i f(i), in parts.
template <class T, class F> void sum_elements(const Exec& ex, double* losses, Index n, F f) {
    parallel_ranges(ex, n, kLossPart, [&](Index begin, Index end) {
        T sum = 0;
#pragma omp simd reduction(+ : sum)
        for (Index i = begin; i < end; ++i) sum += f(i);
        losses[begin / kLossPart] = sum;
    });
}

// sum_i f(i, weight_i / divisor), f returning the loss times its second argument.
template <class T, class F>
void weighted_sum(const Exec& ex, double* losses, const T* weight, Index n, double divisor, F f) {
    const T scale = divisor > 0.0 ? static_cast<T>(1.0 / divisor) : T(0);
    if (!weight) return sum_elements<T>(ex, losses, n, [=](Index i) { return f(i, scale); });
    sum_elements<T>(ex, losses, n, [=](Index i) { return f(i, scale * weight[i]); });
}

// The losses f(row) of all rows, each by one thread.
template <class F> void each_loss(const Exec& ex, double* losses, Index B, Index grain, F f) {
    parallel_for(ex, B, grain, [&](Index b) { losses[b] = f(b); });
}

template <class T> T dot(const T* x, const T* y, Index n) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (Index k = 0; k < n; ++k) sum += x[k] * y[k];
    return sum;
}

Index row_grain(Index I) { return std::clamp<Index>(32768 / std::max<Index>(I, 1), 1, 64); }

}  // namespace

template <class T>
void pointwise_loss(const Exec& ex, double* losses, T* d_y, const T* y, const T* t, const T* weight, Index n,
                    Pointwise loss, double delta, double divisor) {
    switch (loss) {
        case Pointwise::squared:
            return weighted_sum(ex, losses, weight, n, divisor, [=](Index i, T w) {
                const T e = y[i] - t[i];
                d_y[i] = T(2) * w * e;
                return w * e * e;
            });
        case Pointwise::logistic:
            return weighted_sum(ex, losses, weight, n, divisor, [=](Index i, T w) {
                const T x = y[i], e = math::exp_flushed(-std::fabs(x));
                const T positive = x > T(0) ? x : T(0), value = positive - x * t[i] + math::log1p_unit(e);
                d_y[i] = w * ((x < T(0) ? e : T(1)) / (T(1) + e) - t[i]);
                return w * value;
            });
        case Pointwise::huber:
            return weighted_sum(ex, losses, weight, n, divisor, [=, d = static_cast<T>(delta)](Index i, T w) {
                const T e = y[i] - t[i], a = std::fabs(e), inside = a < d ? a : d;  // NaN is neither
                d_y[i] = a > d ? w * std::copysign(d, e) : w * e;
                return w * inside * (a - T(0.5) * inside);
            });
    }
}

template <class T>
void pairwise_loss(const Exec& ex, double* losses, T* d_pos, T* d_neg, const T* pos, const T* neg, const T* weight,
                   Index n, Pairwise loss, double margin, double divisor) {
    if (loss == Pairwise::bpr) {
        return weighted_sum(ex, losses, weight, n, divisor, [=](Index i, T w) {
            const T d = neg[i] - pos[i], e = math::exp_flushed(-std::fabs(d));
            const T g = w * ((d < T(0) ? e : T(1)) / (T(1) + e)), value = math::log1p_unit(e) + (d > T(0) ? d : T(0));
            d_pos[i] = -g;
            d_neg[i] = g;
            return w * value;
        });
    }
    weighted_sum(ex, losses, weight, n, divisor, [=, m = static_cast<T>(margin)](Index i, T w) {
        const T d = m - pos[i] + neg[i], g = d > T(0) ? w : T(0);
        d_pos[i] = -g;
        d_neg[i] = g;
        return d < T(0) ? T(0) : w * d;
    });
}

template <class T>
void warp_weights(const Exec& ex, T* weight, const T* pos, const T* neg, Index n, Index U, Index I, double margin) {
    const T m = static_cast<T>(margin);
    parallel_for(ex, n, row_grain(U), [=](Index i) {
        Index violations = 0;
        for (Index k = 0; k < U; ++k) violations += m - pos[i] + neg[i * U + k] > T(0);
        // I * violations / U without a product that could overflow
        const Index rank = I / U * violations + I % U * violations / U;
        weight[i] = static_cast<T>(std::log1p(static_cast<double>(rank)));
    });
}

template <class T>
void multinomial(const Exec& ex, double* losses, T* d_logits, const T* logits, const Csr<T>& x, double divisor) {
    const Index I = x.cols;
    each_loss(ex, losses, x.rows, row_grain(I), [=](Index b) {
        const T* f = logits + b * I;
        T* g = d_logits + b * I;
        const Index from = x.indptr[b], to = x.indptr[b + 1];
        const T m = row_max(f, I);
        double total = 0.0, inner = 0.0;  // sum_i x_i, sum_i x_i (f_i - m)
        for (Index k = from; k < to; ++k) {
            total += x.data[k];
            inner += static_cast<double>(x.data[k]) * (static_cast<double>(f[x.indices[k]]) - m);
        }
        const T sum = row_exp(g, f, I, m);  // f may be overwritten from here on
        const T factor = total == 0.0 ? T(0) : static_cast<T>(total / sum / divisor);
#pragma omp simd
        for (Index j = 0; j < I; ++j) g[j] *= factor;
        for (Index k = from; k < to; ++k) g[x.indices[k]] -= static_cast<T>(x.data[k] / divisor);
        return total == 0.0 ? 0.0 : (total * std::log(static_cast<double>(sum)) - inner) / divisor;
    });
}

template <class T>
void softmax_kl(const Exec& ex, double* losses, T* d_logits, const T* logits, const T* p, Index B, Index I,
                double divisor) {
    const T inverse = static_cast<T>(1.0 / divisor);
    each_loss(ex, losses, B, row_grain(I), [=](Index b) {
        const T *f = logits + b * I, *q = p + b * I;
        T* g = d_logits + b * I;
        const T m = row_max(f, I);
        T total = 0, entropy = 0;
#pragma omp simd reduction(+ : total, entropy)
        for (Index j = 0; j < I; ++j) {
            total += q[j];
            entropy += q[j] > T(0) ? q[j] * (math::log(q[j]) - (f[j] - m)) : T(0);
        }
        const T sum = row_exp(g, f, I, m), factor = total / sum;
#pragma omp simd
        for (Index j = 0; j < I; ++j) g[j] = inverse * (g[j] * factor - q[j]);
        return (entropy + static_cast<double>(total) * std::log(static_cast<double>(sum))) / divisor;
    });
}

template <class T>
void gaussian_kl(const Exec& ex, double* losses, T* d_mu, T* d_log_var, const T* mu, const T* log_var, Index n,
                 double divisor) {
    const T scale = static_cast<T>(1.0 / divisor), half = T(0.5) * scale;
    sum_elements<T>(ex, losses, n, [=](Index i) {
        const T m = mu[i], h = log_var[i], variance = math::exp(h);
        d_mu[i] = scale * m;
        d_log_var[i] = half * (variance - T(1));
        return half * (m * m + (variance - T(1) - h));
    });
}

template <class T>
void cosine_softmax(const Exec& ex, double* losses, T* d_query, T* d_candidate, const T* query, const T* candidate,
                    Index B, Index C, Index d, double gamma, double divisor) {
    const auto inverse_norm = [=](const T* x) {  // 0 for a vector that has no direction
        const double norm = std::sqrt(static_cast<double>(dot(x, x, d)));
        return norm < 1e-12 ? T(0) : static_cast<T>(1.0 / norm);
    };
    each_loss(ex, losses, B, row_grain(C * d), [=](Index b) {
        const T *u = query + b * d, *v = candidate + b * C * d;
        T *du = d_query + b * d, *dv = d_candidate + b * C * d;
        Scratch<T> cosine(C), scale(C), g(C);
        const T by_u = inverse_norm(u);
        for (Index c = 0; c < C; ++c) {
            scale[c] = inverse_norm(v + c * d);
            cosine[c] = dot(u, v + c * d, d) * by_u * scale[c];
            g[c] = static_cast<T>(gamma) * cosine[c];
        }
        const T own = g[0], m = row_max(&g[1], C - 1);
        const CrossEntropy loss(m, row_exp(&g[1], &g[1], C - 1, m), own);
        g[0] = static_cast<T>(-gamma * loss.others / divisor);
        for (Index c = 1; c < C; ++c) g[c] *= static_cast<T>(gamma * loss.factor / divisor);
        std::fill(du, du + d, T(0));
        T along = 0;  // sum_c g_c cosine_c: what of du lies along u
        for (Index c = 0; c < C; ++c) {
            const T of_u = g[c] * scale[c] * by_u, of_v = g[c] * cosine[c] * scale[c] * scale[c];
            const T* x = v + c * d;
            T* dx = dv + c * d;
            along += g[c] * cosine[c];
#pragma omp simd
            for (Index k = 0; k < d; ++k) {
                du[k] += of_u * x[k];
                dx[k] = of_u * u[k] - of_v * x[k];
            }
        }
        const T back = along * by_u * by_u;
#pragma omp simd
        for (Index k = 0; k < d; ++k) du[k] -= back * u[k];
        return loss.loss / divisor;
    });
}

#define INSTANTIATE(T)                                                                                               \
    template void pointwise_loss(const Exec&, double*, T*, const T*, const T*, const T*, Index, Pointwise, double,   \
                                 double);                                                                            \
    template void pairwise_loss(const Exec&, double*, T*, T*, const T*, const T*, const T*, Index, Pairwise, double, \
                                double);                                                                             \
    template void warp_weights(const Exec&, T*, const T*, const T*, Index, Index, Index, double);                    \
    template void multinomial(const Exec&, double*, T*, const T*, const Csr<T>&, double);                            \
    template void softmax_kl(const Exec&, double*, T*, const T*, const T*, Index, Index, double);                    \
    template void gaussian_kl(const Exec&, double*, T*, T*, const T*, const T*, Index, double);                      \
    template void cosine_softmax(const Exec&, double*, T*, T*, const T*, const T*, Index, Index, Index, double, double);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
