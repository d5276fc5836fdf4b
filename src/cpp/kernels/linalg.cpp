#include "linalg.hpp"

#include "packed.hpp"
#include "tiles.hpp"

namespace pyrec::cpu {
namespace {

// Small products are over before another thread wakes; those with a single column read so many elements meanwhile.
constexpr Index kAloneProducts = Index{1} << 21, kAloneElements = Index{1} << 17;

template <class T> void copy_lower(T* to, Index width, const T* from, Index stride) {
    for (Index i = 0; i < width; ++i) {
        std::copy_n(from + i * stride, i + 1, to + i * width);
        std::fill(to + i * width + i + 1, to + (i + 1) * width, T(0));
    }
}

// Inverse of a small lower triangle, in place, by halves: LAPACK's own runs at a sixth of the speed of a product.
template <class T> void invert_lower_block(const Blas& blas, Index n, T* l, Index stride) {
    if (n <= 64) {
        blas_trtri(blas, n, l, stride);
        return;
    }
    const Index half = ceil_div(n, 128) * 64, rest = n - half;
    T *lower = l + half * stride, *corner = lower + half;
    invert_lower_block(blas, half, l, stride);
    invert_lower_block(blas, rest, corner, stride);
    blas_trmm_left<T>(blas, Op::none, rest, half, T(-1), corner, stride, lower, stride);
    blas_trmm_right<T>(blas, Op::none, rest, half, T(1), l, stride, lower, stride);
}

// Packs panel `panel` of one operand, depth k0 to k0 + K: rows of a left one, columns of a right one.
template <class T>
void pack_panel(T* to, Index width, const Operand<T>& x, bool left, Index panel, Index n, Index k0, Index K) {
    const Index i = panel * width, count = std::min(width, n - i);
    const T* from = left ? x.at(i, k0) : x.at(k0, i);
    if (left == (x.op == Op::none))  // the depth lies along the rows of memory
        pack_rows(to, width, from, x.stride, count, K);
    else
        pack_columns(to, width, from, x.stride, count, K);
}

template <class T>
void pack_operand(const Exec& ex, T* to, Index width, const Operand<T>& x, bool left, Index n, Index k0, Index K) {
    parallel_for(ex, ceil_div(n, width), 8,
                 [=](Index panel) { pack_panel(to + panel * width * K, width, x, left, panel, n, k0, K); });
}

constexpr Index kDepth = 256;  // of the panels of one update

template <class T> void add_bias(T* c, Index ldc, const T* bias, Index begin, Index end, Index N) {
    for (Index i = begin; bias && i < end; ++i) {
#pragma omp simd
        for (Index j = 0; j < N; ++j) c[i * ldc + j] += bias[j];
    }
}

// c (M,N) += or (fresh) = alpha op(a) op(b), of so few columns that a chunk makes whole rows of c. Each chunk packs its
// part of a when it needs it: the panels, and its part of c, then never leave the cache.
template <class T>
void narrow_product(const Exec& ex, T* c, Index ldc, const Operand<T>& a, const Operand<T>& b, Index M, Index N,
                    Index K, T alpha, bool fresh, const T* bias) {
    constexpr Index mr = kTileRows, nr = kTileColumns<T>;
    const Index columns = ceil_div(N, nr) * nr;
    Scratch<T> right(columns * K);  // kDepth after the other
    T* const r = right.data();
    for (Index k = 0; k < K; k += kDepth)
        pack_operand<T>(ex, r + columns * k, nr, b, false, N, k, std::min(kDepth, K - k));
    parallel_ranges(ex, M, chunk_rows(M), [=](Index begin, Index end) {
        Scratch<T> left(packed_size(end - begin, mr, std::min(K, kDepth)));
        for (Index k = 0; k < K; k += kDepth) {
            const Index d = std::min(kDepth, K - k);
            for (Index i = begin; i < end; i += mr)
                pack_panel<T>(left.data() + (i - begin) * d, mr, a, true, i / mr, M, k, d);
            for (Index j = 0; j < N; j += nr)
                for (Index i = begin; i < end; i += mr)
                    update_tile(c + i * ldc + j, ldc, left.data() + (i - begin) * d, r + columns * k + j * d, d, alpha,
                                std::min(mr, M - i), std::min(nr, N - j), fresh && k == 0);
        }
        add_bias(c, ldc, bias, begin, end, N);
    });
}

template <class T> T dot(const T* __restrict x, const T* __restrict y, Index n) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (Index k = 0; k < n; ++k) sum += x[k] * y[k];
    return sum;
}

// c (M,1) = alpha op(a) b + beta c + bias: what takes time is to read a, once.
template <class T>
void column_product(const Exec& ex, T* c, Index ldc, const Operand<T>& a, const Operand<T>& b, Index M, Index K,
                    T alpha, T beta, const T* bias) {
    Scratch<T> column(K);
    T* const x = column.data();
    for (Index k = 0; k < K; ++k) x[k] = *b.at(k, 0);
    const auto write = [=](Index i, T sum) {
        c[i * ldc] = alpha * sum + (beta == T(0) ? T(0) : beta * c[i * ldc]) + (bias ? bias[0] : T(0));
    };
    if (a.op == Op::none) {
        parallel_for(ex, M, ceil_div(kAloneElements, K + 1), [=, &a](Index i) { write(i, dot(a.at(i, 0), x, K)); });
        return;
    }
    constexpr Index depth = 512;  // of a partial sum
    const Index parts = ceil_div(K, depth);
    Scratch<T> partial(parts * M);
    T* const p = partial.data();
    parallel_ranges(ex, K, depth, [=, &a](Index begin, Index end) {
        T* __restrict const sum = p + begin / depth * M;
        std::fill_n(sum, M, T(0));
        for (Index k = begin; k < end; ++k) {
            const T *const row = a.at(0, k), scale = x[k];
#pragma omp simd
            for (Index i = 0; i < M; ++i) sum[i] += scale * row[i];
        }
    });
    for (Index i = 0; i < M; ++i) {
        T sum = 0;
        for (Index part = 0; part < parts; ++part) sum += p[part * M + i];
        write(i, sum);
    }
}

// c (M,N) = alpha op(a) op(b) + beta c + bias, or only what lies on and below its diagonal.
template <class T>
void product(const Exec& ex, T* c, Index ldc, const Operand<T>& a, const Operand<T>& b, Index M, Index N, Index K,
             T alpha, T beta, const T* bias, bool lower) {
    if (beta != T(1) && (beta != T(0) || K == 0)) {
        parallel_for(ex, M, 64, [=](Index i) {
            for (Index j = 0; j < N; ++j) c[i * ldc + j] = beta == T(0) ? T(0) : beta * c[i * ldc + j];
        });
    }
    if (!lower && N <= kChunkColumns<T> && K <= M)
        return narrow_product(ex, c, ldc, a, b, M, N, K, alpha, beta == T(0), bias);
    Scratch<T> left(packed_size(M, kTileRows, std::min(K, kDepth)));
    Scratch<T> right(packed_size(N, kTileColumns<T>, std::min(K, kDepth)));
    for (Index k = 0; k < K; k += kDepth) {
        const Index d = std::min(kDepth, K - k), fresh_from = k == 0 && beta == T(0) ? 0 : N;
        pack_operand<T>(ex, left.data(), kTileRows, a, true, M, k, d);
        pack_operand<T>(ex, right.data(), kTileColumns<T>, b, false, N, k, d);
        packed_update<T>(ex, c, ldc, left.data(), right.data(), d, alpha, {M, N, lower ? 0 : N, fresh_from});
    }
    if (bias) parallel_ranges(ex, M, 64, [=](Index begin, Index end) { add_bias(c, ldc, bias, begin, end, N); });
}

}  // namespace

