#include "linalg.hpp"

#include "columns.cuh"

namespace pyrec::cuda {

template <class T> void column_sums(const Exec& ex, T* sums, const T* a, Index n, Index d) {
    sum_columns<Total>(ex, n, d, AddElement<T>{a, d}, StoreTotal<T>{sums});
}

#define INSTANTIATE(T) template void column_sums(const Exec&, T*, const T*, Index, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cuda
