#include "interaction.hpp"
#include "pairs.cuh"

namespace pyrec::cuda {
namespace {

// One thread per (b, t).
template <class T> __global__ void inner_products(T* out, const T* emb, Index n, Index F, Index D) {
    const Index pairs = F * (F - 1) / 2;
    grid_stride(n, [=](Index at) {
        const FieldPair pair = field_pair(at % pairs, F);
        const T* e = emb + at / pairs * F * D;
        T sum = 0;
        for (Index d = 0; d < D; ++d) sum += e[pair.i * D + d] * e[pair.j * D + d];
        out[at] = sum;
    });
}

// One thread per (b, f, d): it gathers what all pairs of its field give.
template <class T>
__global__ void inner_products_gradient(T* d_emb, const T* d_out, const T* emb, Index n, Index F, Index D) {
    const Index pairs = F * (F - 1) / 2;
    grid_stride(n, [=](Index at) {
        const Index d = at % D, f = at / D % F, b = at / D / F;
        const T *e = emb + b * F * D + d, *of = d_out + b * pairs;
        T sum = 0;
        for (Index i = 0; i < f; ++i) sum += of[pair_number(i, f, F)] * e[i * D];
        for (Index j = f + 1; j < F; ++j) sum += of[pair_number(f, j, F)] * e[j * D];
        d_emb[at] = sum;
    });
}

}  // namespace

template <class T> void inner_products_forward(const Exec& ex, T* out, const T* emb, Index B, Index F, Index D) {
    const Index n = B * (F * (F - 1) / 2);
    launch(inner_products<T>, grid_for(n), kBlock, 0, ex.stream, out, emb, n, F, D);
}

template <class T>
void inner_products_backward(const Exec& ex, T* d_emb, const T* d_out, const T* emb, Index B, Index F, Index D) {
    const Index n = B * F * D;
    launch(inner_products_gradient<T>, grid_for(n), kBlock, 0, ex.stream, d_emb, d_out, emb, n, F, D);
}

#define INSTANTIATE(T)                                                                    \
    template void inner_products_forward(const Exec&, T*, const T*, Index, Index, Index); \
    template void inner_products_backward(const Exec&, T*, const T*, const T*, Index, Index, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cuda
