#include "interaction.hpp"

namespace pyrec::cuda {
namespace {

// One thread per (b, d): neighbours read and write neighbours, and no element has two writers.

template <class T> __global__ void bi_forward(T* out, const T* emb, Index n, Index F, Index D) {
    grid_stride(n, [=](Index i) {
        const T* e = emb + i / D * F * D + i % D;
        T prefix = 0, pairs = 0;
        for (Index f = 0; f < F; ++f) pairs += prefix * e[f * D], prefix += e[f * D];
        out[i] = pairs;
    });
}

template <class T> __global__ void bi_backward(T* d_emb, const T* d_out, const T* emb, Index n, Index F, Index D) {
    grid_stride(n, [=](Index i) {
        const Index at = i / D * F * D + i % D;
        T sum = 0;
        for (Index f = 0; f < F; ++f) sum += emb[at + f * D];
        for (Index f = 0; f < F; ++f) d_emb[at + f * D] = d_out[i] * (sum - emb[at + f * D]);
    });
}

constexpr int kWarp = 32;

// One warp per b, its lanes side by side along d.
template <class T> __global__ void fm_pairs(T* out, const T* emb, Index B, Index F, Index D) {
    const Index lane = threadIdx.x % kWarp, warps = Index{gridDim.x} * blockDim.x / kWarp;
    for (Index b = (Index{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp; b < B; b += warps) {
        T pairs = 0;
        for (Index d = lane; d < D; d += kWarp) {
            const T* e = emb + b * F * D + d;
            T prefix = 0;
            for (Index f = 0; f < F; ++f) pairs += prefix * e[f * D], prefix += e[f * D];
        }
        for (int other = kWarp / 2; other > 0; other /= 2) pairs += __shfl_xor_sync(0xffffffff, pairs, other);
        if (lane == 0) out[b] = pairs;
    }
}

template <class T> __global__ void fm_gradient(T* d_emb, const T* d_out, const T* emb, Index n, Index F, Index D) {
    grid_stride(n, [=](Index i) {
        const Index at = i / D * F * D + i % D;
        T sum = 0;
        for (Index f = 0; f < F; ++f) sum += emb[at + f * D];
        for (Index f = 0; f < F; ++f) d_emb[at + f * D] = d_out[i / D] * (sum - emb[at + f * D]);
    });
}

}  // namespace

template <class T> void bi_interaction_forward(const Exec& ex, T* out, const T* emb, Index B, Index F, Index D) {
    launch(bi_forward<T>, grid_for(B * D), kBlock, 0, ex.stream, out, emb, B * D, F, D);
}

template <class T>
void bi_interaction_backward(const Exec& ex, T* d_emb, const T* d_out, const T* emb, Index B, Index F, Index D) {
    launch(bi_backward<T>, grid_for(B * D), kBlock, 0, ex.stream, d_emb, d_out, emb, B * D, F, D);
}

template <class T> void fm_forward(const Exec& ex, T* out, const T* emb, Index B, Index F, Index D) {
    launch(fm_pairs<T>, grid_for(B * kWarp), kBlock, 0, ex.stream, out, emb, B, F, D);
}

template <class T> void fm_backward(const Exec& ex, T* d_emb, const T* d_out, const T* emb, Index B, Index F, Index D) {
    launch(fm_gradient<T>, grid_for(B * D), kBlock, 0, ex.stream, d_emb, d_out, emb, B * D, F, D);
}

#define INSTANTIATE(T)                                                                               \
    template void bi_interaction_forward(const Exec&, T*, const T*, Index, Index, Index);            \
    template void bi_interaction_backward(const Exec&, T*, const T*, const T*, Index, Index, Index); \
    template void fm_forward(const Exec&, T*, const T*, Index, Index, Index);                        \
    template void fm_backward(const Exec&, T*, const T*, const T*, Index, Index, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cuda
