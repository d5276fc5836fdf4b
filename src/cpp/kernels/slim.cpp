#include "slim.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "best.hpp"

namespace pyrec::cpu {
namespace {

// Coordinates of a subproblem beyond which its matrix is no longer copied: the rows of the Gram matrix serve then.
constexpr Index kLargestCopy = 1024;
constexpr Index kFewestItems = 32;  // that a working set grows by
// Items that occur together overshoot in turn. Moving a weight only so far towards its best saves a third of the sweeps
// on all data that were tried (real ones too); it cannot make the objective rise.
constexpr double kRelaxation = 0.7;

template <class T> constexpr T kInfinity = std::numeric_limits<T>::infinity();

// The penalties as they act on one weight w, where q = g - G w is the residual without them.
template <class T> struct Penalty {
    T l1, l2;
    T below;  // l1 again, or infinity where a weight must not become negative

    // By how much the optimality conditions of w fail; negative for a zero that is far from failing.
    T violation(T q, T w) const {
        const T slope = q - l2 * w;
        if (w > 0) return std::abs(slope - l1);
        if (w < 0) return std::abs(slope + l1);
        return violation_of_zero(q);
    }
    T violation_of_zero(T q) const { return std::max(q - l1, -q - below); }

    // The best w when all others stay, given its residual without its own share and 1 / (G_ii + l2).
    T best(T rho, T inverse) const { return (std::max(rho - l1, T(0)) + std::min(rho + below, T(0))) * inverse; }
};

// Some coordinates of a column: matrix (n, n) with rows `stride` apart, stride >= n.
template <class T> struct Subproblem {
    Index n, stride;
    const T* matrix;
    T *q, *w;                     // residual (stride) and weights (n)
    const T *diagonal, *inverse;  // (n) of the matrix, and 1 / (diagonal + l2)
    Index fixed;                  // a coordinate whose weight stays zero, or -1
};

// Minimises over each of the m listed weights in turn. list[m] repeats list[0]. Returns the largest violation met.
template <class T> T sweep(const Subproblem<T>& s, const Penalty<T>& penalty, const Index* __restrict list, Index m) {
    T* __restrict q = s.q;
    T worst = 0, ahead = q[list[0]];
    for (Index t = 0; t < m; ++t) {
        const Index k = list[t], next = list[t + 1];
        const T old = s.w[k], best = penalty.best(ahead + s.diagonal[k] * old, s.inverse[k]);
        const T fresh = best == T(0) ? best : old + T(kRelaxation) * (best - old), step = fresh - old;
        ahead = q[next];
        if (step == T(0)) continue;
        const T* __restrict row = s.matrix + k * s.stride;
        ahead -= step * row[next];  // so that the next weight does not wait for the whole row
        s.w[k] = fresh;
        worst = std::max(worst, std::abs(best - old) * (s.diagonal[k] + penalty.l2));
        for (Index x = 0; x < s.stride; ++x) q[x] -= step * row[x];
    }
    return worst;
}

// Sweeps over the weights that are not zero or should not be, until no condition fails by more than `target`. Returns
// the number of sweeps, at most `budget`. list (n + 1) is scratch.
template <class T>
Index descend(const Subproblem<T>& s, const Penalty<T>& penalty, T target, Index budget, Index* list) {
    Index sweeps = 0;
    while (sweeps < budget) {
        Index m = 0;
        T worst = 0;
        for (Index k = 0; k < s.n; ++k) {
            if (k == s.fixed) continue;
            const T violation = penalty.violation(s.q[k], s.w[k]);
            worst = std::max(worst, violation);
            if (s.w[k] != T(0) || violation > target) list[m++] = k;
        }
        if (worst <= target) break;
        list[m] = list[0];
        do {
            ++sweeps;
        } while (sweep(s, penalty, list, m) > target / 2 && sweeps < budget);
    }
    return sweeps;
}

// One column by working sets: coordinate descent on a few items, one pass over the Gram matrix that finds which of the
// others fail their conditions, and again with these. Most of a column is zero, so little is ever touched.
template <class T> class Column {
  public:
    // Column j; the items [begin, end) may have a weight, or all if begin is null.
    Column(const T* gram, Index I, const Penalty<T>& penalty, Index j, const Id* begin, const Id* end)
        : gram_(gram),
          I_(I),
          penalty_(penalty),
          j_(j),
          begin_(begin),
          end_(end),
          largest_(begin ? end - begin : std::min(I, kLargestCopy)),
          residual_(I),
          outside_(I),
          q_(I + kPad),
          w_(I),
          diagonal_(I),
          inverse_(I),
          matrix_(largest_ * padded(largest_)),
          list_(I + 1),
          items_(I),
          found_(largest_),
          values_(largest_),
          buffer_(Best<T>::capacity(largest_)) {}

    void solve(const SlimProblem& problem) {
        const T* g = gram_ + j_ * I_;
        T scale = 0;
        for (Index i = 0; i < I_; ++i) scale = i == j_ ? scale : std::max(scale, std::abs(g[i]));
        const T allowed = static_cast<T>(problem.tolerance) * scale;
        std::copy_n(g, I_, residual_.data());
        for (;;) {
            const T worst = violation();
            violation_ = scale > 0 ? worst / scale : worst;
            if (worst <= allowed || sweeps_ >= problem.max_sweeps) return;
            grow(allowed);
            const Subproblem<T> s{
                .n = n_,
                .stride = stride_,
                .matrix = whole_ ? gram_ : matrix_.data(),
                .q = q_.data(),
                .w = w_.data(),
                .diagonal = diagonal_.data(),
                .inverse = inverse_.data(),
                .fixed = whole_ ? j_ : -1,
            };
            sweeps_ += descend(s, penalty_, allowed / 2, problem.max_sweeps - sweeps_, list_.data());
            subtract_weighted_rows();
        }
    }

    // Writes the weights that are not zero, by ascending item.
    void write(const SlimColumns<T>& out, Index c) {
        Index count = 0;
        for (Index k = 0; k < n_; ++k)
            if (w_[k] != T(0)) list_[count++] = k;
        std::sort(list_.data(), list_.data() + count, [&](Index a, Index b) { return items_[a] < items_[b]; });
        for (Index e = 0; e < count; ++e) {
            out.items[c * I_ + e] = items_[list_[e]];
            out.weights[c * I_ + e] = w_[list_[e]];
        }
        out.counts[c] = count;
        out.sweeps[c] = sweeps_;
        out.violations[c] = violation_;
    }

  private:
    static constexpr Index kPad = 16;
    static Index padded(Index n) { return ceil_div(n, kPad) * kPad; }

    // Takes the residual of the working set, leaves in outside_ how much the conditions of the others fail. Returns the
    // largest violation.
    T violation() {
        T worst = 0;
        for (Index k = 0; k < n_; ++k) {
            q_[k] = residual_[items_[k]];
            if (items_[k] != j_) worst = std::max(worst, penalty_.violation(q_[k], w_[k]));
        }
        if (begin_) {
            std::fill_n(outside_.data(), I_, -kInfinity<T>);
            for (const Id* i = begin_; i < end_; ++i) outside_[*i] = penalty_.violation_of_zero(residual_[*i]);
        } else {
            for (Index i = 0; i < I_; ++i) outside_[i] = penalty_.violation_of_zero(residual_[i]);
        }
        outside_[j_] = -kInfinity<T>;
        for (Index k = 0; k < n_; ++k) outside_[items_[k]] = -kInfinity<T>;
        for (Index i = 0; i < I_; ++i) worst = std::max(worst, outside_[i]);
        return worst;
    }

    // Adds the items whose conditions fail most. Without l1 no weight is zero, unless it has to be.
    void grow(T allowed) {
        if (whole_) return;
        if (penalty_.l1 == T(0) && penalty_.below == T(0) && !begin_) return take_all();
        const Index used = n_ - std::count(w_.data(), w_.data() + n_, T(0));
        const Index most = std::min(largest_, std::max(kFewestItems, used));
        Best<T> best;
        best.start(buffer_.data(), most, nullptr, nullptr);
        best.offer_all(outside_.data(), I_, 0);
        best.finish(found_.data(), values_.data());
        Index fresh = 0;
        while (fresh < most && values_[fresh] > allowed) ++fresh;
        if (n_ + fresh > largest_)
            take_all();
        else
            add(fresh);
    }

    // The first `fresh` found items. Rows stay as close together as they can: sweeps run over all of them.
    void add(Index fresh) {
        const Index from = n_, to = from + fresh, stride = padded(to);
        T* m = matrix_.data();
        for (Index k = from - 1; k > 0; --k) std::memmove(m + k * stride, m + k * stride_, sizeof(T) * from);
        for (Index k = from; k < to; ++k) {
            const Id item = found_[k - from];
            const T* row = gram_ + item * I_;
            items_[k] = item, w_[k] = 0, q_[k] = residual_[item];
            set_diagonal(k, row[item]);
            for (Index x = 0; x <= k; ++x) m[k * stride + x] = row[items_[x]];
        }
        for (Index k = 0; k < to; ++k) {
            for (Index x = std::max(k + 1, from); x < to; ++x) m[k * stride + x] = m[x * stride + k];
            std::fill(m + k * stride + to, m + (k + 1) * stride, T(0));
        }
        std::fill(&q_[to], &q_[stride], T(0));
        n_ = to, stride_ = stride;
    }

    void take_all() {
        std::fill_n(outside_.data(), I_, T(0));
        for (Index k = 0; k < n_; ++k) outside_[items_[k]] = w_[k];
        std::copy_n(outside_.data(), I_, w_.data());
        std::copy_n(residual_.data(), I_, q_.data());
        for (Index i = 0; i < I_; ++i) items_[i] = static_cast<Id>(i), set_diagonal(i, gram_[i * I_ + i]);
        n_ = stride_ = I_, whole_ = true;
    }

    void set_diagonal(Index k, T value) {
        const T curvature = value + penalty_.l2;
        diagonal_[k] = value;
        inverse_[k] = curvature > 0 ? 1 / curvature : 0;
    }

    // residual = g - sum_k w_k G_k, afresh: what rounding left in q does not add up.
    void subtract_weighted_rows() {
        constexpr Index together = 4;
        T* __restrict r = residual_.data();
        std::copy_n(gram_ + j_ * I_, I_, r);
        Index count = 0;
        for (Index k = 0; k < n_; ++k)
            if (w_[k] != T(0)) list_[count++] = k;
        for (Index at = 0; at < count; at += together) {
            const T* row[together];
            T w[together];
            for (Index t = 0; t < together; ++t) {
                const Index k = list_[std::min(at + t, count - 1)];
                row[t] = gram_ + items_[k] * I_, w[t] = at + t < count ? w_[k] : T(0);
            }
            for (Index i = 0; i < I_; ++i)
                r[i] -= (w[0] * row[0][i] + w[1] * row[1][i]) + (w[2] * row[2][i] + w[3] * row[3][i]);
        }
    }

    const T* gram_;
    const Index I_;
    const Penalty<T> penalty_;
    const Index j_;
    const Id *begin_, *end_;
    const Index largest_;                             // working set whose matrix is copied
    Scratch<T> residual_, outside_;                   // (I)
    Scratch<T> q_, w_, diagonal_, inverse_, matrix_;  // of the working set, in the order in which items came
    Scratch<Index> list_;
    Scratch<Id> items_, found_;
    Scratch<T> values_;
    Scratch<Scored<T>> buffer_;
    Index n_ = 0, stride_ = 0, sweeps_ = 0;
    bool whole_ = false;  // the working set is all items in order, and its matrix the Gram matrix itself
    T violation_ = 0;
};

}  // namespace

template <class T>
void slim_columns(const Exec& ex, const SlimColumns<T>& out, const T* gram, Index I, const SlimProblem& problem,
                  const Index* candidate_indptr, const Id* candidate_ids) {
    const T l1 = static_cast<T>(problem.l1);
    const Penalty<T> penalty{l1, static_cast<T>(problem.l2), problem.positive ? kInfinity<T> : l1};
    parallel_for(ex, out.columns, 1, [&](Index c) {
        const Id* begin = candidate_indptr ? candidate_ids + candidate_indptr[c] : nullptr;
        const Id* end = candidate_indptr ? candidate_ids + candidate_indptr[c + 1] : nullptr;
        Column<T> column(gram, I, penalty, out.first + c, begin, end);
        column.solve(problem);
        column.write(out, c);
    });
}

#define INSTANTIATE(T)                                                                                                \
    template void slim_columns(const Exec&, const SlimColumns<T>&, const T*, Index, const SlimProblem&, const Index*, \
                               const Id*);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
