#include "activations.hpp"

#include "rows.hpp"

namespace pyrec::cpu {
namespace {

constexpr double kSeluScale = 1.0507009873554805, kSeluAlpha = 1.6732632423543772;
constexpr double kNoDirection = 1e-12;  // vectors shorter than this

Index row_grain(Index n) { return std::clamp<Index>(32768 / std::max<Index>(n, 1), 1, 64); }

// out[i] = f(i), in parallel.
template <class T, class F> void map(const Exec& ex, T* out, Index n, F f) {
    parallel_ranges(ex, n, 16384, [=](Index begin, Index end) {
#pragma omp simd
        for (Index i = begin; i < end; ++i) out[i] = f(i);
    });
}

template <class T> void elu_forward(const Exec& ex, T* y, const T* x, Index n, double scale, double alpha) {
    map(ex, y, n, [=, s = static_cast<T>(scale), a = static_cast<T>(scale * alpha)](Index i) {
        const T v = x[i], e = math::expm1_nonpositive(v > T(0) ? T(0) : v);
        return v > T(0) ? s * v : a * e;
    });
}

// On the negative side f(x) = scale alpha (exp(x) - 1), so f'(x) = f(x) + scale alpha.
template <class T>
void elu_backward(const Exec& ex, T* d_x, const T* d_y, const T* y, Index n, double scale, double alpha) {
    map(ex, d_x, n, [=, s = static_cast<T>(scale), a = static_cast<T>(scale * alpha)](Index i) {
        return d_y[i] * (y[i] > T(0) ? s : y[i] + a);
    });
}

template <class T> void softmax_row(T* y, const T* x, Index n) {
    const T sum = row_exp(y, x, n, row_max(x, n)), scale = sum == T(0) ? T(0) : T(1) / sum;
#pragma omp simd
    for (Index j = 0; j < n; ++j) y[j] *= scale;
}

template <class T> void log_softmax_row(T* y, const T* x, Index n) {
    const T m = std::max(row_max(x, n), kLowest<T>);
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (Index j = 0; j < n; ++j) sum += math::exp_flushed(x[j] - m);
    const T log_sum = sum == T(0) ? T(0) : static_cast<T>(std::log(static_cast<double>(sum)));
#pragma omp simd
    for (Index j = 0; j < n; ++j) y[j] = (x[j] - m) - log_sum;
}

// In float64, where the squares of float32 neither overflow nor vanish.
template <class T> double dot(const T* x, const T* y, Index n) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (Index j = 0; j < n; ++j) sum += static_cast<double>(x[j]) * static_cast<double>(y[j]);
    return sum;
}

template <class T> double inverse_norm(const T* x, Index n) {
    const double norm = std::sqrt(dot(x, x, n));
    return norm < kNoDirection ? 0.0 : 1.0 / norm;
}

template <class T> void l2_normalize_row(T* y, const T* x, Index n) {
    const double scale = inverse_norm(x, n);
#pragma omp simd
    for (Index j = 0; j < n; ++j) y[j] = static_cast<T>(x[j] * scale);
}

template <class T> void softmax_row_backward(T* d_x, const T* d_y, const T* y, Index n) {
    const T along = static_cast<T>(dot(y, d_y, n));
#pragma omp simd
    for (Index j = 0; j < n; ++j) d_x[j] = y[j] * (d_y[j] - along);
}

template <class T> void log_softmax_row_backward(T* d_x, const T* d_y, const T* y, Index n) {
    const T sum = row_sum(d_y, n);
#pragma omp simd
    for (Index j = 0; j < n; ++j) d_x[j] = d_y[j] - math::exp_flushed(y[j]) * sum;
}

template <class T> void l2_normalize_row_backward(T* d_x, const T* d_y, const T* x, Index n) {
    const double scale = inverse_norm(x, n), along = dot(x, d_y, n) * scale * scale;
#pragma omp simd
    for (Index j = 0; j < n; ++j) d_x[j] = static_cast<T>((d_y[j] - along * x[j]) * scale);
}

}  // namespace

template <class T> void activation_forward(const Exec& ex, T* y, const T* x, Index n, Activation f, double alpha) {
    switch (f) {
        case Activation::identity:
            return map(ex, y, n, [=](Index i) { return x[i]; });
        case Activation::sigmoid:
            return map(ex, y, n, [=](Index i) { return math::sigmoid(x[i]); });
        case Activation::tanh:
            return map(ex, y, n, [=](Index i) { return math::tanh(x[i]); });
        case Activation::relu:
            return map(ex, y, n, [=](Index i) { return x[i] <= T(0) ? T(0) : x[i]; });
        case Activation::leaky:
            return map(ex, y, n, [=, a = static_cast<T>(alpha)](Index i) {
                const T v = x[i], low = a * v;
                return v > T(0) ? v : low;
            });
        case Activation::elu:
            return elu_forward(ex, y, x, n, 1.0, alpha);
        case Activation::selu:
            return elu_forward(ex, y, x, n, kSeluScale, kSeluAlpha);
        case Activation::softplus:
            return map(ex, y, n, [=](Index i) { return math::softplus(x[i]); });
    }
}

