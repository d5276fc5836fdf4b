// A block of threads works on one example at a time, a strip of its pairs after the other. What is made of a strip lies
// in shared memory; as many pairs as fit there make a strip.
#include <cmath>
#include <limits>
#include <stdexcept>

#include "interaction.hpp"
#include "pairs.cuh"

namespace pyrec::cuda {
namespace {

constexpr Index kSharedBytes = 48 * 1024, kMostPairs = 32;
constexpr Index kScalars = 3;  // of a pair: its score, weight and gradient
template <class T> constexpr T kLowest = std::numeric_limits<T>::lowest();

// Shared memory of a strip, and the work of a whole block on it.
template <class T> struct Strip {
    T *products, *units;             // (pairs, D), (pairs, A)
    T *scores, *weights, *d_scores;  // (pairs)
    Index count, first;              // of its pairs
    const T* e;                      // (F,D), of the example
    Index F;

    __device__ Strip(T* memory, Index most, Index A, Index D)
        : products(memory),
          units(products + most * D),
          scores(units + most * A),
          weights(scores + most),
          d_scores(weights + most) {}

    // Products, relu(w p + b) and scores of the pairs from `t` on.
    __device__ void score_pairs(const PairScore<T>& score, Index t, Index most) {
        const Index A = score.A, D = score.D, left = F * (F - 1) / 2 - t;
        first = t, count = left < most ? left : most;
        for (Index at = threadIdx.x; at < count * D; at += blockDim.x) {
            const FieldPair pair = field_pair(t + at / D, F);
            products[at] = e[pair.i * D + at % D] * e[pair.j * D + at % D];
        }
        __syncthreads();
        for (Index at = threadIdx.x; at < count * A; at += blockDim.x) {
            const T *p = products + at / A * D, *w = score.w + at % A * D;
            T sum = 0;
            for (Index d = 0; d < D; ++d) sum += w[d] * p[d];
            sum += score.b[at % A];
            units[at] = sum < 0 ? T(0) : sum;  // NaN stays
        }
        __syncthreads();
        for (Index s = threadIdx.x; s < count; s += blockDim.x) {
            T sum = 0;
            for (Index a = 0; a < A; ++a) sum += score.h[a] * units[s * A + a];
            scores[s] = sum;
        }
        __syncthreads();
    }
};

template <class T> Index strip_bytes(Index pairs, Index A, Index D) {
    return pairs * (A + D + kScalars) * static_cast<Index>(sizeof(T));
}

template <class T> Index pairs_of_strip(Index A, Index D) {
    const Index fitting = kSharedBytes / strip_bytes<T>(1, A, D);
    if (fitting == 0) throw std::invalid_argument("w must be smaller: a pair and its units must fit 48 KB");
    return fitting < kMostPairs ? fitting : kMostPairs;
}

// The softmax over all pairs, a strip after the other: when a larger score comes, what was summed is scaled down.
// Thread d owns pooled[d]; the maximum and the sum are made by every thread for itself, all in the same way.
template <class T>
__global__ void pool(T* pooled, T* log_sum, const T* emb, PairScore<T> score, Index B, Index F, Index most) {
    PYREC_SHARED(T, memory);
    Strip<T> strip(memory, most, score.A, score.D);
    const Index D = score.D, pairs = F * (F - 1) / 2;
    for (Index b = blockIdx.x; b < B; b += gridDim.x) {
        strip.e = emb + b * F * D, strip.F = F;
        T* const mean = pooled + b * D;
        for (Index d = threadIdx.x; d < D; d += blockDim.x) mean[d] = 0;
        T top = kLowest<T>, sum = 0;
        for (Index t = 0; t < pairs; t += most) {
            strip.score_pairs(score, t, most);
            const T before = top;
            for (Index s = 0; s < strip.count; ++s) top = strip.scores[s] > top ? strip.scores[s] : top;
            for (Index s = threadIdx.x; s < strip.count; s += blockDim.x)
                strip.weights[s] = std::exp(strip.scores[s] - top);
            __syncthreads();
            const T scale = std::exp(before - top);
            sum *= scale;
            for (Index s = 0; s < strip.count; ++s) sum += strip.weights[s];
            for (Index d = threadIdx.x; d < D; d += blockDim.x) {
                T total = mean[d] * scale;
                for (Index s = 0; s < strip.count; ++s) total += strip.weights[s] * strip.products[s * D + d];
                mean[d] = total;
            }
            __syncthreads();
        }
        for (Index d = threadIdx.x; d < D; d += blockDim.x) mean[d] = sum == 0 ? T(0) : mean[d] / sum;
        if (threadIdx.x == 0) log_sum[b] = top + std::log(sum);
    }
}

// sums (A, D + 2) += the gradients of w, b and h that the pairs of a strip give; each element has one thread.
template <class T>
__device__ void add_weight_gradients(double* sums, const Strip<T>& strip, const PairScore<T>& score) {
    const Index A = score.A, D = score.D;
    for (Index at = threadIdx.x; at < A * (D + 2); at += blockDim.x) {
        const Index a = at / (D + 2), k = at % (D + 2);
        T sum = 0;
        for (Index s = 0; s < strip.count; ++s) {
            const T unit = strip.units[s * A + a];
            const T factor = k == D + 1 ? unit : unit > 0 ? score.h[a] : T(0);
            sum += strip.d_scores[s] * factor * (k < D ? strip.products[s * D + k] : T(1));
        }
        sums[at] += static_cast<double>(sum);
    }
}

// Products become their gradients, a d_pooled + w^T d_units.
template <class T> __device__ void pair_gradients(Strip<T>& strip, const T* d_pooled, const PairScore<T>& score) {
    const Index A = score.A, D = score.D;
    for (Index at = threadIdx.x; at < strip.count * D; at += blockDim.x) {
        const Index s = at / D, d = at % D;
        T sum = 0;
        for (Index a = 0; a < A; ++a)
            if (strip.units[s * A + a] > 0) sum += score.h[a] * score.w[a * D + d];
        strip.products[at] = strip.weights[s] * d_pooled[d] + strip.d_scores[s] * sum;
    }
}

// d_e (F,D) += what the pairs of a strip give; each element has one thread.
template <class T> __device__ void add_field_gradients(T* d_e, const Strip<T>& strip, Index D) {
    const Index F = strip.F, end = strip.first + strip.count;
    for (Index at = threadIdx.x; at < F * D; at += blockDim.x) {
        const Index f = at / D, d = at % D;
        const auto add = [&](Index t, Index other) {
            if (t >= strip.first && t < end)
                d_e[at] += strip.products[(t - strip.first) * D + d] * strip.e[other * D + d];
        };
        const FieldPair from = field_pair(strip.first, F), to = field_pair(end - 1, F);
        for (Index i = from.i; i <= to.i && i < f; ++i) add(pair_number(i, f, F), i);
        if (f < from.i || f > to.i) continue;
        for (Index j = f + 1; j < F; ++j) add(pair_number(f, j, F), j);
    }
}

// One block per run of examples.
template <class T>
__global__ void gradients(T* d_emb, double* sums, const T* d_pooled, const T* pooled, const T* log_sum, const T* emb,
                          PairScore<T> score, Index B, Index F, Index run, Index most) {
    PYREC_SHARED(T, memory);
    const Index A = score.A, D = score.D, pairs = F * (F - 1) / 2, from = blockIdx.x * run;
    Strip<T> strip(memory, most, A, D);
    double* const own_sums = sums + blockIdx.x * A * (D + 2);
    for (Index at = threadIdx.x; at < A * (D + 2); at += blockDim.x) own_sums[at] = 0;
    for (Index b = from; b < B && b < from + run; ++b) {
        strip.e = emb + b * F * D, strip.F = F;
        const T* const d_mean = d_pooled + b * D;
        for (Index at = threadIdx.x; at < F * D; at += blockDim.x) d_emb[b * F * D + at] = 0;
        T mean = 0;
        for (Index d = 0; d < D; ++d) mean += d_mean[d] * pooled[b * D + d];
        for (Index t = 0; t < pairs; t += most) {
            strip.score_pairs(score, t, most);
            for (Index s = threadIdx.x; s < strip.count; s += blockDim.x) {
                T d = 0;
                for (Index k = 0; k < D; ++k) d += d_mean[k] * strip.products[s * D + k];
                strip.weights[s] = std::exp(strip.scores[s] - log_sum[b]);
                strip.d_scores[s] = strip.weights[s] * (d - mean);
            }
            __syncthreads();
            add_weight_gradients(own_sums, strip, score);
            __syncthreads();
            pair_gradients(strip, d_mean, score);
            __syncthreads();
            add_field_gradients(d_emb + b * F * D, strip, D);
            __syncthreads();
        }
    }
}

// One thread per element: the runs in their order.
template <class T> __global__ void add_runs(T* d_w, T* d_b, T* d_h, const double* sums, Index A, Index D, Index P) {
    const Index n = A * (D + 2);
    grid_stride(n, [=](Index at) {
        const Index a = at / (D + 2), k = at % (D + 2);
        double sum = 0;
        for (Index part = 0; part < P; ++part) sum += sums[part * n + at];
        (k < D ? d_w[a * D + k] : k == D ? d_b[a] : d_h[a]) = static_cast<T>(sum);
    });
}

}  // namespace

template <class T>
void attention_pooling_forward(const Exec& ex, T* pooled, T* log_sum, const T* emb, const PairScore<T>& score, Index B,
                               Index F) {
    const Index most = pairs_of_strip<T>(score.A, score.D), grid = B < Index{1} << 16 ? B : Index{1} << 16;
    launch(pool<T>, grid, kBlock, static_cast<std::size_t>(strip_bytes<T>(most, score.A, score.D)), ex.stream, pooled,
           log_sum, emb, score, B, F, most);
}

template <class T>
void attention_pooling_backward(const Exec& ex, T* d_emb, T* d_w, T* d_b, T* d_h, double* sums, const T* d_pooled,
                                const T* pooled, const T* log_sum, const T* emb, const PairScore<T>& score, Index B,
                                Index F, Index P) {
    const Index A = score.A, D = score.D, most = pairs_of_strip<T>(A, D);
    launch(gradients<T>, P, kBlock, static_cast<std::size_t>(strip_bytes<T>(most, A, D)), ex.stream, d_emb, sums,
           d_pooled, pooled, log_sum, emb, score, B, F, (B + P - 1) / P, most);
    launch(add_runs<T>, grid_for(A * (D + 2)), kBlock, 0, ex.stream, d_w, d_b, d_h, sums, A, D, P);
}

#define INSTANTIATE(T)                                                                                           \
    template void attention_pooling_forward(const Exec&, T*, T*, const T*, const PairScore<T>&, Index, Index);   \
    template void attention_pooling_backward(const Exec&, T*, T*, T*, T*, double*, const T*, const T*, const T*, \
                                             const T*, const PairScore<T>&, Index, Index, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cuda