template <class T>
void gemm(const Exec& ex, T* c, Index ldc, const Operand<T>& a, const Operand<T>& b, Index M, Index N, Index K, T alpha,
          T beta, const T* bias) {
    Exec how = ex;
    if (N == 1 ? M * K <= kAloneElements : M * N * K <= kAloneProducts) how.threads = 1;
    if (N == 1)
        column_product(how, c, ldc, a, b, M, K, alpha, beta, bias);
    else
        product(how, c, ldc, a, b, M, N, K, alpha, beta, bias, false);
}

template <class T> void syrk(const Exec& ex, T* c, const Operand<T>& a, Index N, Index K, T alpha, T beta) {
    const Operand<T> transposed{a.data, a.stride, a.op == Op::none ? Op::transpose : Op::none};
    product(ex, c, N, a, transposed, N, N, K, alpha, beta, static_cast<const T*>(nullptr), true);
    mirror_lower(ex, c, N);
}

// A multiple of every tile's width, so that no tile lies across the border of two panels.
Index factor_panel(Index n) { return n < 2048 ? 128 : 256; }

template <class T> Index cholesky_panel(const Exec& ex, T* a, Index n, Index panel) {
    const Index width = factor_panel(n), k0 = panel * width, k1 = std::min(n, k0 + width), m = k1 - k0, below = n - k1;
    const Blas& blas = *ex.blas;
    T* diagonal = a + k0 * n + k0;
    if (const int info = blas_potrf(blas, m, diagonal, n)) return k0 + info;
    if (below == 0) return 0;
    Scratch<T> block(m * m), left(packed_size(below, kTileRows, m)), right(packed_size(below, kTileColumns<T>, m));
    T *inverse = block.data(), *l = left.data(), *r = right.data();
    copy_lower(inverse, m, diagonal, n);
    invert_lower_block(blas, m, inverse, m);
    // L[i, k] = a[i, k] L[k, k]^-T: BLAS multiplies by a triangle twice as fast as it solves with one.
    parallel_ranges(ex, below, kPackRows<T>, [=, &blas](Index begin, Index end) {
        T* rows = a + (k1 + begin) * n + k0;
        blas_trmm_right<T>(blas, Op::transpose, end - begin, m, T(1), inverse, m, rows, n);
        for (Index i = begin; i < end; i += kTileRows)
            pack_rows(l + i * m, kTileRows, a + (k1 + i) * n + k0, n, std::min<Index>(kTileRows, below - i), m);
        for (Index i = begin; i < end; i += kTileColumns<T>)
            pack_rows(r + i * m, kTileColumns<T>, a + (k1 + i) * n + k0, n, std::min<Index>(kTileColumns<T>, below - i),
                      m);
    });
    // a[i, j] -= L[i, k] L[j, k]^T
    packed_update<T>(ex, a + k1 * n + k1, n, l, r, m, T(-1), {below, below, 0, below});
    return 0;
}

