// SciPy's BLAS and LAPACK, called by pointer, in row-major terms. Always single-threaded: the callers cut the work.
#pragma once
#include "common.hpp"

namespace pyrec {

template <class T> struct BlasOf {
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

// A row-major matrix is its transpose in column-major: b := b l becomes b^T := l^T b^T, and a lower triangle an upper
// one. Sizes of one call are at most a matrix side, so int is enough; offsets are taken by the callers in 64 bits.
enum class Op : char { none = 'N', transpose = 'T' };

inline char letter(Op op) { return static_cast<char>(op); }

// b (m, n) = alpha b op(l), l lower triangular (n, n).
template <class T>
void blas_trmm_right(const Blas& blas, Op op, Index m, Index n, T alpha, const T* l, Index ldl, T* b, Index ldb) {
    char side = 'L', uplo = 'U', trans = letter(op), diag = 'N';
    int m_ = static_cast<int>(n), n_ = static_cast<int>(m), la = static_cast<int>(ldl), lb = static_cast<int>(ldb);
    blas.of<T>().trmm(&side, &uplo, &trans, &diag, &m_, &n_, &alpha, const_cast<T*>(l), &la, b, &lb);
}

// b (m, n) = alpha op(l) b, l lower triangular (m, m).
template <class T>
void blas_trmm_left(const Blas& blas, Op op, Index m, Index n, T alpha, const T* l, Index ldl, T* b, Index ldb) {
    char side = 'R', uplo = 'U', trans = letter(op), diag = 'N';
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
