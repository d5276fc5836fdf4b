// Vectors of the width this module is compiled for, and a register tile of a matrix product. CPU only.
//
// Written with the compiler's vector types; plain loops that the compiler vectorises by itself do not belong here.
#pragma once
#include <cmath>
#include <cstring>
#include <utility>

#include "common.hpp"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace pyrec::cpu {

// Rows of a tile: as many as registers hold, and a lower tile for numbers of rows that fill the high one badly.
#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64, kTileRows = 14,
                     kLowTileRows = 8;  // 28 sums, 2 loads, 1 broadcast; 32 registers
#elif defined(__AVX2__)
inline constexpr int kVectorBytes = 32, kTileRows = 6, kLowTileRows = 4;  // 12 sums, 2 loads, 1 broadcast; 16 registers
#elif defined(__aarch64__)
inline constexpr int kVectorBytes = 16, kTileRows = 14, kLowTileRows = 8;  // as above: NEON has 32 registers too
#else
inline constexpr int kVectorBytes = 16, kTileRows = 6, kLowTileRows = 4;
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

// The lanes of a and b in turn, of their first halves or (high) their second.
template <class T, bool high, std::size_t... l>
inline Vec<T> interleave(const Vec<T>& a, const Vec<T>& b, std::index_sequence<l...>) {
    constexpr std::size_t lanes = sizeof...(l), first = high ? lanes / 2 : 0;
#if defined(__clang__)
    return __builtin_shufflevector(a, b, (first + l / 2 + l % 2 * lanes)...);
#else
    typedef std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t> At
        __attribute__((vector_size(kVectorBytes)));
    return __builtin_shuffle(a, b, At{(first + l / 2 + l % 2 * lanes)...});
#endif
}

// v[i][j] and v[j][i] change places. A step rotates the bits of (i, j) by one; as many as i has bits exchange them.
template <class T, int step = 1> inline void transpose(Vec<T> (&v)[kLanes<T>]) {
    constexpr int lanes = kLanes<T>;
    constexpr auto all = std::make_index_sequence<lanes>();
    Vec<T> turned[lanes];
    for (int i = 0; i < lanes / 2; ++i) {
        turned[2 * i] = interleave<T, false>(v[i], v[i + lanes / 2], all);
        turned[2 * i + 1] = interleave<T, true>(v[i], v[i + lanes / 2], all);
    }
    std::memcpy(v, turned, sizeof v);
    if constexpr (2 * step < lanes) transpose<T, 2 * step>(v);
}

// sum[r][.] = sum_k a[k][r] * b[k][.], k ascending; a (K, rows) and b (K, kTileColumns) are packed, rows is kTileRows
// or kLowTileRows. The constant loop bounds keep the sums in registers.
template <class T> struct RegisterTile {
    Vec<T> sum[kTileRows][2];

    // Where a last panel has few columns, only so many are multiplied: a vector of them, or a part of one.
    void multiply(const T* a, const T* b, Index K, Index columns = kTileColumns<T>, Index rows = kTileRows) {
        if (rows == kTileRows)
            multiply_columns<kTileRows>(a, b, K, columns);
        else
            multiply_columns<kLowTileRows>(a, b, K, columns);
    }

  private:
    typedef T Short __attribute__((vector_size(16)));

    template <int rows> void multiply_columns(const T* a, const T* b, Index K, Index columns) {
        if (columns > kLanes<T>)
            multiply_as<rows, 2>(a, b, K);
        else if (columns > static_cast<Index>(sizeof(Short) / sizeof(T)))
            multiply_as<rows, 1>(a, b, K);
        else
            multiply_short<rows>(a, b, K);
    }

    template <int rows, int vectors> void multiply_as(const T* __restrict a, const T* __restrict b, Index K) {
        Vec<T> s[rows][2] = {};
        for (Index k = 0; k < K; ++k, a += rows, b += kTileColumns<T>) {
            Vec<T> x[vectors];
            for (int h = 0; h < vectors; ++h) x[h] = load(b + h * kLanes<T>);
            for (int r = 0; r < rows; ++r)
                for (int h = 0; h < vectors; ++h) s[r][h] += a[r] * x[h];
        }
        std::memcpy(sum, s, sizeof s);
    }

    template <int rows> void multiply_short(const T* __restrict a, const T* __restrict b, Index K) {
        Short s[rows] = {};
        for (Index k = 0; k < K; ++k, a += rows, b += kTileColumns<T>) {
            Short x;
            std::memcpy(&x, b, sizeof x);
            for (int r = 0; r < rows; ++r) s[r] += a[r] * x;
        }
        for (int r = 0; r < rows; ++r) {
            sum[r][0] = sum[r][1] = Vec<T>{};
            std::memcpy(&sum[r][0], &s[r], sizeof(Short));
        }
    }
};

// The rows of the tiles that serve `rows` rows of a product with the fewest rows of nothing.
inline Index tile_rows(Index rows) {
    const auto padded = [=](Index height) { return (rows + height - 1) / height * height; };
    return padded(kLowTileRows) < padded(kTileRows) ? kLowTileRows : kTileRows;
}

}  // namespace pyrec::cpu
