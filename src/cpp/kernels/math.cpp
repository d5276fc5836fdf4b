#include "math.hpp"

namespace pyrec::cpu {
namespace {

template <class T, class F> void each(const Exec& ex, T* out, const T* x, Index n, F f) {
    parallel_ranges(ex, n, 16384, [=](Index begin, Index end) {
#pragma omp simd
        for (Index i = begin; i < end; ++i) out[i] = f(x[i]);
    });
}

}  // namespace

template <class T> bool math_map(const Exec& ex, T* out, const T* x, Index n, std::string_view function) {
    const auto map = [=, &ex](auto f) {
        each(ex, out, x, n, f);
        return true;
    };
    if (function == "exp") return map([](T v) { return math::exp(v); });
    if (function == "exp_flushed") return map([](T v) { return math::exp_flushed(v); });
    if (function == "expm1_nonpositive") return map([](T v) { return math::expm1_nonpositive(v); });
    if (function == "log") return map([](T v) { return math::log(v); });
    if (function == "log1p") return map([](T v) { return math::log1p(v); });
    if (function == "log1p_unit") return map([](T v) { return math::log1p_unit(v); });
    if (function == "sigmoid") return map([](T v) { return math::sigmoid(v); });
    if (function == "softplus") return map([](T v) { return math::softplus(v); });
    if (function == "tanh") return map([](T v) { return math::tanh(v); });
    return false;
}

#define INSTANTIATE(T) template bool math_map(const Exec&, T*, const T*, Index, std::string_view);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
