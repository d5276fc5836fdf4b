#include "optim.hpp"

#include <array>

#include "groups.hpp"
#include "rules.hpp"

namespace pyrec::cpu {
namespace {

template <Rule rule, bool has_velocity, class T>
void step_loop(T* __restrict w, T* __restrict s0, T* __restrict s1, T* __restrict velocity, const T* __restrict g,
               Index count, const Numbers<T> a) {
    for (Index i = 0; i < count; ++i) step_element<rule, has_velocity>(w, s0, s1, velocity, i, g[i], a);
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
