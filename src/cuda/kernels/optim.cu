#include "optim.hpp"

#include "reduce.cuh"
#include "rules.hpp"
#include "scratch.cuh"

namespace pyrec::cuda {
namespace {

template <Rule rule, class T>
__device__ void step_one(T* w, const States<T>& s, Index i, T g, const Numbers<T>& numbers) {
    if (rule != Rule::ftrl && s.velocity)
        step_element<rule, rule != Rule::ftrl>(w, s.s0, s.s1, s.velocity, i, g, numbers);
    else
        step_element<rule, false>(w, s.s0, s.s1, s.velocity, i, g, numbers);
}

// All threads go the same way.
template <class T>
__device__ void step_by(Rule rule, T* w, const States<T>& s, Index i, T g, const Numbers<T>& numbers) {
    switch (rule) {
        case Rule::sgd:
            return step_one<Rule::sgd>(w, s, i, g, numbers);
        case Rule::adagrad:
            return step_one<Rule::adagrad>(w, s, i, g, numbers);
        case Rule::rmsprop:
            return step_one<Rule::rmsprop>(w, s, i, g, numbers);
        case Rule::adadelta:
            return step_one<Rule::adadelta>(w, s, i, g, numbers);
        case Rule::adam:
            return step_one<Rule::adam>(w, s, i, g, numbers);
        case Rule::ftrl:
            return step_one<Rule::ftrl>(w, s, i, g, numbers);
    }
}

template <class T>
__global__ void step_all(T* w, States<T> states, const T* g, Index n, Rule rule, Numbers<T> numbers) {
    grid_stride(n, [=](Index i) { step_by(rule, w, states, i, g[i], numbers); });
}

// By how much the moments of each row fade for the steps that it missed.
template <class T> __global__ void fade(T* fades, Index* touched, Groups groups, double beta1, double beta2, Index t) {
    grid_stride(groups.count, [=](Index g) {
        const Id row = groups.unique[g];
        const double missed = static_cast<double>(t - 1 - touched[row]);
        fades[2 * g] = static_cast<T>(std::pow(beta1, missed));
        fades[2 * g + 1] = static_cast<T>(std::pow(beta2, missed));
        touched[row] = t;
    });
}

// Sink: the step of element c of the row of group g, whose gradient the sum is.
template <class T> struct StepRow {
    T* w;
    States<T> states;
    const T* fades;  // null: none
    const Id* unique;
    Index d;
    Rule rule;
    Numbers<T> numbers;
    __device__ void operator()(Index g, Index c, T sum) const {
        const Index i = unique[g] * d + c;
        if (fades) states.s0[i] *= fades[2 * g], states.s1[i] *= fades[2 * g + 1];
        step_by(rule, w, states, i, sum, numbers);
    }
};

template <class T> __global__ void square_parts(double* parts, const T* g, Index n) {
    PYREC_SHARED(double, shared);
    double sum = 0;
    grid_stride(n, [&](Index i) { sum += static_cast<double>(g[i]) * static_cast<double>(g[i]); });
    sum = block_reduce(sum, Sum{}, shared);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

__global__ void sum_parts(double* total, const double* parts, Index n) {  // of one block
    PYREC_SHARED(double, shared);
    double sum = 0;
    for_elements(n, [&](Index i) { sum += parts[i]; });
    sum = block_reduce(sum, Sum{}, shared);
    if (threadIdx.x == 0) *total = sum;
}

}  // namespace

template <class T>
void dense_step(const Exec& ex, T* w, const States<T>& states, const T* g, Index n, const Step& step) {
    launch(step_all<T>, grid_for(n), kBlock, 0, ex.stream, w, states, g, n, step.rule, Numbers<T>(step));
}

template <class T>
void row_step(const Exec& ex, T* w, const States<T>& states, Index* touched, const Groups& groups, const T* g, Index d,
              const Step& step) {
    Scratch<T> fades(ex, touched ? 2 * groups.count : 0);
    if (touched)
        launch(fade<T>, grid_for(groups.count), kBlock, 0, ex.stream, fades.data(), touched, groups, step.beta1,
               step.beta2, step.t);
    const StepRow<T> sink{w, states, fades.data(), groups.unique, d, step.rule, Numbers<T>(step)};
    sum_groups<T>(ex, groups, d, RowTerm<T>{g, nullptr, d}, sink);
}

template <class T> void coalesce(const Exec& ex, T* sums, const Groups& groups, const T* g, Index d) {
    sum_groups<T>(ex, groups, d, RowTerm<T>{g, nullptr, d}, StoreSum<T>{sums, d});
}

template <class T> void sum_of_squares(const Exec& ex, double* total, const T* g, Index n) {
    constexpr Index most = 1024, each = 8;  // parts; elements of a thread before there is another part
    const Index wanted = (n + each * kBlock - 1) / (each * kBlock), parts = wanted < most ? wanted : most;
    constexpr std::size_t shared = kWarpsOfBlock * sizeof(double);
    Scratch<double> sums(ex, parts);
    launch(square_parts<T>, parts, kBlock, shared, ex.stream, sums.data(), g, n);
    launch(sum_parts, 1, kBlock, shared, ex.stream, total, sums.data(), parts);
}

#define INSTANTIATE(T)                                                                                              \
    template void dense_step(const Exec&, T*, const States<T>&, const T*, Index, const Step&);                      \
    template void row_step(const Exec&, T*, const States<T>&, Index*, const Groups&, const T*, Index, const Step&); \
    template void coalesce(const Exec&, T*, const Groups&, const T*, Index);                                        \
    template void sum_of_squares(const Exec&, double*, const T*, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cuda
