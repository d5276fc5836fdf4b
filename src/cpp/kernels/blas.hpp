// SciPy's BLAS and LAPACK, called by pointer, in row-major terms. Always single-threaded: the callers cut the work.
#pragma once
#include "common.hpp"

namespace pyrec {

template <class T> struct BlasOf {
    void (*gemm)(char*, char*, int*, int*, int*, T*, T*, int*, T*, int*, T*, T*, int*);
    void (*syrk)(char*, char*, int*, int*, T*, T*, int*, T*, T*, int*);
    void (*trmm)(char*, char*, char*, char*, int*, int*, T*, T*, int*, T*, int*);
    void (*potrf)(char*, int*, T*, int*, int*);
    void (*trtri)(char*, char*, int*, T*, int*, int*);
};

struct Blas {
    BlasOf<float> f;
    BlasOf<double> d;
    template <class T> const BlasOf<T>& of() const {
        if constexpr (sizeof(T) == 4)
            return f;
        else
            return d;
    }
};

// A row-major matrix is its transpose in column-major: C = A B becomes C^T = B^T A^T. Leading dimensions and sizes
// of one call are at most a tile or a matrix side, so int is enough; offsets are taken by the callers in 64 bits.
enum class Op : char { none = 'N', transpose = 'T' };

inline char flip(Op op) { return static_cast<char>(op); }

// c (m, n) = alpha op(a) op(b) + beta c, with op(a) (m, k).
template <class T>
void blas_gemm(const Blas& blas, Op op_a, Op op_b, Index m, Index n, Index k, T alpha, const T* a, Index lda,
               const T* b, Index ldb, T beta, T* c, Index ldc) {
    char ta = flip(op_b), tb = flip(op_a);
    int m_ = static_cast<int>(n), n_ = static_cast<int>(m), k_ = static_cast<int>(k);
    int la = static_cast<int>(ldb), lb = static_cast<int>(lda), lc = static_cast<int>(ldc);
    blas.of<T>().gemm(&ta, &tb, &m_, &n_, &k_, &alpha, const_cast<T*>(b), &la, const_cast<T*>(a), &lb, &beta, c, &lc);
}

// Lower triangle of c (n, n) = alpha op(a) op(a)^T + beta c, with op(a) (n, k).
template <class T>
void blas_syrk(const Blas& blas, Op op, Index n, Index k, T alpha, const T* a, Index lda, T beta, T* c, Index ldc) {
    char uplo = 'U', trans = op == Op::none ? 'T' : 'N';
    int n_ = static_cast<int>(n), k_ = static_cast<int>(k), la = static_cast<int>(lda), lc = static_cast<int>(ldc);
    blas.of<T>().syrk(&uplo, &trans, &n_, &k_, &alpha, const_cast<T*>(a), &la, &beta, c, &lc);
}

// b (m, n) = alpha b op(l), l lower triangular (n, n).
template <class T>
void blas_trmm_right(const Blas& blas, Op op, Index m, Index n, T alpha, const T* l, Index ldl, T* b, Index ldb) {
    char side = 'L', uplo = 'U', trans = flip(op), diag = 'N';
    int m_ = static_cast<int>(n), n_ = static_cast<int>(m), la = static_cast<int>(ldl), lb = static_cast<int>(ldb);
    blas.of<T>().trmm(&side, &uplo, &trans, &diag, &m_, &n_, &alpha, const_cast<T*>(l), &la, b, &lb);
}

// b (m, n) = alpha op(l) b, l lower triangular (m, m).
template <class T>
void blas_trmm_left(const Blas& blas, Op op, Index m, Index n, T alpha, const T* l, Index ldl, T* b, Index ldb) {
    char side = 'R', uplo = 'U', trans = flip(op), diag = 'N';
    int m_ = static_cast<int>(n), n_ = static_cast<int>(m), la = static_cast<int>(ldl), lb = static_cast<int>(ldb);
    blas.of<T>().trmm(&side, &uplo, &trans, &diag, &m_, &n_, &alpha, const_cast<T*>(l), &la, b, &lb);
}

// Cholesky factor of the lower triangle of a (n, n), in place. Returns 0, or the order of the minor that failed.
template <class T> int blas_potrf(const Blas& blas, Index n, T* a, Index lda) {
    char uplo = 'U';
    int n_ = static_cast<int>(n), la = static_cast<int>(lda), info = 0;
    blas.of<T>().potrf(&uplo, &n_, a, &la, &info);
    return info;
}

// Inverse of the lower triangular a (n, n), in place.
template <class T> int blas_trtri(const Blas& blas, Index n, T* a, Index lda) {
    char uplo = 'U', diag = 'N';
    int n_ = static_cast<int>(n), la = static_cast<int>(lda), info = 0;
    blas.of<T>().trtri(&uplo, &diag, &n_, a, &la, &info);
    return info;
}

}  // namespace pyrec
