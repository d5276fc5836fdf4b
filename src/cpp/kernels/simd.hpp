// Vectors of the width this module is compiled for, and a register tile of a matrix product. CPU only.
//
// Written with the compiler's vector types; plain loops that the compiler vectorises by itself do not belong here.
#pragma once
#include <cmath>
#include <cstring>

#include "common.hpp"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace pyrec::cpu {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64, kTileRows = 14;  // 28 sums, 2 loads, 1 broadcast of 32 registers
#elif defined(__AVX2__)
inline constexpr int kVectorBytes = 32, kTileRows = 6;  // 12 sums, 2 loads, 1 broadcast of 16 registers
#elif defined(__aarch64__)
inline constexpr int kVectorBytes = 16, kTileRows = 14;  // as above: NEON has 32 registers too
#else
inline constexpr int kVectorBytes = 16, kTileRows = 6;
#endif

template <class T> struct VecOf {
    typedef T type __attribute__((vector_size(kVectorBytes)));
};
template <class T> using Vec = typename VecOf<T>::type;
template <class T> inline constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));
template <class T> inline constexpr int kTileColumns = 2 * kLanes<T>;

template <class T> inline Vec<T> load(const T* p) {
    Vec<T> v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

template <class T> inline void store(T* p, const Vec<T>& v) { std::memcpy(p, &v, sizeof v); }

// a b + c as the compiler contracts it in loops over vectors. For loops that it might vectorise in another way.
template <class T> inline T multiply_add(T a, T b, T c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    return std::fma(a, b, c);
#else
    return a * b + c;
#endif
}

// Bit l is set where lane l is not <= bar: above it, or unordered because either is NaN.
template <class T> inline std::uint32_t lanes_not_below(Vec<T> v, T bar) {
    [[maybe_unused]] constexpr bool single = sizeof(T) == 4;
#if defined(__AVX512F__)
    if constexpr (single)
        return _mm512_cmp_ps_mask((__m512)v, _mm512_set1_ps(bar), _CMP_NLE_UQ);
    else
        return _mm512_cmp_pd_mask((__m512d)v, _mm512_set1_pd(bar), _CMP_NLE_UQ);
#elif defined(__AVX2__)
    if constexpr (single)
        return static_cast<std::uint32_t>(
            _mm256_movemask_ps(_mm256_cmp_ps((__m256)v, _mm256_set1_ps(bar), _CMP_NLE_UQ)));
    else
        return static_cast<std::uint32_t>(
            _mm256_movemask_pd(_mm256_cmp_pd((__m256d)v, _mm256_set1_pd(bar), _CMP_NLE_UQ)));
#elif defined(__SSE2__)
    if constexpr (single)
        return static_cast<std::uint32_t>(_mm_movemask_ps(_mm_cmpnle_ps((__m128)v, _mm_set1_ps(bar))));
    else
        return static_cast<std::uint32_t>(_mm_movemask_pd(_mm_cmpnle_pd((__m128d)v, _mm_set1_pd(bar))));
#else
    std::uint32_t bits = 0;
    for (int l = 0; l < kLanes<T>; ++l) bits |= static_cast<std::uint32_t>(!(v[l] <= bar)) << l;
    return bits;
#endif
}

// sum[r][.] = sum_k a[k][r] * b[k][.], k ascending; a (K, kTileRows) and b (K, kTileColumns) are packed. The constant
// loop bounds keep `sum` in registers.
template <class T> struct RegisterTile {
    Vec<T> sum[kTileRows][2];

    void multiply(const T* __restrict a, const T* __restrict b, Index K) {
        Vec<T> s[kTileRows][2] = {};
        for (Index k = 0; k < K; ++k, a += kTileRows, b += kTileColumns<T>) {
            const Vec<T> b0 = load(b), b1 = load(b + kLanes<T>);
            for (int r = 0; r < kTileRows; ++r) {
                s[r][0] += a[r] * b0;
                s[r][1] += a[r] * b1;
            }
        }
        std::memcpy(sum, s, sizeof s);
    }

    // The first half of the columns: half the work where a last panel has no more.
    void multiply_half(const T* __restrict a, const T* __restrict b, Index K) {
        Vec<T> s[kTileRows] = {};
        for (Index k = 0; k < K; ++k, a += kTileRows, b += kTileColumns<T>) {
            const Vec<T> b0 = load(b);
            for (int r = 0; r < kTileRows; ++r) s[r] += a[r] * b0;
        }
        for (int r = 0; r < kTileRows; ++r) sum[r][0] = s[r], sum[r][1] = Vec<T>{};
    }

    void multiply(const T* a, const T* b, Index K, Index columns) {
        columns <= kLanes<T> ? multiply_half(a, b, K) : multiply(a, b, K);
    }
};

}  // namespace pyrec::cpu
