#include "linalg.hpp"

#include "tiles.hpp"

namespace pyrec::cpu {
namespace {

// Rows of a tile in a loop over `rows` rows: enough tiles to balance threads, large enough for BLAS to run well.
Index tile_rows(Index rows) { return std::clamp<Index>(ceil_div(ceil_div(rows, 8), 64) * 64, 128, 1024); }

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

}  // namespace

template <class T> void gemm(const Exec& ex, T* c, Index ldc, const Operand<T>& a, const Operand<T>& b, Index M,
                             Index N, Index K, T alpha, T beta) {
    if (K == 0 || M == 0 || N == 0) {  // BLAS leaves c alone when an operand is empty
        for (Index i = 0; i < M; ++i)
            for (Index j = 0; j < N; ++j) c[i * ldc + j] = beta == T(0) ? T(0) : beta * c[i * ldc + j];
        return;
    }
    const Index tm = tile_rows(M), tn = std::max(tile_rows(N), 65536 / tm);
    const Index columns = ceil_div(N, tn);
    parallel_for(ex, ceil_div(M, tm) * columns, 1, [=](Index t) {
        const Index i = t / columns * tm, j = t % columns * tn;
        blas_gemm(*ex.blas, a.op, b.op, std::min(tm, M - i), std::min(tn, N - j), K, alpha, a.at(i, 0), a.stride,
                  b.at(0, j), b.stride, beta, c + i * ldc + j, ldc);
    });
}

template <class T> void syrk(const Exec& ex, T* c, const Operand<T>& a, Index N, Index K, T alpha, T beta) {
    const Op other = a.op == Op::none ? Op::transpose : Op::none;
    const Index side = tile_rows(N), tiles = ceil_div(N, side);
    parallel_for(ex, tiles * (tiles + 1) / 2, 1, [=](Index t) {
        Index row = 0;
        for (; t > row; ++row) t -= row + 1;
        const Index i = row * side, j = t * side, m = std::min(side, N - i);
        if (i == j)
            blas_syrk(*ex.blas, a.op, m, K, alpha, a.at(i, 0), a.stride, beta, c + i * N + i, N);
        else
            blas_gemm(*ex.blas, a.op, other, m, side, K, alpha, a.at(i, 0), a.stride, a.at(j, 0), a.stride, beta,
                      c + i * N + j, N);
    });
    mirror_lower(ex, c, N);
}

Index factor_panel(Index n) { return n < 1024 ? 128 : n < 8192 ? 256 : 512; }

template <class T> Index cholesky_panel(const Exec& ex, T* a, Index n, Index panel) {
    const Index width = factor_panel(n), k0 = panel * width, k1 = std::min(n, k0 + width), m = k1 - k0;
    const Index rows = tile_rows(n - k0);
    const Blas& blas = *ex.blas;
    if (k0 > 0) {  // a[i, k] -= L[i, :k] L[k, :k]^T
        parallel_ranges(ex, n - k0, rows, [=, &blas](Index begin, Index end) {
            T* row = a + (k0 + begin) * n;
            blas_gemm<T>(blas, Op::none, Op::transpose, end - begin, m, k0, T(-1), row, n, a + k0 * n, n, T(1),
                         row + k0, n);
        });
    }
    T* diagonal = a + k0 * n + k0;
    if (const int info = blas_potrf(blas, m, diagonal, n)) return k0 + info;
    if (k1 == n) return 0;
    // L[i, k] = a[i, k] L[k, k]^-T: BLAS multiplies by a triangle twice as fast as it solves with one.
    Scratch<T> scratch(m * m);
    T* inverse = scratch.data();
    copy_lower(inverse, m, diagonal, n);
    invert_lower_block(blas, m, inverse, m);
    parallel_ranges(ex, n - k1, rows, [=, &blas](Index begin, Index end) {
        blas_trmm_right<T>(blas, Op::transpose, end - begin, m, T(1), inverse, m, a + (k1 + begin) * n + k0, n);
    });
    return 0;
}

template <class T> void invert_diagonal_blocks(const Exec& ex, T* a, Index n) {
    parallel_ranges(ex, n, factor_panel(n), [=](Index begin, Index end) {
        invert_lower_block(*ex.blas, end - begin, a + begin * n + begin, n);
    });
}

template <class T> void invert_lower_panel(const Exec& ex, T* a, Index n, Index panel) {
    const Index width = factor_panel(n), k0 = panel * width, k1 = std::min(n, k0 + width), m = k1 - k0;
    const Index below = n - k1, rows = tile_rows(below);
    const Blas& blas = *ex.blas;
    const T* diagonal = a + k0 * n + k0;
    Scratch<T> scratch(below * m);
    T* s = scratch.data();  // S (below, m) = -L[below, k] L[k, k]^-1, the latter in place already
    parallel_ranges(ex, below, rows, [=, &blas](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) std::copy_n(a + (k1 + i) * n + k0, m, s + i * m);
        blas_trmm_right<T>(blas, Op::none, end - begin, m, T(-1), diagonal, n, s + begin * m, m);
    });
    // L^-1[below, k] = L^-1[below, below] S. The longest rows go first.
    const Index blocks = ceil_div(below, rows);
    parallel_for(ex, blocks, 1, [=, &blas](Index chunk) {
        const Index begin = (blocks - 1 - chunk) * rows, end = std::min(below, begin + rows);
        T* to = a + (k1 + begin) * n + k0;
        for (Index i = begin; i < end; ++i) std::copy_n(s + i * m, m, to + (i - begin) * n);
        const T* row = a + (k1 + begin) * n + k1;
        blas_trmm_left<T>(blas, Op::none, end - begin, m, T(1), row + begin, n, to, n);
        if (begin > 0) blas_gemm<T>(blas, Op::none, Op::none, end - begin, m, begin, T(1), row, n, s, m, T(1), to, n);
    });
}

