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

#define INSTANTIATE(T)                                                                    \
    template void bi_interaction_forward(const Exec&, T*, const T*, Index, Index, Index); \
    template void bi_interaction_backward(const Exec&, T*, const T*, const T*, Index, Index, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
