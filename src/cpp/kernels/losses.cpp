#include "losses.hpp"

#include <bit>
#include <optional>

#include "rows.hpp"

namespace pyrec::cpu {
namespace {

// Columns by item id: a hash table of chains.
class Collisions {
  public:
    Collisions(const Id* ids, Index N)
        : ids_(ids),
          bits_(static_cast<int>(std::bit_width(static_cast<std::uint64_t>(2 * N - 1) | 1))),
          first_(Index{1} << bits_),
          next_(N) {
        std::fill(first_.data(), first_.data() + (Index{1} << bits_), -1);
        for (Index j = N - 1; j >= 0; --j) {
            Index& first = first_[slot(ids[j])];
            next_[j] = first;
            first = j;
        }
    }

    // f(j) for the columns of the item of column b, b itself included.
    template <class F> void for_each(Index b, F f) {
        for (Index j = first_[slot(ids_[b])]; j >= 0; j = next_[j]) f(j);
    }

  private:
    // The slot of an id: where its chain starts, or the next one that is free.
    Index slot(Id id) {
        const Index mask = (Index{1} << bits_) - 1;
        Index s = static_cast<std::uint32_t>(id) * 0x9E3779B97F4A7C15u >> (64 - bits_);
        while (first_[s] >= 0 && ids_[first_[s]] != id) s = (s + 1) & mask;
        return s;
    }

