#include "norm.hpp"

#include <cmath>

namespace pyrec::cpu {
namespace {

Index block_rows(Index B) { return std::max<Index>(64, ceil_div(B, 128)); }

// Sums over all rows of two numbers a column: add(row, first, second) adds those of a row. Each block of rows is summed
// by one thread, and the blocks in their order.
template <class T, class Add> void sum_columns(const Exec& ex, T* first, T* second, Index B, Index n, Add add) {
    const Index rows = block_rows(B), blocks = ceil_div(B, rows);
    Scratch<double> sums(std::max<Index>(blocks, 1) * 2 * n);
    double* const all = sums.data();
    std::fill_n(all, 2 * n, 0.0);
    parallel_ranges(ex, B, rows, [=](Index begin, Index end) {
        double* const sum = all + begin / rows * 2 * n;
        std::fill_n(sum, 2 * n, 0.0);
        for (Index b = begin; b < end; ++b) add(b, sum, sum + n);
    });
    for (Index k = 1; k < blocks; ++k)
        for (Index c = 0; c < 2 * n; ++c) all[c] += all[k * 2 * n + c];
    for (Index c = 0; c < n; ++c) first[c] = static_cast<T>(all[c]), second[c] = static_cast<T>(all[n + c]);
}

template <class T> T inverse_root(T var, double eps) {
    return static_cast<T>(1.0 / std::sqrt(static_cast<double>(var) + eps));
}

// Mean of a row, and 1 / sqrt(var + eps).
template <class T> struct RowMoments {
    T mean, scale;
    RowMoments(const T* x, Index n, double eps) {
        double sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
        for (Index c = 0; c < n; ++c) sum += static_cast<double>(x[c]);
        const double middle = sum / static_cast<double>(n);
#pragma omp simd reduction(+ : squares)
        for (Index c = 0; c < n; ++c) {
            const double from = static_cast<double>(x[c]) - middle;
            squares += from * from;
        }
        mean = static_cast<T>(middle);
        scale = static_cast<T>(1.0 / std::sqrt(squares / static_cast<double>(n) + eps));
    }
};

Index rows_of_norm(Index n) { return std::max<Index>(1, 16384 / std::max<Index>(n, 1)); }

}  // namespace

template <class T> void column_moments(const Exec& ex, T* mean, T* var, const T* x, Index B, Index n) {
    const Index rows = block_rows(B), blocks = ceil_div(B, rows);
    Scratch<double> moments(blocks * 2 * n);  // of each block the means, and the sums of squares around them
    double* const all = moments.data();
    parallel_ranges(ex, B, rows, [=](Index begin, Index end) {
        double* const means = all + begin / rows * 2 * n;
        double* const squares = means + n;
        std::fill_n(means, 2 * n, 0.0);
        for (Index b = begin; b < end; ++b)
            for (Index c = 0; c < n; ++c) means[c] += static_cast<double>(x[b * n + c]);
        for (Index c = 0; c < n; ++c) means[c] /= static_cast<double>(end - begin);
        for (Index b = begin; b < end; ++b) {
            for (Index c = 0; c < n; ++c) {
                const double from = static_cast<double>(x[b * n + c]) - means[c];
                squares[c] += from * from;
            }
        }
    });
    for (Index k = 1; k < blocks; ++k) {  // joined one by one: Chan et al. 1979
        const double before = static_cast<double>(k * rows), more = static_cast<double>(std::min(rows, B - k * rows));
        const double* const other = all + k * 2 * n;
        for (Index c = 0; c < n; ++c) {
            const double apart = other[c] - all[c];
            all[c] += apart * (more / (before + more));
            all[n + c] += other[n + c] + apart * apart * (before * more / (before + more));
        }
    }
    for (Index c = 0; c < n; ++c)
        mean[c] = static_cast<T>(all[c]), var[c] = static_cast<T>(all[n + c] / static_cast<double>(B));
}

template <class T>
void batch_norm_forward(const Exec& ex, T* y, const T* x, const T* mean, const T* var, const T* gamma, const T* beta,
                        double eps, Index B, Index n) {
    Scratch<T> factors(n);
    T* const factor = factors.data();
    for (Index c = 0; c < n; ++c) factor[c] = gamma[c] * inverse_root(var[c], eps);
    parallel_for(ex, B, rows_of_norm(n), [=](Index b) {
        for (Index c = 0; c < n; ++c) y[b * n + c] = (x[b * n + c] - mean[c]) * factor[c] + beta[c];
    });
}

template <class T>
void batch_norm_backward(const Exec& ex, T* d_x, T* d_gamma, T* d_beta, const T* d_y, const T* x, const T* mean,
                         const T* var, const T* gamma, double eps, bool constants, Index B, Index n) {
    Scratch<T> scratch(2 * n);
    T *const scale = scratch.data(), *const slope = scale + n;
    for (Index c = 0; c < n; ++c) scale[c] = inverse_root(var[c], eps);
    sum_columns(ex, d_beta, d_gamma, B, n, [=](Index b, double* betas, double* gammas) {
        for (Index c = 0; c < n; ++c) {
            const double g = static_cast<double>(d_y[b * n + c]);
            betas[c] += g;
            gammas[c] += g * static_cast<double>((x[b * n + c] - mean[c]) * scale[c]);
        }
    });
    const T share = constants || B == 0 ? T(0) : T(1) / static_cast<T>(B);
    for (Index c = 0; c < n; ++c) slope[c] = share * d_gamma[c] * scale[c];
    parallel_for(ex, B, rows_of_norm(n), [=](Index b) {
        for (Index c = 0; c < n; ++c) {
            const T rest = share * d_beta[c] + (x[b * n + c] - mean[c]) * slope[c];
            d_x[b * n + c] = gamma[c] * scale[c] * (d_y[b * n + c] - rest);
        }
    });
}

template <class T>
void layer_norm_forward(const Exec& ex, T* y, const T* x, const T* gamma, const T* beta, double eps, Index B, Index n) {
    parallel_for(ex, B, rows_of_norm(n), [=](Index b) {
        const RowMoments<T> row(x + b * n, n, eps);
        for (Index c = 0; c < n; ++c) y[b * n + c] = (x[b * n + c] - row.mean) * row.scale * gamma[c] + beta[c];
    });
}

template <class T>
void layer_norm_backward(const Exec& ex, T* d_x, T* d_gamma, T* d_beta, const T* d_y, const T* x, const T* gamma,
                         double eps, Index B, Index n) {
    sum_columns(ex, d_beta, d_gamma, B, n, [=](Index b, double* betas, double* gammas) {
        const RowMoments<T> row(x + b * n, n, eps);
        double sum = 0, slope = 0;
#pragma omp simd reduction(+ : sum, slope)
        for (Index c = 0; c < n; ++c) {
            const double h = static_cast<double>((x[b * n + c] - row.mean) * row.scale);
            const double g = static_cast<double>(d_y[b * n + c]);
            betas[c] += g;
            gammas[c] += g * h;
            sum += g * static_cast<double>(gamma[c]);
            slope += g * static_cast<double>(gamma[c]) * h;
        }
        const T mean_g = static_cast<T>(sum / static_cast<double>(n));
        const T mean_gh = static_cast<T>(slope / static_cast<double>(n));
        for (Index c = 0; c < n; ++c) {
            const T h = (x[b * n + c] - row.mean) * row.scale;
            d_x[b * n + c] = row.scale * (d_y[b * n + c] * gamma[c] - mean_g - h * mean_gh);
        }
    });
}

#define INSTANTIATE(T)                                                                                                 \
    template void column_moments(const Exec&, T*, T*, const T*, Index, Index);                                         \
    template void batch_norm_forward(const Exec&, T*, const T*, const T*, const T*, const T*, const T*, double, Index, \
                                     Index);                                                                           \
    template void batch_norm_backward(const Exec&, T*, T*, T*, const T*, const T*, const T*, const T*, const T*,       \
                                      double, bool, Index, Index);                                                     \
    template void layer_norm_forward(const Exec&, T*, const T*, const T*, const T*, double, Index, Index);             \
    template void layer_norm_backward(const Exec&, T*, T*, T*, const T*, const T*, const T*, double, Index, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
