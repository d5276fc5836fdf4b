// Passes over one row of scores. Sums run in the lanes of vectors, so their order depends on the length alone.
#pragma once
#include <limits>

#include "cross_entropy.hpp"
#include "math.hpp"
#include "simd.hpp"

namespace pyrec::cpu {

template <class T> inline constexpr T kLowest = std::numeric_limits<T>::lowest();
template <class T> inline constexpr T kAbsent = -std::numeric_limits<T>::infinity();  // the score of what is not there

// The largest, NaN aside; -inf of none. Four maxima that do not wait for one another.
template <class T> T row_max(const T* x, Index n) {
    constexpr Index lanes = kLanes<T>, step = 4 * lanes;
    T best = kAbsent<T>;
    Index j = 0;
    if (n >= step) {
        Vec<T> m[4];
        for (auto& v : m) v = Vec<T>{} + kAbsent<T>;
        for (; j + step <= n; j += step) {
            for (Index k = 0; k < 4; ++k) {
                const Vec<T> v = load(x + j + k * lanes);
                m[k] = v > m[k] ? v : m[k];
            }
        }
        for (Index k = 1; k < 4; ++k) m[0] = m[k] > m[0] ? m[k] : m[0];
        for (Index l = 0; l < lanes; ++l) best = m[0][l] > best ? m[0][l] : best;
    }
    for (; j < n; ++j) best = x[j] > best ? x[j] : best;
    return best;
}

// e = exp(x - shift) for shift >= every x; returns the sum. A row without anything has shift -inf and sum 0.
template <class T> T row_exp(T* e, const T* x, Index n, T shift) {
    const T finite = shift < kLowest<T> ? kLowest<T> : shift;
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (Index j = 0; j < n; ++j) {
        e[j] = math::exp_flushed(x[j] - finite);
        sum += e[j];
    }
    return sum;
}

template <class T> T row_sum(const T* x, Index n) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (Index j = 0; j < n; ++j) sum += x[j];
    return sum;
}

}  // namespace pyrec::cpu