template <class T>
void activation_backward(const Exec& ex, T* d_x, const T* d_y, const T* y, Index n, Activation f, double alpha) {
    switch (f) {
        case Activation::identity:
            return map(ex, d_x, n, [=](Index i) { return d_y[i]; });
        case Activation::sigmoid:
            return map(ex, d_x, n, [=](Index i) { return d_y[i] * (y[i] * (T(1) - y[i])); });
        case Activation::tanh:
            return map(ex, d_x, n, [=](Index i) { return d_y[i] * (T(1) - y[i] * y[i]); });
        case Activation::relu:
            return map(ex, d_x, n, [=](Index i) {
                const T d = d_y[i];
                return y[i] <= T(0) ? T(0) : d;
            });
        case Activation::leaky:
            return map(ex, d_x, n, [=, a = static_cast<T>(alpha)](Index i) {
                const T d = d_y[i], low = a * d;
                return y[i] > T(0) ? d : low;
            });
        case Activation::elu:
            return elu_backward(ex, d_x, d_y, y, n, 1.0, alpha);
        case Activation::selu:
            return elu_backward(ex, d_x, d_y, y, n, kSeluScale, kSeluAlpha);
        case Activation::softplus:  // sigmoid(x) = 1 - exp(-y)
            return map(ex, d_x, n, [=](Index i) { return -d_y[i] * math::expm1_nonpositive(-y[i]); });
    }
}

template <class T> void row_forward(const Exec& ex, T* y, const T* x, Index B, Index n, RowActivation f) {
    parallel_for(ex, B, row_grain(n), [=](Index b) {
        switch (f) {
            case RowActivation::softmax:
                return softmax_row(y + b * n, x + b * n, n);
            case RowActivation::log_softmax:
                return log_softmax_row(y + b * n, x + b * n, n);
            case RowActivation::l2_normalize:
                return l2_normalize_row(y + b * n, x + b * n, n);
        }
    });
}

template <class T>
void row_backward(const Exec& ex, T* d_x, const T* d_y, const T* of, Index B, Index n, RowActivation f) {
    parallel_for(ex, B, row_grain(n), [=](Index b) {
        const Index at = b * n;
        switch (f) {
            case RowActivation::softmax:
                return softmax_row_backward(d_x + at, d_y + at, of + at, n);
            case RowActivation::log_softmax:
                return log_softmax_row_backward(d_x + at, d_y + at, of + at, n);
            case RowActivation::l2_normalize:
                return l2_normalize_row_backward(d_x + at, d_y + at, of + at, n);
        }
    });
}

template <class T>
void dropout(const Exec& ex, T* y, const T* x, Index n, double rate, const Stream& stream, std::uint64_t first) {
    const auto threshold = static_cast<std::uint32_t>(std::ceil(rate * 0x1p24));
    const T scale = static_cast<T>(1.0 / (1.0 - rate));
    const auto one = [=](Index i, std::uint32_t high_bits) {
        const T kept = scale * x[i];  // read in any case: a choice, not a branch that is wrong half the time
        y[i] = high_bits >> 8 >= threshold ? kept : T(0);
    };
    const auto alone = [=](Index i) { one(i, random_bits(stream, first + static_cast<std::uint64_t>(i)) >> 32); };
    parallel_ranges(ex, n, 16384, [=](Index begin, Index end) {
        if ((first + static_cast<std::uint64_t>(begin)) % 2) alone(begin++);  // the second half of its words
        const Index pairs = (end - begin) / 2;
        const std::uint64_t example = (first + static_cast<std::uint64_t>(begin)) / 2;
#pragma omp simd
        for (Index p = 0; p < pairs; ++p) {
            const Words w = random_words(stream, example + static_cast<std::uint64_t>(p), 0);
            one(begin + 2 * p, w.word[1]);
            one(begin + 2 * p + 1, w.word[3]);
        }
        if (begin + 2 * pairs < end) alone(end - 1);
    });
}

#define INSTANTIATE(T)                                                                                 \
    template void activation_forward(const Exec&, T*, const T*, Index, Activation, double);            \
    template void activation_backward(const Exec&, T*, const T*, const T*, Index, Activation, double); \
    template void row_forward(const Exec&, T*, const T*, Index, Index, RowActivation);                 \
    template void row_backward(const Exec&, T*, const T*, const T*, Index, Index, RowActivation);      \
    template void dropout(const Exec&, T*, const T*, Index, double, const Stream&, std::uint64_t);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
