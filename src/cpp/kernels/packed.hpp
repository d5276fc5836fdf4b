// Matrix products from packed panels: packed once, used by all threads. BLAS called on the tiles of a product would
// pack the same panels again for every tile (a quarter of the time at n = 1000), and could not use sums in registers.
#pragma once
#include <numeric>

#include "parallel.hpp"
#include "simd.hpp"

namespace pyrec::cpu {

// A panel holds `width` rows of an operand side by side: element (r, k) at k * width + r. An operand of n rows and
// depth K is ceil_div(n, width) panels, the last one filled up with zeros.
inline Index packed_size(Index n, Index width, Index K) { return ceil_div(n, width) * width * K; }

// One panel from `rows` <= width rows, which start at row(0), row(1), ...; depth along them.
template <class T, class Row> void pack_rows_at(T* to, Index width, Row row, Index rows, Index K) {
    constexpr Index lanes = kLanes<T>;
    const Index whole = K / lanes * lanes;
    // The last rows first: a vector longer than what is left of the width reaches into the next elements' first rows,
    // which are written after it.
    for (Index r0 = (width - 1) / lanes * lanes; r0 >= 0 && whole > 0; r0 -= lanes) {
        const T* x[lanes];
        for (Index i = 0; i < lanes; ++i) x[i] = row(std::min(r0 + i, rows - 1));
        for (Index k0 = 0; k0 < whole; k0 += lanes) {
            Vec<T> v[lanes];
            for (Index i = 0; i < lanes; ++i) v[i] = load(x[i] + k0);
            transpose<T>(v);
            T* const at = to + k0 * width + r0;
            const Index room = (K - k0) * width - r0;
            if ((lanes - 1) * width + lanes <= room) {
                for (Index k = 0; k < lanes; ++k) store(at + k * width, v[k]);
            } else {
                for (Index k = 0; k < lanes; ++k)
                    std::memcpy(at + k * width, &v[k],
                                static_cast<std::size_t>(std::min(lanes, room - k * width)) * sizeof(T));
            }
        }
    }
    for (Index r = 0; r < rows; ++r) {
        const T* x = row(r);
        for (Index k = whole; k < K; ++k) to[k * width + r] = x[k];
    }
    for (Index k = 0; rows < width && k < K; ++k) std::fill(to + k * width + rows, to + (k + 1) * width, T(0));
}

// Of a row-major matrix.
template <class T> void pack_rows(T* to, Index width, const T* x, Index stride, Index rows, Index K) {
    pack_rows_at(to, width, [=](Index r) { return x + r * stride; }, rows, K);
}

// All panels of the `rows` rows of a C-contiguous matrix.
template <class T> void pack_panels(const Exec& ex, T* to, Index width, const T* x, Index rows, Index K) {
    parallel_for(ex, ceil_div(rows, width), 64, [=](Index p) {
        const Index r = p * width;
        pack_rows(to + r * K, width, x + r * K, K, std::min(width, rows - r), K);
    });
}

// One panel from the first `columns` <= width elements of K rows; depth across the rows.
template <class T, class Row> void pack_columns_at(T* to, Index width, Row row, Index columns, Index K) {
    const auto whole = [=](auto n) {  // of a constant size: a few vector moves, no call
        for (Index k = 0; k < K; ++k) std::memcpy(to + k * n(), row(k), n() * sizeof(T));
    };
    if (columns == width && width == kTileRows) return whole(std::integral_constant<Index, kTileRows>());
    if (columns == width && width == kLowTileRows) return whole(std::integral_constant<Index, kLowTileRows>());
    if (columns == width && width == kTileColumns<T>) return whole(std::integral_constant<Index, kTileColumns<T>>());
    for (Index k = 0; k < K; ++k) {
        const T* x = row(k);
        T* at = to + k * width;
        for (Index c = 0; c < width; ++c) at[c] = c < columns ? x[c] : T(0);
    }
}

// Of a row-major matrix.
template <class T> void pack_columns(T* to, Index width, const T* x, Index stride, Index columns, Index K) {
    pack_columns_at(to, width, [=](Index k) { return x + k * stride; }, columns, K);
}

// Rows per chunk when both operands are packed in one pass: whole panels of either.
template <class T> inline constexpr Index kPackRows = std::lcm<Index>(kTileRows, kTileColumns<T>);

// What of C an update writes.
struct Region {
    Index rows, columns;
    Index diagonal;    // tiles with all columns beyond row + diagonal are left out (columns to keep everything)
    Index fresh_from;  // columns from here on are overwritten, those before are added to
};

// Rows of C that one chunk makes: their part of A stays in the second-level cache, and there are enough to balance
// threads.
inline Index chunk_rows(Index rows) { return std::clamp<Index>(rows / (16 * kTileRows), 1, 6) * kTileRows; }
template <class T> inline constexpr Index kChunkColumns = 24 * kTileColumns<T>;

// m <= kTileRows rows and n <= kTileColumns columns of C += or (fresh) = alpha A B, from a panel of each; depth K.
template <class T>
void update_tile(T* c, Index ldc, const T* a, const T* b, Index K, T alpha, Index m, Index n, bool fresh) {
    constexpr Index nr = kTileColumns<T>, lanes = kLanes<T>;
    for (Index r = 0; r < m; ++r) {
        __builtin_prefetch(c + r * ldc, 1);
        __builtin_prefetch(c + r * ldc + n - 1, 1);
    }
    RegisterTile<T> product;
    product.multiply(a, b, K, n);
    if (n == nr) {
        for (Index r = 0; r < m; ++r) {
            for (Index h = 0; h < 2; ++h) {
                T* at = c + r * ldc + h * lanes;
                store(at, fresh ? alpha * product.sum[r][h] : load(at) + alpha * product.sum[r][h]);
            }
        }
    } else {
        T row[nr];
        for (Index r = 0; r < m; ++r) {
            store(row, product.sum[r][0]);
            store(row + lanes, product.sum[r][1]);
            T* at = c + r * ldc;
            for (Index l = 0; l < n; ++l) at[l] = (fresh ? T(0) : at[l]) + alpha * row[l];
        }
    }
}

// C (rows, columns) += or = alpha A B, in the tiles of `region`; A and B packed, depth K. A tile that the diagonal cuts
// is written whole.
template <class T>
void packed_update(const Exec& ex, T* c, Index ldc, const T* a, const T* b, Index K, T alpha, const Region& region) {
    constexpr Index mr = kTileRows, nr = kTileColumns<T>, column_block = kChunkColumns<T>;
    const Index row_block = chunk_rows(region.rows), blocks = ceil_div(region.columns, column_block);
    // From the last rows on: where a diagonal cuts, they are the longest, and short ones balance the end.
    const Index chunks = ceil_div(region.rows, row_block) * blocks;
    parallel_for(ex, chunks, 1, [=](Index chunk) {
        const Index i0 = (chunks - 1 - chunk) / blocks * row_block, j0 = (chunks - 1 - chunk) % blocks * column_block;
        const Index i1 = std::min(region.rows, i0 + row_block), j1 = std::min(region.columns, j0 + column_block);
        for (Index j = j0; j < j1 && j <= i1 - 1 + region.diagonal; j += nr)
            for (Index i = i0; i < i1; i += mr)
                if (j <= i + mr - 1 + region.diagonal)
                    update_tile(c + i * ldc + j, ldc, a + i * K, b + j * K, K, alpha, std::min(mr, region.rows - i),
                                std::min(nr, region.columns - j), j >= region.fresh_from);
    });
}

}  // namespace pyrec::cpu
