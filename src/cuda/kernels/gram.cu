#include "gram.hpp"

#include "reduce.cuh"

namespace pyrec::cuda {
namespace {

constexpr Index kWidth = 2048;  // columns of a row that a block sums up in shared memory
constexpr int kThreads = 128;

// A block takes some columns of the row of item i: of all users of the item, one after the other, its lanes add up what
// the user has in these columns, side by side.
template <class T>
__global__ void rows(T* out, Csr<T> X, const T* weights, ByItem by, Index first_row, Index count, Index parts) {
    PYREC_SHARED(double, sum);
    for_rows(count * parts, [=](Index at) {
        const Index row = at / parts, i = first_row + row, first = at % parts * kWidth, left = X.cols - first;
        const Index width = left < kWidth ? left : kWidth;
        for_elements(width, [=](Index j) { sum[j] = 0.0; });
        __syncthreads();
        for (Index p = by.start[i]; p < by.start[i + 1]; ++p) {
            const Index u = by.user[p], from = X.indptr[u];
            const double weight = weights ? static_cast<double>(weights[u]) : 1.0, x = X.data[by.entry[p]];
            for_elements(X.indptr[u + 1] - from, [=](Index e) {
                const Index j = X.indices[from + e] - first;
                // The product is the same from both sides, and so the matrix symmetric to the last bit.
                if (j >= 0 && j < width) sum[j] += weight * (x * static_cast<double>(X.data[from + e]));
            });
            __syncthreads();  // the next user may have the same items
        }
        for_elements(width, [=](Index j) { out[row * X.cols + first + j] = static_cast<T>(sum[j]); });
        __syncthreads();
    });
}

}  // namespace

template <class T>
void gram(const Exec& ex, T* out, const Csr<T>& X, const T* weights, const ByItem& by, Index first, Index count) {
    const Index parts = (X.cols + kWidth - 1) / kWidth, width = X.cols < kWidth ? X.cols : kWidth;
    launch(rows<T>, row_grid(count * parts), kThreads, static_cast<std::size_t>(width) * sizeof(double), ex.stream, out,
           X, weights, by, first, count, parts);
}

#define INSTANTIATE(T) template void gram(const Exec&, T*, const Csr<T>&, const T*, const ByItem&, Index, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cuda