template <class T> void invert_diagonal_blocks(const Exec& ex, T* a, Index n) {
    parallel_ranges(ex, n, factor_panel(n), [=](Index begin, Index end) {
        invert_lower_block(*ex.blas, end - begin, a + begin * n + begin, n);
    });
}

// Below panel k, columns before k hold -sum_l L[i, l] L^-1[l, j] over the panels l before it.
template <class T> void invert_lower_panel(const Exec& ex, T* a, Index n, Index panel) {
    const Index width = factor_panel(n), k0 = panel * width, k1 = std::min(n, k0 + width), m = k1 - k0, below = n - k1;
    const Blas& blas = *ex.blas;
    T* row = a + k0 * n;
    Scratch<T> block(m * m), left(packed_size(below, kTileRows, m)), right(packed_size(k1, kTileColumns<T>, m));
    T *inverse = block.data(), *l = left.data(), *r = right.data();
    copy_lower(inverse, m, row + k0, n);
    // L^-1[k, j] = L^-1[k, k] a[k, j]
    constexpr Index grain = 4 * kTileColumns<T>;
    parallel_ranges(ex, k1, grain, [=, &blas](Index begin, Index end) {
        if (begin < k0)
            blas_trmm_left<T>(blas, Op::none, m, std::min(end, k0) - begin, T(1), inverse, m, row + begin, n);
        for (Index j = begin; j < end; j += kTileColumns<T>) {
            const Index count = std::min<Index>(kTileColumns<T>, k1 - j);
            const bool inside = j >= k0;
            pack_columns(r + j * m, kTileColumns<T>, inside ? inverse + j - k0 : row + j, inside ? m : n, count, m);
        }
    });
    parallel_ranges(ex, below, 8 * kTileRows, [=](Index begin, Index end) {
        for (Index i = begin; i < end; i += kTileRows)
            pack_rows(l + i * m, kTileRows, a + (k1 + i) * n + k0, n, std::min<Index>(kTileRows, below - i), m);
    });
    // a[i, j] -= L[i, k] L^-1[k, j], and in column k itself, where L stood, the first term of the sum
    packed_update<T>(ex, a + k1 * n, n, l, r, m, T(-1), {below, k1, k1, k0});
}

