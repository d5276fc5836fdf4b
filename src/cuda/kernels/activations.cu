#include "activations.hpp"

#include "math.hpp"
#include "reduce.cuh"

namespace pyrec::cuda {
namespace {

constexpr double kSeluScale = 1.0507009873554805, kSeluAlpha = 1.6732632423543772;
constexpr double kNoDirection = 1e-12;  // vectors shorter than this

// What scales the positive side of elu and selu, and exp(x) - 1 on the other.
template <class T> struct Slopes {
    T positive, negative;
};
template <class T> Slopes<T> slopes_of(Activation f, double alpha) {
    if (f != Activation::selu) return {T(1), static_cast<T>(alpha)};
    return {static_cast<T>(kSeluScale), static_cast<T>(kSeluScale * kSeluAlpha)};
}

template <class T> __global__ void forward(T* y, const T* x, Index n, Activation f, Slopes<T> s) {
    grid_stride(n, [=](Index i) {
        const T v = x[i];
        switch (f) {
            case Activation::identity:
                y[i] = v;
                break;
            case Activation::sigmoid:
                y[i] = math::sigmoid(v);
                break;
            case Activation::tanh:
                y[i] = math::tanh(v);
                break;
            case Activation::relu:
                y[i] = v <= T(0) ? T(0) : v;
                break;
            case Activation::leaky:
                y[i] = v > T(0) ? v : s.negative * v;
                break;
            case Activation::elu:
            case Activation::selu:
                y[i] = v > T(0) ? s.positive * v : s.negative * math::expm1_nonpositive(v);
                break;
            case Activation::softplus:
                y[i] = math::softplus(v);
                break;
        }
    });
}

template <class T> __global__ void backward(T* d_x, const T* d_y, const T* y, Index n, Activation f, Slopes<T> s) {
    grid_stride(n, [=](Index i) {
        const T d = d_y[i], v = y[i];
        switch (f) {
            case Activation::identity:
                d_x[i] = d;
                break;
            case Activation::sigmoid:
                d_x[i] = d * (v * (T(1) - v));
                break;
            case Activation::tanh:
                d_x[i] = d * (T(1) - v * v);
                break;
            case Activation::relu:
                d_x[i] = v <= T(0) ? T(0) : d;
                break;
            case Activation::leaky:
                d_x[i] = v > T(0) ? d : s.negative * d;
                break;
            case Activation::elu:
            case Activation::selu:
                d_x[i] = d * (v > T(0) ? s.positive : v + s.negative);
                break;
            case Activation::softplus:  // sigmoid(x) = 1 - exp(-y)
                d_x[i] = -d * math::expm1_nonpositive(-v);
                break;
        }
    });
}

// In float64, where the squares of float32 neither overflow nor vanish.
template <class T> __device__ double dot(const T* x, const T* y, Index n, double* shared) {
    double sum = 0;
    for_elements(n, [&](Index j) { sum += static_cast<double>(x[j]) * static_cast<double>(y[j]); });
    return block_reduce(sum, Sum{}, shared);
}

template <class T> __device__ double inverse_norm(const T* x, Index n, double* shared) {
    const double norm = std::sqrt(dot(x, x, n, shared));
    return norm < kNoDirection ? 0.0 : 1.0 / norm;
}

template <class T> __global__ void rows_forward(T* out, const T* in, Index B, Index n, RowActivation f) {
    PYREC_SHARED(double, shared);
    for_rows(B, [=](Index b) {
        T* y = out + b * n;
        const T* x = in + b * n;
        if (f == RowActivation::l2_normalize) {
            const double scale = inverse_norm(x, n, shared);
            for_elements(n, [=](Index j) { y[j] = static_cast<T>(x[j] * scale); });
            return;
        }
        T m = std::numeric_limits<T>::lowest();  // where all are -inf, each is exp(-inf)
        for_elements(n, [&](Index j) { m = Max{}(m, x[j]); });
        m = block_reduce(m, Max{}, reinterpret_cast<T*>(shared));
        T sum = 0;
        for_elements(n, [&](Index j) { sum += math::exp_flushed(x[j] - m); });
        sum = block_reduce(sum, Sum{}, reinterpret_cast<T*>(shared));
        if (f == RowActivation::softmax) {
            const T scale = sum == T(0) ? T(0) : T(1) / sum;
            for_elements(n, [=](Index j) { y[j] = math::exp_flushed(x[j] - m) * scale; });
        } else {
            const T log_sum = sum == T(0) ? T(0) : static_cast<T>(std::log(static_cast<double>(sum)));
            for_elements(n, [=](Index j) { y[j] = (x[j] - m) - log_sum; });
        }
    });
}

template <class T> __global__ void rows_backward(T* out, const T* in, const T* of, Index B, Index n, RowActivation f) {
    PYREC_SHARED(double, shared);
    for_rows(B, [=](Index b) {
        T* d_x = out + b * n;
        const T *d_y = in + b * n, *v = of + b * n;
        if (f == RowActivation::softmax) {
            const T along = static_cast<T>(dot(v, d_y, n, shared));
            for_elements(n, [=](Index j) { d_x[j] = v[j] * (d_y[j] - along); });
        } else if (f == RowActivation::log_softmax) {
            T sum = 0;
            for_elements(n, [&](Index j) { sum += d_y[j]; });
            sum = block_reduce(sum, Sum{}, reinterpret_cast<T*>(shared));
            for_elements(n, [=](Index j) { d_x[j] = d_y[j] - math::exp_flushed(v[j]) * sum; });
        } else {
            const double scale = inverse_norm(v, n, shared), along = dot(v, d_y, n, shared) * scale * scale;
            for_elements(n, [=](Index j) { d_x[j] = static_cast<T>((d_y[j] - along * v[j]) * scale); });
        }
    });
}

// A thread takes both halves of the words of an example of the stream.
template <class T>
__global__ void drop(T* y, const T* x, Index n, std::uint32_t threshold, T scale, Stream stream, std::uint64_t first) {
    const std::uint64_t begin = first / 2, end = (first + static_cast<std::uint64_t>(n) + 1) / 2;
    grid_stride(static_cast<Index>(end - begin), [=](Index p) {
        const std::uint64_t example = begin + static_cast<std::uint64_t>(p);
        const Words w = random_words(stream, example, 0);
        for (int half = 0; half < 2; ++half) {
            const Index i = static_cast<Index>(2 * example + static_cast<std::uint64_t>(half) - first);
            if (i >= 0 && i < n) y[i] = w.word[2 * half + 1] >> 8 >= threshold ? scale * x[i] : T(0);
        }
    });
}

constexpr std::size_t kShared = kWarpsOfBlock * sizeof(double);

}  // namespace

template <class T> void activation_forward(const Exec& ex, T* y, const T* x, Index n, Activation f, double alpha) {
    launch(forward<T>, grid_for(n), kBlock, 0, ex.stream, y, x, n, f, slopes_of<T>(f, alpha));
}

template <class T>
void activation_backward(const Exec& ex, T* d_x, const T* d_y, const T* y, Index n, Activation f, double alpha) {
    launch(backward<T>, grid_for(n), kBlock, 0, ex.stream, d_x, d_y, y, n, f, slopes_of<T>(f, alpha));
}

template <class T> void row_forward(const Exec& ex, T* y, const T* x, Index B, Index n, RowActivation f) {
    launch(rows_forward<T>, row_grid(B), row_block(n), kShared, ex.stream, y, x, B, n, f);
}

template <class T>
void row_backward(const Exec& ex, T* d_x, const T* d_y, const T* of, Index B, Index n, RowActivation f) {
    launch(rows_backward<T>, row_grid(B), row_block(n), kShared, ex.stream, d_x, d_y, of, B, n, f);
}

template <class T>
void dropout(const Exec& ex, T* y, const T* x, Index n, double rate, const Stream& stream, std::uint64_t first) {
    const auto threshold = static_cast<std::uint32_t>(std::ceil(rate * 0x1p24));
    const T scale = static_cast<T>(1.0 / (1.0 - rate));
    launch(drop<T>, grid_for(n / 2 + 1), kBlock, 0, ex.stream, y, x, n, threshold, scale, stream, first);
}

#define INSTANTIATE(T)                                                                                 \
    template void activation_forward(const Exec&, T*, const T*, Index, Activation, double);            \
    template void activation_backward(const Exec&, T*, const T*, const T*, Index, Activation, double); \
    template void row_forward(const Exec&, T*, const T*, Index, Index, RowActivation);                 \
    template void row_backward(const Exec&, T*, const T*, const T*, Index, Index, RowActivation);      \
    template void dropout(const Exec&, T*, const T*, Index, double, const Stream&, std::uint64_t);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cuda