template <class T> void inverse_product_panel(const Exec& ex, T* a, Index n, Index panel) {
    const Index width = factor_panel(n), k0 = panel * width, k1 = std::min(n, k0 + width), m = k1 - k0;
    const Index below = n - k1, columns = tile_rows(k1);
    const Blas& blas = *ex.blas;
    Scratch<T> scratch(m * m);
    T* w = scratch.data();  // the diagonal block of L^-1, while the block itself is overwritten
    copy_lower(w, m, a + k0 * n + k0, n);
    const T* panel_below = a + k1 * n + k0;
    const auto add_below = [=, &blas](T* to, Index j, Index count) {
        if (below > 0)
            blas_gemm<T>(blas, Op::transpose, Op::none, m, count, below, T(1), panel_below, n, a + k1 * n + j, n, T(1),
                         to, n);
    };
    const Index left = ceil_div(k0, columns);
    parallel_for(ex, left + 1, 1, [=, &blas](Index chunk) {
        const Index j = chunk == left ? k0 : chunk * columns, count = chunk == left ? m : std::min(columns, k0 - j);
        T* to = a + k0 * n + j;
        if (chunk == left)
            blas_gemm<T>(blas, Op::transpose, Op::none, m, m, m, T(1), w, m, w, m, T(0), to, n);
        else
            blas_trmm_left<T>(blas, Op::transpose, m, count, T(1), w, m, to, n);
        add_below(to, j, count);
    });
}

template <class T> void mirror_lower(const Exec& ex, T* a, Index n) {
    for_tiles_below(ex, n, [=](const Tile& t) {
        for (Index i = t.i0; i < t.i1; ++i)
            for (Index j = t.j0; j < std::min(t.j1, i); ++j) a[j * n + i] = a[i * n + j];
    });
}

#define INSTANTIATE(T)                                                                                           \
    template void gemm(const Exec&, T*, Index, const Operand<T>&, const Operand<T>&, Index, Index, Index, T, T); \
    template void syrk(const Exec&, T*, const Operand<T>&, Index, Index, T, T);                                  \
    template Index cholesky_panel(const Exec&, T*, Index, Index);                                                \
    template void invert_diagonal_blocks(const Exec&, T*, Index);                                                \
    template void invert_lower_panel(const Exec&, T*, Index, Index);                                             \
    template void inverse_product_panel(const Exec&, T*, Index, Index);                                          \
    template void mirror_lower(const Exec&, T*, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
