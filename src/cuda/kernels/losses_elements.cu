// Losses of single elements and of pairs, and of rows that are distributions.
#include "losses.hpp"
#include "rows.cuh"

namespace pyrec::cuda {
namespace {

Index parts_of(Index n) { return (n + kLossPart - 1) / kLossPart; }

// losses[p] = sum of f(i) over part p of the elements, a block a part.
template <class T, class F> __device__ void sum_parts(double* losses, Index n, F f) {
    PYREC_SHARED(double, shared);
    for_rows((n + kLossPart - 1) / kLossPart, [=](Index p) {
        const Index first = p * kLossPart, left = n - first;
        T sum = 0;
        for_elements(left < kLossPart ? left : kLossPart, [&](Index i) { sum += f(first + i); });
        const double total = block_reduce(static_cast<double>(sum), Sum{}, shared);
        if (threadIdx.x == 0) losses[p] = total;
    });
}

template <class T>
__global__ void pointwise(double* losses, T* d_y, const T* y, const T* t, const T* weight, Index n, Pointwise loss,
                          T delta, T scale) {
    sum_parts<T>(losses, n, [=](Index i) {
        const T w = weight ? scale * weight[i] : scale, e = y[i] - t[i];
        if (loss == Pointwise::squared) {
            d_y[i] = T(2) * w * e;
            return w * e * e;
        }
        if (loss == Pointwise::huber) {
            const T a = std::fabs(e), inside = a < delta ? a : delta;  // NaN is neither
            d_y[i] = a > delta ? w * std::copysign(delta, e) : w * e;
            return w * inside * (a - T(0.5) * inside);
        }
        const T x = y[i], f = math::exp_flushed(-std::fabs(x)), positive = x > T(0) ? x : T(0);
        const T value = positive - x * t[i] + math::log1p_unit(f);
        d_y[i] = w * ((x < T(0) ? f : T(1)) / (T(1) + f) - t[i]);
        return w * value;
    });
}

template <class T>
__global__ void pairwise(double* losses, T* d_pos, T* d_neg, const T* pos, const T* neg, const T* weight, Index n,
                         Pairwise loss, T margin, T scale) {
    sum_parts<T>(losses, n, [=](Index i) {
        const T w = weight ? scale * weight[i] : scale;
        T g, value;
        if (loss == Pairwise::bpr) {
            const T d = neg[i] - pos[i], e = math::exp_flushed(-std::fabs(d));
            g = w * ((d < T(0) ? e : T(1)) / (T(1) + e));
            value = w * (math::log1p_unit(e) + (d > T(0) ? d : T(0)));
        } else {
            const T d = margin - pos[i] + neg[i];
            g = d > T(0) ? w : T(0);
            value = d < T(0) ? T(0) : w * d;
        }
        d_pos[i] = -g;
        d_neg[i] = g;
        return value;
    });
}

template <class T>
__global__ void divergence(double* losses, T* d_mu, T* d_log_var, const T* mu, const T* log_var, Index n, T scale) {
    sum_parts<T>(losses, n, [=](Index i) {
        const T m = mu[i], h = log_var[i], variance = math::exp(h), half = T(0.5) * scale;
        d_mu[i] = scale * m;
        d_log_var[i] = half * (variance - T(1));
        return half * (m * m + (variance - T(1) - h));
    });
}

// A warp a row.
template <class T> __global__ void ranks(T* weight, const T* pos, const T* neg, Index n, Index U, Index I, T margin) {
    const Index lane = threadIdx.x % kWarp, warps = Index{gridDim.x} * blockDim.x / kWarp;
    for (Index i = (Index{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp; i < n; i += warps) {
        Index violations = 0;
        for (Index k = lane; k < U; k += kWarp) violations += margin - pos[i] + neg[i * U + k] > T(0);
        violations = warp_reduce(violations, Sum{});
        // I * violations / U without a product that could overflow
        const Index rank = I / U * violations + I % U * violations / U;
        if (lane == 0) weight[i] = static_cast<T>(std::log1p(static_cast<double>(rank)));
    }
}

template <class T>
__global__ void multinomial_rows(double* losses, T* d_logits, const T* logits, Csr<T> x, double scale) {
    PYREC_SHARED(double, shared);
    for_rows(x.rows, [=](Index b) {
        const Index I = x.cols, from = x.indptr[b], count = x.indptr[b + 1] - from;
        const T* f = logits + b * I;
        T* g = d_logits + b * I;
        const T m = largest<T>(I, shared, [=](Index j) { return f[j]; }), shift = shift_of(m);
        double sums[3] = {};  // of exponentials, of x, of x (f - m)
        for_elements(I, [&](Index j) { sums[0] += math::exp_flushed(f[j] - shift); });
        for_elements(count, [&](Index e) {
            const double v = x.data[from + e];
            sums[1] += v;
            sums[2] += v * (static_cast<double>(f[x.indices[from + e]]) - m);
        });
        block_sums(sums, shared);
        const double total = sums[1];
        const T factor = total == 0.0 ? T(0) : static_cast<T>(total / sums[0] * scale);
        for_elements(I, [=](Index j) { g[j] = math::exp_flushed(f[j] - shift) * factor; });
        __syncthreads();  // other lanes wrote the elements of the entries
        for_elements(count, [=](Index e) { g[x.indices[from + e]] -= static_cast<T>(x.data[from + e] * scale); });
        if (threadIdx.x == 0) losses[b] = total == 0.0 ? 0.0 : (total * std::log(sums[0]) - sums[2]) * scale;
    });
}

template <class T>
__global__ void kl_rows(double* losses, T* d_logits, const T* logits, const T* p, Index B, Index I, double scale) {
    PYREC_SHARED(double, shared);
    for_rows(B, [=](Index b) {
        const T *f = logits + b * I, *q = p + b * I;
        T* g = d_logits + b * I;
        const T m = largest<T>(I, shared, [=](Index j) { return f[j]; }), shift = shift_of(m);
        double sums[3] = {};  // of exponentials, of p, of p (log p - (f - m))
        for_elements(I, [&](Index j) {
            sums[0] += math::exp_flushed(f[j] - shift);
            sums[1] += q[j];
            sums[2] += q[j] > T(0) ? q[j] * (math::log(q[j]) - (f[j] - m)) : T(0);
        });
        block_sums(sums, shared);
        const T factor = static_cast<T>(sums[1] / sums[0]), inverse = static_cast<T>(scale);
        for_elements(I, [=](Index j) { g[j] = inverse * (math::exp_flushed(f[j] - shift) * factor - q[j]); });
        if (threadIdx.x == 0) losses[b] = (sums[2] + sums[1] * std::log(sums[0])) * scale;
    });
}

template <class T> __device__ T inverse_norm(double squares) {  // 0 for a vector that has no direction
    const double norm = std::sqrt(squares);
    return norm < 1e-12 ? T(0) : static_cast<T>(1.0 / norm);
}

// A vector of which several are compared with u: its cosine with u and the inverse of its length. In all lanes of the
// warp that calls.
template <class T> struct Cosine {
    T cosine, scale;
    __device__ Cosine(const T* u, T by_u, const T* v, Index d) {
        T inner = 0, squares = 0;
        for (Index k = threadIdx.x % kWarp; k < d; k += kWarp) inner += u[k] * v[k], squares += v[k] * v[k];
        inner = warp_reduce(inner, Sum{});
        scale = inverse_norm<T>(static_cast<double>(warp_reduce(squares, Sum{})));
        cosine = inner * by_u * scale;
    }
};

constexpr int kCandidates = 256;  // whose factors a block holds at a time
constexpr std::size_t kCosineShared = (kWarpsOfBlock + 2 * kCandidates) * sizeof(double);

// A block a query, a warp a candidate. The cosines are made twice rather than kept: once for their softmax, once for
// the gradients.
template <class T>
__global__ void cosine_rows(double* losses, T* d_query, T* d_candidate, const T* query, const T* candidate, Index B,
                            Index C, Index d, T gamma, double scale) {
    PYREC_SHARED(double, shared);
    T* const of_u = reinterpret_cast<T*>(shared + kWarpsOfBlock);
    T* const of_v = of_u + kCandidates;
    for_rows(B, [=](Index b) {
        const Index lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
        const T *u = query + b * d, *v = candidate + b * C * d;
        T *du = d_query + b * d, *dv = d_candidate + b * C * d;
        double squares = 0;
        for_elements(d, [&](Index k) { squares += static_cast<double>(u[k]) * u[k]; });
        const T by_u = inverse_norm<T>(block_reduce(squares, Sum{}, shared)),
                own = gamma * Cosine<T>(u, by_u, v, d).cosine;
        double m = kAbsent<double>, sum = 0.0;  // of this warp's candidates, the maximum so far
        for (Index c = 1 + warp; c < C; c += warps) {
            const double s = gamma * Cosine<T>(u, by_u, v + c * d, d).cosine, top = Max{}(m, s);
            sum = (sum == 0.0 ? 0.0 : sum * math::exp(m - top)) + math::exp(s - top);
            m = top;
        }
        const double top = block_reduce(m, Max{}, shared);
        if (lane != 0) sum = 0.0;
        const CrossEntropy loss(top, block_reduce(sum == 0.0 ? 0.0 : sum * math::exp(m - top), Sum{}, shared), own);
        T along = 0;  // sum_c g_c cosine_c: what of du lies along u
        for_elements(d, [=](Index k) { du[k] = T(0); });
        for (Index c0 = 0; c0 < C; c0 += kCandidates) {
            const Index count = C - c0 < kCandidates ? C - c0 : kCandidates;
            for (Index c = warp; c < count; c += warps) {
                const Cosine<T> to(u, by_u, v + (c0 + c) * d, d);
                const double share = c0 + c == 0 ? -loss.others : math::exp(gamma * to.cosine - top) * loss.factor;
                const T g = static_cast<T>(gamma * share * scale);
                if (lane != 0) continue;
                of_u[c] = g * to.scale * by_u;
                of_v[c] = g * to.cosine * to.scale * to.scale;
                along += g * to.cosine;
            }
            __syncthreads();
            for_elements(d, [=](Index k) {
                T sum_k = du[k];
                for (Index c = 0; c < count; ++c) {
                    const Index at = (c0 + c) * d + k;
                    sum_k += of_u[c] * v[at];
                    dv[at] = of_u[c] * u[k] - of_v[c] * v[at];
                }
                du[k] = sum_k;
            });
            __syncthreads();  // before the factors of the next candidates
        }
        const T back = block_reduce(along, Sum{}, reinterpret_cast<T*>(shared)) * by_u * by_u;
        for_elements(d, [=](Index k) { du[k] -= back * u[k]; });
        if (threadIdx.x == 0) losses[b] = loss.loss * scale;
    });
}

constexpr std::size_t kShared = kWarpsOfBlock * sizeof(double);

template <class T> T scale_of(double divisor) { return divisor > 0.0 ? static_cast<T>(1.0 / divisor) : T(0); }

}  // namespace

template <class T>
void pointwise_loss(const Exec& ex, double* losses, T* d_y, const T* y, const T* t, const T* weight, Index n,
                    Pointwise loss, double delta, double divisor) {
    launch(pointwise<T>, row_grid(parts_of(n)), kBlock, kShared, ex.stream, losses, d_y, y, t, weight, n, loss,
           static_cast<T>(delta), scale_of<T>(divisor));
}

template <class T>
void pairwise_loss(const Exec& ex, double* losses, T* d_pos, T* d_neg, const T* pos, const T* neg, const T* weight,
                   Index n, Pairwise loss, double margin, double divisor) {
    launch(pairwise<T>, row_grid(parts_of(n)), kBlock, kShared, ex.stream, losses, d_pos, d_neg, pos, neg, weight, n,
           loss, static_cast<T>(margin), scale_of<T>(divisor));
}

template <class T>
void warp_weights(const Exec& ex, T* weight, const T* pos, const T* neg, Index n, Index U, Index I, double margin) {
    launch(ranks<T>, grid_for(n * kWarp), kBlock, 0, ex.stream, weight, pos, neg, n, U, I, static_cast<T>(margin));
}

template <class T>
void multinomial(const Exec& ex, double* losses, T* d_logits, const T* logits, const Csr<T>& x, double divisor) {
    launch(multinomial_rows<T>, row_grid(x.rows), row_block(x.cols), kRowShared, ex.stream, losses, d_logits, logits, x,
           1.0 / divisor);
}

template <class T>
void softmax_kl(const Exec& ex, double* losses, T* d_logits, const T* logits, const T* p, Index B, Index I,
                double divisor) {
    launch(kl_rows<T>, row_grid(B), row_block(I), kRowShared, ex.stream, losses, d_logits, logits, p, B, I,
           1.0 / divisor);
}

template <class T>
void gaussian_kl(const Exec& ex, double* losses, T* d_mu, T* d_log_var, const T* mu, const T* log_var, Index n,
                 double divisor) {
    launch(divergence<T>, row_grid(parts_of(n)), kBlock, kShared, ex.stream, losses, d_mu, d_log_var, mu, log_var, n,
           static_cast<T>(1.0 / divisor));
}

template <class T>
void cosine_softmax(const Exec& ex, double* losses, T* d_query, T* d_candidate, const T* query, const T* candidate,
                    Index B, Index C, Index d, double gamma, double divisor) {
    launch(cosine_rows<T>, row_grid(B), row_block(C * d), kCosineShared, ex.stream, losses, d_query, d_candidate, query,
           candidate, B, C, d, static_cast<T>(gamma), 1.0 / divisor);
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

}  // namespace pyrec::cuda
