#include "norm.hpp"

#include <cmath>

#include "columns.cuh"
#include "reduce.cuh"

namespace pyrec::cuda {
namespace {

template <class T> __device__ T inverse_root(T var, double eps) {
    return static_cast<T>(1.0 / std::sqrt(static_cast<double>(var) + eps));
}

// Of a column: sums of numbers and of their squares, both around the first number, near which nothing cancels.
struct Moments {
    double count = 0, around = 0, sum = 0, squares = 0;
    __device__ void add(double x) {
        if (count == 0) around = x;
        const double from = x - around;
        count += 1, sum += from, squares += from * from;
    }
    __device__ double mean() const { return around + sum / count; }
    __device__ double squares_around_mean() const { return squares - sum * sum / count; }
    // Chan et al. 1979
    __device__ void merge(const Moments& other) {
        if (other.count == 0) return;
        if (count == 0) {
            *this = other;
            return;
        }
        const double both = count + other.count, apart = other.mean() - mean();
        squares = squares_around_mean() + other.squares_around_mean() + apart * apart * (count * other.count / both);
        around = mean() + apart * (other.count / both);
        sum = 0, count = both;
    }
};

template <class T> struct AddMoments {
    const T* x;
    Index n;
    __device__ void operator()(Moments& moments, Index b, Index c) const {
        moments.add(static_cast<double>(x[b * n + c]));
    }
};
template <class T> struct StoreMoments {
    T *mean, *var;
    __device__ void operator()(Index, Index c, const Moments& moments) const {
        mean[c] = static_cast<T>(moments.mean());
        var[c] = static_cast<T>(moments.squares_around_mean() / moments.count);
    }
};

// The sums of a column that are the gradients of beta and gamma.
struct Slopes {
    double beta = 0, gamma = 0;
    __device__ void merge(const Slopes& other) { beta += other.beta, gamma += other.gamma; }
};
template <class T> struct StoreSlopes {
    T *d_beta, *d_gamma;
    __device__ void operator()(Index, Index c, const Slopes& slopes) const {
        d_beta[c] = static_cast<T>(slopes.beta);
        d_gamma[c] = static_cast<T>(slopes.gamma);
    }
};

template <class T> struct AddBatchSlopes {
    const T *d_y, *x, *mean;
    Index n;
    __device__ void operator()(Slopes& slopes, Index b, Index c) const {
        const double g = static_cast<double>(d_y[b * n + c]);
        slopes.beta += g;
        slopes.gamma += g * static_cast<double>(x[b * n + c] - mean[c]);
    }
};
template <class T> struct StoreBatchSlopes {
    T *d_beta, *d_gamma;
    const T* var;
    double eps;
    __device__ void operator()(Index, Index c, const Slopes& slopes) const {
        d_beta[c] = static_cast<T>(slopes.beta);
        d_gamma[c] = static_cast<T>(slopes.gamma / std::sqrt(static_cast<double>(var[c]) + eps));
    }
};

// A thread keeps to one column, whose numbers it works out once.

template <class T>
__global__ void batch_forward(T* y, const T* x, const T* mean, const T* var, const T* gamma, const T* beta, double eps,
                              Index B, Index n, Index rows) {
    const Place at(B, n, rows);
    const Index c = at.column;
    if (c >= n) return;
    const T middle = mean[c], factor = gamma[c] * inverse_root(var[c], eps), shift = beta[c];
    at.for_rows([=](Index b) { y[b * n + c] = (x[b * n + c] - middle) * factor + shift; });
}

template <class T>
__global__ void batch_backward(T* d_x, const T* d_gamma, const T* d_beta, const T* d_y, const T* x, const T* mean,
                               const T* var, const T* gamma, double eps, T share, Index B, Index n, Index rows) {
    const Place at(B, n, rows);
    const Index c = at.column;
    if (c >= n) return;
    const T middle = mean[c], scale = inverse_root(var[c], eps), factor = gamma[c] * scale;
    const T level = share * d_beta[c], slope = share * d_gamma[c] * scale;
    at.for_rows([=](Index b) {
        const Index i = b * n + c;
        d_x[i] = factor * (d_y[i] - (level + (x[i] - middle) * slope));
    });
}

// Mean of a row, and 1 / sqrt(var + eps).
template <class T> struct RowMoments {
    T mean, scale;
};
template <class T> __device__ RowMoments<T> row_moments(const T* x, Index n, double eps, double* shared) {
    double sum = 0, squares = 0;
    for_elements(n, [&](Index c) { sum += static_cast<double>(x[c]); });
    const double middle = block_reduce(sum, Sum{}, shared) / static_cast<double>(n);
    for_elements(n, [&](Index c) {
        const double from = static_cast<double>(x[c]) - middle;
        squares += from * from;
    });
    squares = block_reduce(squares, Sum{}, shared);
    return {static_cast<T>(middle), static_cast<T>(1.0 / std::sqrt(squares / static_cast<double>(n) + eps))};
}

template <class T>
__global__ void layer_forward(T* y, const T* x, const T* gamma, const T* beta, double eps, Index B, Index n) {
    PYREC_SHARED(double, shared);
    for_rows(B, [=](Index b) {
        const RowMoments<T> row = row_moments(x + b * n, n, eps, shared);
        for_elements(n, [=](Index c) { y[b * n + c] = (x[b * n + c] - row.mean) * row.scale * gamma[c] + beta[c]; });
    });
}

template <class T>
__global__ void layer_backward(T* d_x, RowMoments<T>* moments, const T* d_y, const T* x, const T* gamma, double eps,
                               Index B, Index n) {
    PYREC_SHARED(double, shared);
    for_rows(B, [=](Index b) {
        const RowMoments<T> row = row_moments(x + b * n, n, eps, shared);
        if (threadIdx.x == 0) moments[b] = row;
        const auto h = [=](Index c) { return (x[b * n + c] - row.mean) * row.scale; };
        double sum = 0, slope = 0;
        for_elements(n, [&](Index c) {
            const double g = static_cast<double>(d_y[b * n + c]) * static_cast<double>(gamma[c]);
            sum += g;
            slope += g * static_cast<double>(h(c));
        });
        const T mean_g = static_cast<T>(block_reduce(sum, Sum{}, shared) / static_cast<double>(n));
        const T mean_gh = static_cast<T>(block_reduce(slope, Sum{}, shared) / static_cast<double>(n));
        for_elements(
            n, [=](Index c) { d_x[b * n + c] = row.scale * (d_y[b * n + c] * gamma[c] - mean_g - h(c) * mean_gh); });
    });
}

template <class T> struct AddLayerSlopes {
    const T *d_y, *x;
    const RowMoments<T>* moments;
    Index n;
    __device__ void operator()(Slopes& slopes, Index b, Index c) const {
        const RowMoments<T> row = moments[b];
        const double g = static_cast<double>(d_y[b * n + c]);
        slopes.beta += g;
        slopes.gamma += g * static_cast<double>((x[b * n + c] - row.mean) * row.scale);
    }
};

constexpr std::size_t kShared = kWarpsOfBlock * sizeof(double);

}  // namespace

template <class T> void column_moments(const Exec& ex, T* mean, T* var, const T* x, Index B, Index n) {
    sum_columns<Moments>(ex, B, n, AddMoments<T>{x, n}, StoreMoments<T>{mean, var});
}

template <class T>
void batch_norm_forward(const Exec& ex, T* y, const T* x, const T* mean, const T* var, const T* gamma, const T* beta,
                        double eps, Index B, Index n) {
    launch(batch_forward<T>, column_grid(parts_of(B), n), kBlock, 0, ex.stream, y, x, mean, var, gamma, beta, eps, B, n,
           rows_of_part(B));
}

template <class T>
void batch_norm_backward(const Exec& ex, T* d_x, T* d_gamma, T* d_beta, const T* d_y, const T* x, const T* mean,
                         const T* var, const T* gamma, double eps, bool constants, Index B, Index n) {
    sum_columns<Slopes>(ex, B, n, AddBatchSlopes<T>{d_y, x, mean, n}, StoreBatchSlopes<T>{d_beta, d_gamma, var, eps});
    const T share = constants || B == 0 ? T(0) : T(1) / static_cast<T>(B);
    launch(batch_backward<T>, column_grid(parts_of(B), n), kBlock, 0, ex.stream, d_x, d_gamma, d_beta, d_y, x, mean,
           var, gamma, eps, share, B, n, rows_of_part(B));
}

template <class T>
void layer_norm_forward(const Exec& ex, T* y, const T* x, const T* gamma, const T* beta, double eps, Index B, Index n) {
    launch(layer_forward<T>, row_grid(B), row_block(n), kShared, ex.stream, y, x, gamma, beta, eps, B, n);
}

template <class T>
void layer_norm_backward(const Exec& ex, T* d_x, T* d_gamma, T* d_beta, const T* d_y, const T* x, const T* gamma,
                         double eps, Index B, Index n) {
    Scratch<RowMoments<T>> moments(ex, B);
    launch(layer_backward<T>, row_grid(B), row_block(n), kShared, ex.stream, d_x, moments.data(), d_y, x, gamma, eps, B,
           n);
    sum_columns<Slopes>(ex, B, n, AddLayerSlopes<T>{d_y, x, moments.data(), n}, StoreSlopes<T>{d_beta, d_gamma});
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

}  // namespace pyrec::cuda