    const Id* ids_;
    int bits_;  // of the number of slots, at least twice the columns
    Scratch<Index> first_, next_;
};

// One row at work. Its scores are a copy, with -inf for what is not there: the positive and collisions.
template <class T> struct Row {
    T *score, *kept;  // (N) the scores, and what a loss keeps for its second pass
    T* gradient;      // (N) the output; until then a second place to keep things
    Index N, own;     // columns, and which is the positive
    T positive;
    const T* chain;  // (N) derivatives of the scores by what ELU was applied to; or null

    void finish(double d_positive) const {
        gradient[own] = static_cast<T>(d_positive);
        if (!chain) return;
#pragma omp simd
        for (Index j = 0; j < N; ++j) gradient[j] *= chain[j];
    }

    double nothing() const {  // the row has no negatives
        std::fill(gradient, gradient + N, T(0));
        return 0.0;
    }
};

// The scores r of a row x, with ELU also its derivative.
template <class T> void load_row(T* r, T* chain, const T* x, Index N, const Sampled<T>& how) {
    if (how.log_q) {
#pragma omp simd
        for (Index j = 0; j < N; ++j) r[j] = x[j] - how.log_q[j];
    } else if (how.elu > 0.0) {
        const T slope = static_cast<T>(how.elu);
#pragma omp simd
        for (Index j = 0; j < N; ++j) {
            const bool above = x[j] > T(0);
            const auto e = math::exp_pair(above ? T(0) : x[j]);
            const T below = x[j] < kLowest<T> ? x[j] : slope * e.expm1;  // what is not there stays at -inf
            r[j] = above ? x[j] : below;
            chain[j] = above ? T(1) : slope * e.exp;
        }
    } else {
        std::copy_n(x, N, r);
    }
}

// Each loss of a row returns its value and writes the row's gradient, both times `scale`.

// Of scores r (N), the positive among them, which may be where the gradient goes.
template <class T> double cross_entropy_row(T* g, const T* r, Index N, Index own, double scale) {
    const T m = row_max(r, N), score = r[own];
    const T sum = row_exp(g, r, N, m), e = g[own];
    T others = sum - e;
    if (e > others) others = row_sum(g, own) + row_sum(g + own + 1, N - own - 1);  // exact where they are small
    const CrossEntropy loss(m, others, score);
    const T factor = static_cast<T>(scale * loss.factor);
#pragma omp simd
    for (Index j = 0; j < N; ++j) g[j] *= factor;
    g[own] = static_cast<T>(-scale * loss.others);
    return scale * loss.loss;
}

// What label smoothing adds: the target keeps 1 - smoothing, the rest is shared by the negatives that are there.
template <class T> double smooth_labels(T* g, const T* r, Index N, Index own, double scale, double smoothing) {
    const auto present = [=](Index j) { return !(r[j] < kLowest<T>) && j != own; };
    double total = 0.0;
    Index count = 0;
    for (Index j = 0; j < N; ++j) {
        if (!present(j)) continue;
        total += r[j];
        ++count;
    }
    if (count == 0) return 0.0;
    const double share = smoothing / static_cast<double>(count);
    const T each = static_cast<T>(scale * share);
    for (Index j = 0; j < N; ++j)
        if (present(j)) g[j] -= each;
    g[own] += static_cast<T>(scale * smoothing);
    return scale * (smoothing * r[own] - share * total);
}

template <class T> double bpr_row(const Row<T>& row, double scale) {
    const T *r = row.score, t = row.positive, factor = static_cast<T>(scale);
    T *g = row.gradient, loss = 0, pull = 0;
#pragma omp simd reduction(+ : loss, pull)
    for (Index j = 0; j < row.N; ++j) {
        const T d = r[j] - t, e = math::exp_flushed(-std::fabs(d));
        loss += math::log1p_unit(e) + (d > T(0) ? d : T(0));
        const T q = (d < T(0) ? e : T(1)) / (T(1) + e);
        pull += q;
        g[j] = q * factor;
    }
    row.finish(-scale * pull);
    return scale * loss;
}

template <class T> double top1_row(const Row<T>& row, double scale) {
    const T *r = row.score, t = row.positive, factor = static_cast<T>(scale);
    T *g = row.gradient, loss = 0, pull = 0;
#pragma omp simd reduction(+ : loss, pull)
    for (Index j = 0; j < row.N; ++j) {
        const T d = r[j] - t, e = math::exp_flushed(-std::fabs(d)), f = math::exp_flushed(-r[j] * r[j]);
        const T both = T(1) / ((T(1) + e) * (T(1) + f));  // one division for two sigmoids
        const T s = both * (T(1) + f), v = both * (T(1) + e);
        const bool absent = r[j] < kLowest<T>;
        loss += (d < T(0) ? e : T(1)) * s + (absent ? T(0) : v);
        const T slope = e * s * s;
        pull += slope;
        g[j] = factor * (slope + (absent ? T(0) : T(2) * r[j] * f * v * v));
    }
    row.finish(-scale * pull);
    return scale * loss;
}

// The gradient has differences of the terms from their mean. Where sigmoid(r_j - positive) is near 1 for the negatives
// that count, so is its mean, and they are taken between the complements.
template <class T> double top1_max_row(const Row<T>& row, double scale) {
    const T *r = row.score, m = row_max(r, row.N), shift = m < kLowest<T> ? kLowest<T> : m;
    // Past 80 a score that is near the positive has a softmax weight of exp(-80), and none of the sums feels it.
    const T gap = m - row.positive, k = math::exp(gap > T(80) ? T(80) : gap);
    const bool far = gap > T(0);
    const T by_c = far ? T(0) : T(1), by_p = far ? T(-1) : T(0);
    T *e = row.kept, *g = row.gradient;
    T sum = 0, mean = 0, pull = 0;
#pragma omp simd reduction(+ : sum, mean, pull)
    for (Index j = 0; j < row.N; ++j) {
        const T a = math::exp_flushed(r[j] - shift), f = math::exp_flushed(-r[j] * r[j]);
        const T ratio = k * a;  // exp(r_j - positive)
        const T both = T(1) / ((T(1) + ratio) * (T(1) + f));
        const T p = both * (T(1) + f), v = both * (T(1) + ratio);
        const T c = ratio * p, w = f * v;  // sigmoid(r_j - positive) = 1 - p, 1 - sigmoid(r_j^2)
        const T slope = c * p, term = by_c * c + by_p * p - w;
        e[j] = a;
        g[j] = slope + (r[j] < kLowest<T> ? T(0) : T(2) * r[j] * w * v) + term;
        sum += a;
        mean += a * term;
        pull += a * slope;
    }
    if (sum == T(0)) return row.nothing();
    const T center = mean / sum, factor = static_cast<T>(scale / sum);
#pragma omp simd
    for (Index j = 0; j < row.N; ++j) g[j] = e[j] * (g[j] - center) * factor;
    row.finish(-scale * pull / sum);
    return scale * ((far ? 2.0 : 1.0) + static_cast<double>(mean) / sum);
}

// With s the softmax over the negatives, p_j = sigmoid(positive - r_j), c_j = 1 - p_j and Q = sum_j s_j p_j, the
// gradient of -log Q at r_j is s_j (Q - p_j^2) / Q, and at the positive -sum_j s_j p_j c_j / Q. One exponential serves
// s and p, as exp(r_j - positive) = k exp(r_j - m) with m the largest r. Near 1 Q and p are known by their complements:
// Q - p_j = c_j - sum_j s_j c_j, so that differences of small numbers stay exact.
template <class T> double bpr_max_row(const Row<T>& row, double scale, double reg) {
    const T *r = row.score, t = row.positive, m = row_max(r, row.N), shift = m < kLowest<T> ? kLowest<T> : m;
    const T gap = m - t, lambda = static_cast<T>(scale * reg);
    T *e = row.kept, *g = row.gradient;
    T sum = 0, right = 0, wrong = 0, pull = 0, squares = 0;
    const auto finite = [](T score) { return score < kLowest<T> ? T(0) : score; };
    if (gap <= T(60)) {
        const T k = math::exp(gap);
#pragma omp simd reduction(+ : sum, right, wrong, pull, squares)
        for (Index j = 0; j < row.N; ++j) {
            const T a = math::exp_flushed(r[j] - shift), ratio = k * a, score = finite(r[j]);
            const T p_j = T(1) / (T(1) + ratio), c_j = ratio * p_j, ap = a * p_j;
            e[j] = a;
            g[j] = p_j;
            sum += a;
            right += ap;
            wrong += a * c_j;
            pull += ap * c_j;
            squares += a * score * score;
        }
        if (sum == T(0)) return row.nothing();
        const double Q = static_cast<double>(right) / sum, C = static_cast<double>(wrong) / sum;
        const bool near = C < 0.5;
        const T by_c = near ? T(1) : T(0), by_p = near ? T(0) : T(-1), offset = static_cast<T>(near ? -C : Q);
        const T factor = static_cast<T>(scale / Q / sum), weight = lambda / sum, center = squares / sum;
#pragma omp simd
        for (Index j = 0; j < row.N; ++j) {
            const T p_j = g[j], c_j = k * e[j] * p_j, spread = p_j * c_j + (by_c * c_j + (by_p * p_j + offset));
            const T score = finite(r[j]);
            g[j] = e[j] * (factor * spread + weight * ((T(2) + score) * score - center));
        }
        row.finish(-scale * pull / right);
        return scale * ((near ? -std::log1p(-C) : -std::log(Q)) + reg * center);
    }
    // The positive lies far below: exp(r_j - m) vanishes for scores near it, which count in Q all the same, as Q is
    // exp(-gap) sum_j c_j.
#pragma omp simd reduction(+ : sum, wrong, pull, squares)
    for (Index j = 0; j < row.N; ++j) {
        const T a = math::exp_flushed(r[j] - shift), d = r[j] - t, f = math::exp_flushed(-std::fabs(d));
        const T high = T(1) / (T(1) + f), low = f * high, c_j = d < T(0) ? low : high, score = finite(r[j]);
        e[j] = a;
        g[j] = high * low;
        sum += a;
        wrong += c_j;
        pull += c_j * c_j;
        squares += a * score * score;
    }
    if (sum == T(0)) return row.nothing();
    const T factor = static_cast<T>(scale / wrong), own = static_cast<T>(scale / sum);
    const T weight = lambda / sum, center = squares / sum;
#pragma omp simd
    for (Index j = 0; j < row.N; ++j) {
        const T score = finite(r[j]);
        g[j] = e[j] * (own + weight * ((T(2) + score) * score - center)) - factor * g[j];
    }
    row.finish(-scale * pull / wrong);
    return scale * (static_cast<double>(gap) - std::log(static_cast<double>(wrong) / sum) + reg * center);
}

// reg sum_j r_j^2 beside it, unweighted. Its gradient goes through the ELU as well.
template <class T> double plain_squares(const Row<T>& row, double scale, double reg) {
    const T *r = row.score, slope = static_cast<T>(2.0 * scale * reg);
    T *g = row.gradient, squares = 0;
#pragma omp simd reduction(+ : squares)
    for (Index j = 0; j < row.N; ++j) {
        const T score = r[j] < kLowest<T> ? T(0) : r[j];
        squares += score * score;
        g[j] += slope * score * (row.chain ? row.chain[j] : T(1));
    }
    return scale * reg * squares;
}

template <class T> double loss_row(const Row<T>& row, double scale, const Sampled<T>& how) {
    switch (how.loss) {
        case SampledLoss::bpr:
            return bpr_row(row, scale);
        case SampledLoss::top1:
            return top1_row(row, scale);
        case SampledLoss::top1_max:
            return top1_max_row(row, scale);
        default:
            return bpr_max_row(row, scale, how.plain_reg ? 0.0 : how.reg) +
                   (how.plain_reg ? plain_squares(row, scale, how.reg) : 0.0);
    }
}

}  // namespace

template <class T>
void sampled_loss(const Exec& ex, double* losses, T* d_scores, const T* scores, Index M, Index N,
                  const Sampled<T>& how) {
    const bool mean = (how.loss == SampledLoss::bpr || how.loss == SampledLoss::top1) && !how.sum;
    const double scale = 1.0 / how.divisor / (mean ? static_cast<double>(N - 1) : 1.0);
    const bool entropy = how.loss == SampledLoss::cross_entropy;
    const bool as_it_is = entropy && !how.log_q && !how.item_ids && how.smoothing == 0.0;
    std::optional<Collisions> columns;
    if (how.item_ids && M > 0) columns.emplace(how.item_ids, N);
    const Index grain = std::clamp<Index>(32768 / std::max<Index>(N, 1), 1, 64);
    parallel_ranges(ex, M, grain, [&](Index begin, Index end) {
        Scratch<T> r(N), kept(N), chain(how.elu > 0.0 ? N : 0);
        for (Index i = begin; i < end; ++i) {
            T* const g = d_scores + i * N;
            if (as_it_is) {
                losses[i] = cross_entropy_row(g, scores + i * N, N, i, scale);
                continue;
            }
            load_row(r.data(), chain.data(), scores + i * N, N, how);
            const T positive = r[i];
            if (columns) columns->for_each(i, [&](Index j) { r[j] = kAbsent<T>; });
            if (entropy) {
                r[i] = positive;
                losses[i] = cross_entropy_row(g, r.data(), N, i, scale);
                if (how.smoothing > 0.0) losses[i] += smooth_labels(g, r.data(), N, i, scale, how.smoothing);
            } else {
                r[i] = kAbsent<T>;
                const Row<T> row{r.data(), kept.data(), g, N, i, positive, how.elu > 0.0 ? chain.data() : nullptr};
                losses[i] = loss_row(row, scale, how);
            }
        }
    });
}

#define INSTANTIATE(T) template void sampled_loss(const Exec&, double*, T*, const T*, Index, Index, const Sampled<T>&);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
