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

}  // namespace

template <class T> void bi_interaction_forward(const Exec& ex, T* out, const T* emb, Index B, Index F, Index D) {
    launch(bi_forward<T>, grid_for(B * D), kBlock, 0, ex.stream, out, emb, B * D, F, D);
}

template <class T>
void bi_interaction_backward(const Exec& ex, T* d_emb, const T* d_out, const T* emb, Index B, Index F, Index D) {
    launch(bi_backward<T>, grid_for(B * D), kBlock, 0, ex.stream, d_emb, d_out, emb, B * D, F, D);
}

#define INSTANTIATE(T)                                                                    \
    template void bi_interaction_forward(const Exec&, T*, const T*, Index, Index, Index); \
    template void bi_interaction_backward(const Exec&, T*, const T*, const T*, Index, Index, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cuda
