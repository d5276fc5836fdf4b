#include "interaction.hpp"

#include "dimensions.hpp"

namespace pyrec::cpu {
namespace {

// pairs[l] = sum_{i<j} e[i][l] e[j][l] over F rows, D apart. Unlike ((sum e)^2 - sum e^2) / 2, nothing cancels.
template <class T, class Width> void sum_pairs(T* pairs, const T* e, Index F, Index D, Width width) {
    T prefix[kSide] = {}, sum[kSide] = {};
    for (Index f = 0; f < F; ++f, e += D)
        for (Index l = 0; l < width; ++l) sum[l] += prefix[l] * e[l], prefix[l] += e[l];
    std::copy_n(sum, static_cast<Index>(width), pairs);
}

// d_emb[b,f,d] = d_out(b, d) * (sum_j emb[b,j,d] - emb[b,f,d])
template <class T, class D_out>
void pairs_backward(const Exec& ex, T* d_emb, D_out d_out, const T* emb, Index B, Index F, Index D) {
    parallel_for(ex, B, 64, [=](Index b) {
        for_dimensions(D, [&](Index d, auto width) {
            const T* e = emb + b * F * D + d;
            T *to = d_emb + b * F * D + d, sum[kSide] = {};
            for (Index f = 0; f < F; ++f)
                for (Index l = 0; l < width; ++l) sum[l] += e[f * D + l];
            for (Index f = 0; f < F; ++f)
                for (Index l = 0; l < width; ++l) to[f * D + l] = d_out(b, d + l) * (sum[l] - e[f * D + l]);
        });
    });
}

}  // namespace

template <class T> void bi_interaction_forward(const Exec& ex, T* out, const T* emb, Index B, Index F, Index D) {
    parallel_for(ex, B, 64, [=](Index b) {  // row b has one owner: no atomics, same bits for any thread count
        for_dimensions(D, [&](Index d, auto width) { sum_pairs(out + b * D + d, emb + b * F * D + d, F, D, width); });
    });
}

template <class T>
void bi_interaction_backward(const Exec& ex, T* d_emb, const T* d_out, const T* emb, Index B, Index F, Index D) {
    pairs_backward(ex, d_emb, [=](Index b, Index d) { return d_out[b * D + d]; }, emb, B, F, D);
}

template <class T> void fm_forward(const Exec& ex, T* out, const T* emb, Index B, Index F, Index D) {
    parallel_for(ex, B, 64, [=](Index b) {
        T sum = 0;
        for_dimensions(D, [&](Index d, auto width) {
            T pairs[kSide];
            sum_pairs(pairs, emb + b * F * D + d, F, D, width);
            for (Index l = 0; l < width; ++l) sum += pairs[l];
        });
        out[b] = sum;
    });
}

template <class T> void fm_backward(const Exec& ex, T* d_emb, const T* d_out, const T* emb, Index B, Index F, Index D) {
    pairs_backward(ex, d_emb, [=](Index b, Index) { return d_out[b]; }, emb, B, F, D);
}

#define INSTANTIATE(T)                                                                               \
    template void bi_interaction_forward(const Exec&, T*, const T*, Index, Index, Index);            \
    template void bi_interaction_backward(const Exec&, T*, const T*, const T*, Index, Index, Index); \
    template void fm_forward(const Exec&, T*, const T*, Index, Index, Index);                        \
    template void fm_backward(const Exec&, T*, const T*, const T*, Index, Index, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
