// Losses of sampled scores: a block a row, which reads it two or three times, from a cache that holds it.
#include "losses.hpp"

#include "rows.cuh"

namespace pyrec::cuda {
namespace {

// The scores of a row: less log_q or through ELU; -inf for what is not there, the positive and collisions. Reading an
// element for the last time, its lane may write the gradient in its place.
template <class T> struct Row {
    const T *x, *log_q;
    T slope;  // of the ELU; 0: there is none
    const Id* ids;
    Index N, own;

    __device__ Row(const T* scores, Index n, Index b, const Sampled<T>& how)
        : x(scores + b * n), log_q(how.log_q), slope(static_cast<T>(how.elu)), ids(how.item_ids), N(n), own(b) {}

    __device__ T score(Index j) const {
        const T v = x[j];
        if (log_q) return v - log_q[j];
        if (slope == T(0) || v > T(0) || v < kLowest<T>) return v;
        return slope * math::expm1_nonpositive(v);
    }
    __device__ bool there(Index j) const { return j != own && !(ids && ids[j] == ids[own]); }
    __device__ T operator()(Index j) const { return there(j) ? score(j) : kAbsent<T>; }
    // Derivative of the score by x.
    __device__ T chain(Index j) const {
        const T v = x[j];
        return slope == T(0) || v > T(0) ? T(1) : slope * math::exp_pair(v).exp;
    }
};

// Writes gradient(j, score of j) of the negatives, and that of the positive.
template <class T, class F> __device__ void write_gradient(T* g, const Row<T>& row, double d_positive, F gradient) {
    for_elements(row.N, [&](Index j) {
        const T by_score = j == row.own ? static_cast<T>(d_positive) : gradient(j, row(j));
        g[j] = by_score * row.chain(j);
    });
}

// Each loss of a row returns its value and writes the row's gradient, both times `scale`. The formulas, and why they
// are taken apart as they are, stand in src/cpp/kernels/losses.cpp.

template <class T>
__device__ double cross_entropy_row(T* g, const Row<T>& row, T own, double scale, double smoothing, double* shared) {
    const T m = largest<T>(row.N, shared, row), shift = shift_of(m);
    double sums[3] = {};  // of exponentials, of scores that are there, of ones
    for_elements(row.N, [&](Index j) {
        const T r = row(j);
        sums[0] += math::exp_flushed(r - shift);
        if (smoothing > 0.0 && !(r < kLowest<T>) && j != row.own) sums[1] += r, sums[2] += 1.0;
    });
    block_sums(sums, shared);
    const CrossEntropy loss(m, sums[0], own);
    const double kept = sums[2] > 0.0 ? smoothing : 0.0, share = sums[2] > 0.0 ? smoothing / sums[2] : 0.0;
    const T factor = static_cast<T>(scale * loss.factor), each = static_cast<T>(scale * share);
    for_elements(row.N, [&](Index j) {
        const T r = row(j);
        const T others = math::exp_flushed(r - shift) * factor - (r < kLowest<T> ? T(0) : each);
        g[j] = j == row.own ? static_cast<T>(scale * (kept - loss.others)) : others;
    });
    return scale * (loss.loss + (kept > 0.0 ? kept * own - share * sums[1] : 0.0));
}

template <class T> __device__ double bpr_row(T* g, const Row<T>& row, T t, double scale, double* shared) {
    T sums[2] = {};  // of losses, of their derivatives
    const auto wrong = [=](T d, T e) { return (d < T(0) ? e : T(1)) / (T(1) + e); };
    for_elements(row.N, [&](Index j) {
        const T d = row(j) - t, e = math::exp_flushed(-std::fabs(d));
        sums[0] += math::log1p_unit(e) + (d > T(0) ? d : T(0));
        sums[1] += wrong(d, e);
    });
    block_sums(sums, shared);
    write_gradient(g, row, -scale * sums[1], [=](Index, T r) {
        return wrong(r - t, math::exp_flushed(-std::fabs(r - t))) * static_cast<T>(scale);
    });
    return scale * sums[0];
}

// TOP1 of a negative: its loss, its derivatives by the difference and by the score alone.
template <class T> struct Top1 {
    T loss, slope, own;
    __device__ Top1(T r, T t) {
        const T d = r - t, e = math::exp_flushed(-std::fabs(d)), f = math::exp_flushed(-r * r);
        const T both = T(1) / ((T(1) + e) * (T(1) + f));
        const T s = both * (T(1) + f), v = both * (T(1) + e);
        const bool absent = r < kLowest<T>;
        loss = (d < T(0) ? e : T(1)) * s + (absent ? T(0) : v);
        slope = e * s * s;
        own = absent ? T(0) : T(2) * r * f * v * v;
    }
};

template <class T> __device__ double top1_row(T* g, const Row<T>& row, T t, double scale, double* shared) {
    T sums[2] = {};
    for_elements(row.N, [&](Index j) {
        const Top1<T> term(row(j), t);
        sums[0] += term.loss;
        sums[1] += term.slope;
    });
    block_sums(sums, shared);
    write_gradient(g, row, -scale * sums[1], [=](Index, T r) {
        const Top1<T> term(r, t);
        return static_cast<T>(scale) * (term.slope + term.own);
    });
    return scale * sums[0];
}

// A negative of TOP1-max: its share of the softmax, not yet divided by the sum of all, its term from which the mean is
// taken, and its derivatives.
template <class T> struct Top1Max {
    T weight, term, slope, own;
    __device__ Top1Max(T r, T shift, T k, bool far) {
        const T f = math::exp_flushed(-r * r);
        weight = math::exp_flushed(r - shift);
        const T ratio = k * weight, both = T(1) / ((T(1) + ratio) * (T(1) + f));
        const T p = both * (T(1) + f), v = both * (T(1) + ratio), c = ratio * p, w = f * v;
        slope = c * p;
        term = (far ? -p : c) - w;
        own = r < kLowest<T> ? T(0) : T(2) * r * w * v;
    }
};

template <class T> __device__ double top1_max_row(T* g, const Row<T>& row, T t, double scale, double* shared) {
    const T m = largest<T>(row.N, shared, row), shift = shift_of(m), gap = m - t;
    const T k = math::exp(gap > T(80) ? T(80) : gap);
    const bool far = gap > T(0);
    T sums[3] = {};  // of weights, of terms, of slopes
    for_elements(row.N, [&](Index j) {
        const Top1Max<T> n(row(j), shift, k, far);
        sums[0] += n.weight;
        sums[1] += n.weight * n.term;
        sums[2] += n.weight * n.slope;
    });
    block_sums(sums, shared);
    const T sum = sums[0];
    if (sum == T(0)) {
        for_elements(row.N, [=](Index j) { g[j] = T(0); });
        return 0.0;
    }
    const T center = sums[1] / sum, factor = static_cast<T>(scale / sum);
    write_gradient(g, row, -scale * sums[2] / sum, [=](Index, T r) {
        const Top1Max<T> n(r, shift, k, far);
        return n.weight * ((n.slope + n.own + n.term) - center) * factor;
    });
    return scale * ((far ? 2.0 : 1.0) + static_cast<double>(sums[1]) / sum);
}

// reg of BPR-max: `weighted` by the softmax, `plain` without.
struct Regular {
    double weighted, plain;
};

template <class T>
__device__ double bpr_max_row(T* g, const Row<T>& row, T t, double scale, Regular reg, double* shared) {
    const T m = largest<T>(row.N, shared, row), shift = shift_of(m), gap = m - t;
    const bool below = gap > T(60);  // the positive lies so far below that exp(r_j - m) vanishes for scores near it
    const T k = math::exp(below ? T(0) : gap);
    const auto finite = [](T r) { return r < kLowest<T> ? T(0) : r; };
    // p_j and c_j = 1 - p_j, for a the exponential of r_j - shift.
    const auto chances = [=](T r, T a, T& p, T& c) {
        const T d = r - t, f = below ? math::exp_flushed(-std::fabs(d)) : k * a;
        const T high = T(1) / (T(1) + f), low = f * high;
        p = below && !(d < T(0)) ? low : high;
        c = below && !(d < T(0)) ? high : low;
    };
    T sums[5] = {};  // of weights; of p, of c and of p c (`below`: of c and of c c, unweighted); of squares
    T squares = 0;
    for_elements(row.N, [&](Index j) {
        const T r = row(j), a = math::exp_flushed(r - shift), score = finite(r);
        T p, c;
        chances(r, a, p, c);
        sums[0] += a;
        sums[1] += a * p;
        sums[2] += below ? c : a * c;
        sums[3] += below ? c * c : a * p * c;
        sums[4] += a * score * score;
        squares += score * score;
    });
    block_sums(sums, shared);
    const T sum = sums[0];
    const double Q = static_cast<double>(sums[1]) / sum, C = static_cast<double>(sums[2]) / sum;
    const bool none = sum == T(0), near = C < 0.5;
    const T by_c = near ? T(1) : T(0), by_p = near ? T(0) : T(-1), offset = static_cast<T>(near ? -C : Q);
    const T factor = static_cast<T>(below ? scale / sums[2] : scale / Q / sum), own = static_cast<T>(scale / sum);
    const T weight = static_cast<T>(scale * reg.weighted) / sum, center = sums[4] / sum;
    const T plain = static_cast<T>(2.0 * scale * reg.plain);
    const double pull = none ? 0.0 : sums[3] / (below ? sums[2] : sums[1]);
    write_gradient(g, row, none ? 0.0 : -scale * pull, [=](Index, T r) {
        const T a = math::exp_flushed(r - shift), score = finite(r);
        T p, c;
        chances(r, a, p, c);
        const T pushed = below ? a * own - factor * (p * c) : a * factor * (p * c + (by_c * c + (by_p * p + offset)));
        return (none ? T(0) : pushed + a * weight * ((T(2) + score) * score - center)) + plain * score;
    });
    double loss = 0.0;
    if (!none) {
        loss = below ? static_cast<double>(gap) - std::log(C) : near ? -std::log1p(-C) : -std::log(Q);
        loss += reg.weighted * center;
    }
    if (reg.plain > 0.0) loss += reg.plain * block_reduce(squares, Sum{}, reinterpret_cast<T*>(shared));
    return scale * loss;
}

template <class T, SampledLoss kind>
__global__ void sampled_rows(double* losses, T* d_scores, const T* scores, Index M, Index N, double scale,
                             Sampled<T> how) {
    PYREC_SHARED(double, shared);
    for_rows(M, [=](Index b) {
        T* const g = d_scores + b * N;
        const Row<T> row(scores, N, b, how);
        const T t = row.score(b);
        double loss;
        if constexpr (kind == SampledLoss::cross_entropy) {
            loss = cross_entropy_row(g, row, t, scale, how.smoothing, shared);
        } else if constexpr (kind == SampledLoss::bpr) {
            loss = bpr_row(g, row, t, scale, shared);
        } else if constexpr (kind == SampledLoss::top1) {
            loss = top1_row(g, row, t, scale, shared);
        } else if constexpr (kind == SampledLoss::top1_max) {
            loss = top1_max_row(g, row, t, scale, shared);
        } else {
            const Regular reg{how.plain_reg ? 0.0 : how.reg, how.plain_reg ? how.reg : 0.0};
            loss = bpr_max_row(g, row, t, scale, reg, shared);
        }
        if (threadIdx.x == 0) losses[b] = loss;
    });
}

template <class T>
__global__ void target_rows(double* losses, T* scores, const T* bias, const Id* target, Index B, Index I,
                            double scale) {
    PYREC_SHARED(double, shared);
    for_rows(B, [=](Index b) {
        T* const x = scores + b * I;
        const Index own = target[b];
        const auto score = [=](Index j) { return bias ? x[j] + bias[j] : x[j]; };
        const auto other = [=](Index j) { return j == own ? kAbsent<T> : score(j); };
        const T t = score(own), m = largest<T>(I, shared, other), shift = shift_of(m);
        double sum = 0.0;
        for_elements(I, [&](Index j) { sum += math::exp_flushed(other(j) - shift); });
        const CrossEntropy loss(m, block_reduce(sum, Sum{}, shared), t);
        const T factor = static_cast<T>(scale * loss.factor);
        for_elements(I, [=](Index j) {
            x[j] = j == own ? static_cast<T>(-scale * loss.others) : math::exp_flushed(other(j) - shift) * factor;
        });
        if (threadIdx.x == 0) losses[b] = scale * loss.loss;
    });
}

}  // namespace

template <class T>
void sampled_loss(const Exec& ex, double* losses, T* d_scores, const T* scores, Index M, Index N,
                  const Sampled<T>& how) {
    const bool mean = (how.loss == SampledLoss::bpr || how.loss == SampledLoss::top1) && !how.sum;
    const double scale = 1.0 / how.divisor / (mean ? static_cast<double>(N - 1) : 1.0);
    const auto run = [&](auto kernel) {
        launch(kernel, row_grid(M), row_block(N), kRowShared, ex.stream, losses, d_scores, scores, M, N, scale, how);
    };
    switch (how.loss) {
        case SampledLoss::cross_entropy:
            return run(sampled_rows<T, SampledLoss::cross_entropy>);
        case SampledLoss::bpr:
            return run(sampled_rows<T, SampledLoss::bpr>);
        case SampledLoss::top1:
            return run(sampled_rows<T, SampledLoss::top1>);
        case SampledLoss::top1_max:
            return run(sampled_rows<T, SampledLoss::top1_max>);
        case SampledLoss::bpr_max:
            return run(sampled_rows<T, SampledLoss::bpr_max>);
    }
}

template <class T>
void target_softmax(const Exec& ex, double* losses, T* scores, const T* bias, const Id* target, Index B, Index I,
                    double divisor) {
    const int block = I < 8192 ? row_block(I) : 1024;  // long rows are few: each must keep a processor busy
    launch(target_rows<T>, row_grid(B), block, kRowShared, ex.stream, losses, scores, bias, target, B, I,
           1.0 / divisor);
}

#define INSTANTIATE(T)                                                                               \
    template void sampled_loss(const Exec&, double*, T*, const T*, Index, Index, const Sampled<T>&); \
    template void target_softmax(const Exec&, double*, T*, const T*, const Id*, Index, Index, double);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cuda
