#include <limits>

#include "cin.hpp"

namespace pyrec::cpu {
namespace {

Index examples_per_chunk(Index O, Index D) { return std::clamp<Index>(16384 / std::max<Index>(1, O * D), 1, 256); }

}  // namespace

template <class T>
void cin_pool_forward(const Exec& ex, T* pooled, T* hidden, const T* a, Index B, Index O, Index D, Index P, Index N,
                      bool relu) {
    const T low = relu ? T(0) : -std::numeric_limits<T>::infinity();
    parallel_for(ex, B, examples_per_chunk(O, D), [=](Index b) {
        const T* maps = a + b * O * D;
        for (Index o = 0; o < P; ++o) {
            T sum = 0;
#pragma omp simd reduction(+ : sum)
            for (Index d = 0; d < D; ++d) sum += maps[o * D + d] < low ? low : maps[o * D + d];  // NaN stays
            pooled[b * P + o] = sum;
        }
        const T* from = maps + (O - N) * D;
        T* to = hidden + b * N * D;
        for (Index k = 0; k < N * D; ++k) to[k] = from[k] < low ? low : from[k];
    });
}

template <class T>
void cin_pool_backward(const Exec& ex, T* d_a, const T* d_pooled, const T* d_hidden, const T* a, Index B, Index O,
                       Index D, Index P, Index N, bool relu) {
    parallel_for(ex, B, examples_per_chunk(O, D), [=](Index b) {
        for (Index o = 0; o < O; ++o) {
            const T g = o < P ? d_pooled[b * P + o] : T(0);
            const T* more = o < O - N ? nullptr : d_hidden + (b * N + o - (O - N)) * D;
            const T* x = a + (b * O + o) * D;
            T* to = d_a + (b * O + o) * D;
            for (Index d = 0; d < D; ++d) to[d] = more ? g + more[d] : g;
            if (relu)
                for (Index d = 0; d < D; ++d) to[d] = x[d] > T(0) ? to[d] : T(0);
        }
    });
}

#define INSTANTIATE(T)                                                                                                \
    template void cin_pool_forward(const Exec&, T*, T*, const T*, Index, Index, Index, Index, Index, bool);           \
    template void cin_pool_backward(const Exec&, T*, const T*, const T*, const T*, Index, Index, Index, Index, Index, \
                                    bool);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
