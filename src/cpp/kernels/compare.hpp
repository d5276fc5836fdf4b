// Comparisons of 64 numbers at a time with bars. CPU only.
#pragma once
#include <bit>
#include <type_traits>

#include "simd.hpp"

namespace pyrec::cpu {

inline constexpr Index kStep = 64;  // numbers compared at a time

// Bit l is set where x[l] is not <= bar: above it, or unordered because either is NaN.
template <class T> inline std::uint64_t bits_not_below(const T* x, T bar) {
    std::uint64_t bits = 0;
    for (Index l = 0; l < kStep; l += kLanes<T>)
        bits |= static_cast<std::uint64_t>(lanes_not_below<T>(load(x + l), bar)) << l;
    return bits;
}

#if defined(__AVX512F__)

// Bit l is set where x[l] >= bar.
inline std::uint64_t bits_reached(const float* x, __m512 bar) {
    const auto bits = [=](int v) { return _mm512_cmp_ps_mask(_mm512_loadu_ps(x + 16 * v), bar, _CMP_GE_OQ); };
    return _mm512_kunpackd(_mm512_kunpackw(bits(3), bits(2)), _mm512_kunpackw(bits(1), bits(0)));
}
inline std::uint64_t bits_reached(const double* x, __m512d bar) {
    const auto bits = [=](int v) { return _mm512_cmp_pd_mask(_mm512_loadu_pd(x + 8 * v), bar, _CMP_GE_OQ); };
    const auto pair = [=](int v) { return _mm512_kunpackb(bits(2 * v + 1), bits(2 * v)); };
    return _mm512_kunpackd(_mm512_kunpackw(pair(3), pair(2)), _mm512_kunpackw(pair(1), pair(0)));
}
inline __m512 in_all_lanes(float x) { return _mm512_set1_ps(x); }
inline __m512d in_all_lanes(double x) { return _mm512_set1_pd(x); }

// n[b]: how many of x are >= bars[b]. NaN reaches no bar, and nothing reaches NaN.
template <int N, class T> inline void count_reached(Id (&n)[N], const T* x, const T (&bars)[N]) {
    for (int b = 0; b < N; ++b) n[b] = std::popcount(bits_reached(x, in_all_lanes(bars[b])));
}

#else

// The sum of n = 2^m integers, half added to half.
template <int n, class Int> inline Int sum_of(const Int* x) {
    if constexpr (n == 1) {
        return x[0];
    } else {
        typedef Int Half __attribute__((vector_size(n / 2 * sizeof(Int))));
        Half a, b;
        std::memcpy(&a, x, sizeof a);
        std::memcpy(&b, x + n / 2, sizeof b);
        a += b;
        Int sums[n / 2];
        std::memcpy(sums, &a, sizeof a);
        return sum_of<n / 2>(sums);
    }
}

// n[b]: how many of x are >= bars[b]. NaN reaches no bar, and nothing reaches NaN.
template <int N, class T> inline void count_reached(Id (&n)[N], const T* x, const T (&bars)[N]) {
    using Lane = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
    Vec<T> bar[N];
    decltype(Vec<T>{} >= Vec<T>{}) reached[N] = {};  // integers as wide as the lanes: -1 where a comparison holds
    for (int b = 0; b < N; ++b) bar[b] = bars[b] - Vec<T>{};
    for (Index l = 0; l < kStep; l += kLanes<T>) {
        const Vec<T> v = load(x + l);
        for (int b = 0; b < N; ++b) reached[b] += v >= bar[b];
    }
    for (int b = 0; b < N; ++b) {
        Lane lanes[kLanes<T>];
        std::memcpy(lanes, &reached[b], sizeof lanes);
        n[b] = static_cast<Id>(-sum_of<kLanes<T>>(lanes));
    }
}

#endif

}  // namespace pyrec::cpu
