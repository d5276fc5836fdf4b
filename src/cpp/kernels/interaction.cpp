#include "interaction.hpp"

namespace pyrec::cpu {

template <class T> void bi_interaction_forward(const Exec& ex, T* out, const T* emb, Index B, Index F, Index D) {
    parallel_for(ex, B, 64, [=](Index b) {  // row b has one owner: no atomics, same bits for any thread count
        for (Index d = 0; d < D; ++d) {
            const T* e = emb + b * F * D + d;
            T prefix = 0, pairs = 0;  // unlike ((sum e)^2 - sum e^2) / 2, nothing cancels
            for (Index f = 0; f < F; ++f) pairs += prefix * e[f * D], prefix += e[f * D];
            out[b * D + d] = pairs;
        }
    });
}

template <class T>
void bi_interaction_backward(const Exec& ex, T* d_emb, const T* d_out, const T* emb, Index B, Index F, Index D) {
    parallel_for(ex, B, 64, [=](Index b) {
        for (Index d = 0; d < D; ++d) {
            const Index at = b * F * D + d;
            T sum = 0;
            for (Index f = 0; f < F; ++f) sum += emb[at + f * D];
            for (Index f = 0; f < F; ++f) d_emb[at + f * D] = d_out[b * D + d] * (sum - emb[at + f * D]);
        }
    });
}

namespace {

// f(d, width) for the dimensions [d, d + width) side by side: `width` is a constant 16, so that the loops over it
// become vectors, until fewer are left.
template <class F> void for_dimensions(Index D, F f) {
    constexpr std::integral_constant<Index, 16> whole;
    Index d = 0;
    for (; d + whole <= D; d += whole) f(d, whole);
    if (d < D) f(d, D - d);
}

}  // namespace

template <class T> void fm_forward(const Exec& ex, T* out, const T* emb, Index B, Index F, Index D) {
    parallel_for(ex, B, 64, [=](Index b) {
        T sum = 0;
        for_dimensions(D, [&](Index d, auto width) {
            T prefix[16] = {}, pairs[16] = {};  // as above
            for (const T *e = emb + b * F * D + d, *end = e + F * D; e != end; e += D)
                for (Index l = 0; l < width; ++l) pairs[l] += prefix[l] * e[l], prefix[l] += e[l];
            for (Index l = 0; l < width; ++l) sum += pairs[l];
        });
        out[b] = sum;
    });
}

template <class T> void fm_backward(const Exec& ex, T* d_emb, const T* d_out, const T* emb, Index B, Index F, Index D) {
    parallel_for(ex, B, 64, [=](Index b) {
        for_dimensions(D, [&](Index d, auto width) {
            const T* e = emb + b * F * D + d;
            T* to = d_emb + b * F * D + d;
            T sum[16] = {};
            for (Index f = 0; f < F; ++f)
                for (Index l = 0; l < width; ++l) sum[l] += e[f * D + l];
            for (Index f = 0; f < F; ++f)
                for (Index l = 0; l < width; ++l) to[f * D + l] = d_out[b] * (sum[l] - e[f * D + l]);
        });
    });
}

#define INSTANTIATE(T)                                                                               \
    template void bi_interaction_forward(const Exec&, T*, const T*, Index, Index, Index);            \
    template void bi_interaction_backward(const Exec&, T*, const T*, const T*, Index, Index, Index); \
    template void fm_forward(const Exec&, T*, const T*, Index, Index, Index);                        \
    template void fm_backward(const Exec&, T*, const T*, const T*, Index, Index, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