// Row panel k of L^-1 adds its share to all elements before it, and becomes the first share of its own row.
template <class T> void inverse_product_panel(const Exec& ex, T* a, Index n, Index panel) {
    const Index width = factor_panel(n), k0 = panel * width, k1 = std::min(n, k0 + width), m = k1 - k0;
    T* row = a + k0 * n;
    Scratch<T> block(m * m), left(packed_size(k0, kTileRows, m) + packed_size(m, kTileRows, m));
    Scratch<T> right(packed_size(k1, kTileColumns<T>, m));
    T *inverse = block.data(), *l = left.data(), *own = l + packed_size(k0, kTileRows, m), *r = right.data();
    copy_lower(inverse, m, row + k0, n);
    for (Index i = 0; i < m; i += kTileRows)
        pack_columns(own + i * m, kTileRows, inverse + i, m, std::min<Index>(kTileRows, m - i), m);
    for (Index j = k0; j < k1; j += kTileColumns<T>)
        pack_columns(r + j * m, kTileColumns<T>, inverse + j - k0, m, std::min<Index>(kTileColumns<T>, k1 - j), m);
    parallel_ranges(ex, k0, kPackRows<T>, [=](Index begin, Index end) {
        for (Index i = begin; i < end; i += kTileRows)
            pack_columns(l + i * m, kTileRows, row + i, n, std::min<Index>(kTileRows, k0 - i), m);
        for (Index j = begin; j < end; j += kTileColumns<T>)
            pack_columns(r + j * m, kTileColumns<T>, row + j, n, std::min<Index>(kTileColumns<T>, k0 - j), m);
    });
    packed_update<T>(ex, a, n, l, r, m, T(1), {k0, k0, 0, k0});
    packed_update<T>(ex, row, n, own, r, m, T(1), {m, k1, k0, 0});
}

template <class T> void mirror_lower(const Exec& ex, T* a, Index n) {
    for_tiles_below(ex, n, [=](const Tile& t) {
        for (Index i = t.i0; i < t.i1; ++i)
            for (Index j = t.j0; j < std::min(t.j1, i); ++j) a[j * n + i] = a[i * n + j];
    });
}

template <class T> void column_sums(const Exec& ex, T* sums, const T* a, Index n, Index d) {
    constexpr Index rows = 1024;  // of a partial sum
    const Index parts = ceil_div(n, rows);
    Scratch<double> partial(parts * d);
    double* p = partial.data();
    parallel_ranges(ex, n, rows, [=](Index begin, Index end) {
        double* sum = p + begin / rows * d;
        std::fill(sum, sum + d, 0.0);
        for (Index i = begin; i < end; ++i) {
#pragma omp simd
            for (Index j = 0; j < d; ++j) sum[j] += a[i * d + j];
        }
    });
    for (Index j = 0; j < d; ++j) {
        double total = 0.0;
        for (Index c = 0; c < parts; ++c) total += p[c * d + j];
        sums[j] = static_cast<T>(total);
    }
}

#define INSTANTIATE(T)                                                                                          \
    template void gemm(const Exec&, T*, Index, const Operand<T>&, const Operand<T>&, Index, Index, Index, T, T, \
                       const T*);                                                                               \
    template void syrk(const Exec&, T*, const Operand<T>&, Index, Index, T, T);                                 \
    template Index cholesky_panel(const Exec&, T*, Index, Index);                                               \
    template void invert_diagonal_blocks(const Exec&, T*, Index);                                               \
    template void invert_lower_panel(const Exec&, T*, Index, Index);                                            \
    template void inverse_product_panel(const Exec&, T*, Index, Index);                                         \
    template void mirror_lower(const Exec&, T*, Index);                                                         \
    template void column_sums(const Exec&, T*, const T*, Index, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
