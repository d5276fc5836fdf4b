#include "optim.hpp"

#include <array>
#include <cmath>

#include "groups.hpp"

namespace pyrec::cpu {
namespace {

// The numbers of a step in the type of the weights, with what depends on t worked out.
template <class T> struct Numbers {
    T lr, momentum, eps, beta1, beta2, rest1, rest2, l1, l2, keep, correction1, correction2;
    bool nesterov, eps_inside;
    explicit Numbers(const Step& s)
        : lr(T(s.lr)),
          momentum(T(s.momentum)),
          eps(T(s.eps)),
          beta1(T(s.beta1)),
          beta2(T(s.beta2)),
          rest1(T(1 - s.beta1)),
          rest2(T(1 - s.beta2)),
          l1(T(s.l1)),
          l2(T(s.l2)),
          keep(T(1 - s.lr * s.decay)),
          correction1(T(1 / (1 - std::pow(s.beta1, static_cast<double>(s.t))))),
          correction2(T(1 / (1 - std::pow(s.beta2, static_cast<double>(s.t))))),
          nesterov(s.nesterov),
          eps_inside(s.eps_inside) {}
};

// Steps `count` elements. The rule and the momentum are constants here, so that each loop is one vector loop.
template <Rule rule, bool has_velocity, class T>
void step_loop(T* __restrict w, T* __restrict s0, T* __restrict s1, T* __restrict velocity, const T* __restrict g,
               Index count, const Numbers<T> a) {
    for (Index i = 0; i < count; ++i) {
        const T before = w[i];
        if constexpr (rule == Rule::ftrl) {
            const T n = s1[i] + g[i] * g[i];
            const T z = s0[i] + (g[i] - (std::sqrt(n) - std::sqrt(s1[i])) / a.lr * before);
            s0[i] = z, s1[i] = n;
            const T shrunk = z - std::copysign(a.l1, z);
            w[i] = std::fabs(z) <= a.l1 ? T(0) : -shrunk / ((a.beta1 + std::sqrt(n)) / a.lr + a.l2);
        } else {
            const T d = g[i] + a.l2 * before;
            T u;
            if constexpr (rule == Rule::sgd) {
                u = -a.lr * d;
            } else if constexpr (rule == Rule::adagrad) {
                s0[i] += d * d;
                u = -a.lr * d / std::sqrt(s0[i] + a.eps);
            } else if constexpr (rule == Rule::rmsprop) {
                s0[i] = a.beta1 * s0[i] + a.rest1 * d * d;
                u = -a.lr * d / std::sqrt(s0[i] + a.eps);
            } else if constexpr (rule == Rule::adadelta) {
                s0[i] = a.beta1 * s0[i] + a.rest1 * d * d;
                const T move = std::sqrt(s1[i] + a.eps) / std::sqrt(s0[i] + a.eps) * d;
                s1[i] = a.beta1 * s1[i] + a.rest1 * move * move;
                u = -a.lr * move;
            } else {
                s0[i] = a.beta1 * s0[i] + a.rest1 * d;
                s1[i] = a.beta2 * s1[i] + a.rest2 * d * d;
                const T v = s1[i] * a.correction2;
                const T root = a.eps_inside ? std::sqrt(v + a.eps) : std::sqrt(v) + a.eps;
                u = -a.lr * (s0[i] * a.correction1) / root;
            }
            if constexpr (has_velocity) {
                velocity[i] = a.momentum * velocity[i] + u;
                u = a.nesterov ? a.momentum * velocity[i] + u : velocity[i];
            }
            w[i] = a.keep * before + u;
        }
    }
}

template <class T> using Loop = void (*)(T*, T*, T*, T*, const T*, Index, Numbers<T>);

template <class T, bool has_velocity> Loop<T> loop_of(Rule rule) {
    switch (rule) {
        case Rule::sgd:
            return step_loop<Rule::sgd, has_velocity, T>;
        case Rule::adagrad:
            return step_loop<Rule::adagrad, has_velocity, T>;
        case Rule::rmsprop:
            return step_loop<Rule::rmsprop, has_velocity, T>;
        case Rule::adadelta:
            return step_loop<Rule::adadelta, has_velocity, T>;
        case Rule::adam:
            return step_loop<Rule::adam, has_velocity, T>;
        case Rule::ftrl:
            break;
    }
    return step_loop<Rule::ftrl, false, T>;
}

template <class T> Loop<T> loop_of(const Step& step, const States<T>& states) {
    return states.velocity ? loop_of<T, true>(step.rule) : loop_of<T, false>(step.rule);
}

template <class T> T* moved(T* p, Index by) { return p ? p + by : nullptr; }

constexpr Index kAhead = 8;  // rows

template <class T> void fetch(const T* w, const States<T>& states, Index at, Index d) {
    fetch_row<true>(w + at, d);
    for (const T* state : {states.s0, states.s1, states.velocity})
        if (state) fetch_row<true>(state + at, d);
}

}  // namespace

template <class T>
void dense_step(const Exec& ex, T* w, const States<T>& states, const T* g, Index n, const Step& step) {
    const Loop<T> loop = loop_of(step, states);
    const Numbers<T> numbers(step);
    parallel_ranges(ex, n, 16384, [&](Index begin, Index end) {
        loop(w + begin, moved(states.s0, begin), moved(states.s1, begin), moved(states.velocity, begin), g + begin,
             end - begin, numbers);
    });
}

template <class T>
void row_step(const Exec& ex, T* w, const States<T>& states, Index* touched, const Id* ids, const T* g, Index n,
              Index d, const Step& step) {
    const Loop<T> loop = loop_of(step, states);
    const Numbers<T> numbers(step);
    Groups groups(ex, ids, n);
    parallel_ranges(ex, groups.count(), groups_at_once(d), [&](Index begin, Index end) {
        Scratch<T> scratch(d);
        for (Index s = begin; s < end; ++s) {
            // Rows lie anywhere in the table, and their gradients anywhere in the batch: fetched before their turn.
            if (s + kAhead < end) {
                fetch(w, states, groups.id(s + kAhead) * d, d);
                fetch_row(g + groups.position(groups.begin(s + kAhead)) * d, d);
            }
            const Index row = groups.id(s), at = row * d;
            const T* const sum = groups.sum(scratch.data(), s, g, d);
            if (touched) {
                const double missed = static_cast<double>(step.t - 1 - touched[row]);
                const T fade0 = T(std::pow(step.beta1, missed)), fade1 = T(std::pow(step.beta2, missed));
                for (Index c = 0; c < d; ++c) states.s0[at + c] *= fade0, states.s1[at + c] *= fade1;
                touched[row] = step.t;
            }
            loop(w + at, moved(states.s0, at), moved(states.s1, at), moved(states.velocity, at), sum, d, numbers);
        }
    });
}

template <class T> Index coalesce(const Exec& ex, Id* unique, T* sums, const Id* ids, const T* g, Index n, Index d) {
    Groups groups(ex, ids, n);
    parallel_for(ex, groups.count(), groups_at_once(d), [&](Index s) {
        unique[s] = groups.id(s);
        const T* const sum = groups.sum(sums + s * d, s, g, d);
        if (sum != sums + s * d) std::copy_n(sum, d, sums + s * d);
    });
    return groups.count();
}

template <class T> double sum_of_squares(const Exec& ex, const T* g, Index n) {
    constexpr Index grain = 8192, lanes = 16;
    const Index chunks = ceil_div(n, grain);
    Scratch<double> sums(chunks);
    parallel_ranges(ex, n, grain, [&](Index begin, Index end) {
        std::array<double, lanes> lane{};
        Index i = begin;
        for (; i + lanes <= end; i += lanes)
            for (Index l = 0; l < lanes; ++l) lane[l] += static_cast<double>(g[i + l]) * static_cast<double>(g[i + l]);
        for (; i < end; ++i) lane[0] += static_cast<double>(g[i]) * static_cast<double>(g[i]);
        double sum = 0;
        for (const double x : lane) sum += x;
        sums[begin / grain] = sum;
    });
    double sum = 0;
    for (Index c = 0; c < chunks; ++c) sum += sums[c];
    return sum;
}

#define INSTANTIATE(T)                                                                                                 \
    template void dense_step(const Exec&, T*, const States<T>&, const T*, Index, const Step&);                         \
    template void row_step(const Exec&, T*, const States<T>&, Index*, const Id*, const T*, Index, Index, const Step&); \
    template Index coalesce(const Exec&, Id*, T*, const Id*, const T*, Index, Index);                                  \
    template double sum_of_squares(const Exec&, const T*, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
