#include "topk.hpp"

#include <limits>

#include "lists.cuh"
#include "reduce.cuh"

namespace pyrec::cuda {
namespace {

constexpr Index kMost = 1024;  // items that a block can keep

// Scored items in shared memory, with room for `capacity`, of which the block keeps the k best.
template <class T> struct Buffer {
    T* score;
    Id* item;
    int* count;
    int k, capacity;

    // The k best to the front, in order. A network in which the better of two always moves to the front, so that what
    // lies beyond the count need not exist. All lanes come here, after a barrier; there is one at the end.
    __device__ void sort() {
        const int n = *count;
        __syncthreads();  // all have read it
        for (int size = 2; size / 2 < n; size *= 2) {
            for (int step = size / 2; step > 0; step /= 2) {
                for (int pair = static_cast<int>(threadIdx.x); pair < capacity / 2; pair += kBlock) {
                    const int in = pair % step, first = pair / step * 2 * step + in;
                    // The first step of a size compares with the mirror image: both halves are in order.
                    const int second = step == size / 2 ? first - in + 2 * step - 1 - in : first + step;
                    if (second < n && better(score[second], item[second], score[first], item[first])) {
                        const T s = score[first];
                        const Id i = item[first];
                        score[first] = score[second], item[first] = item[second];
                        score[second] = s, item[second] = i;
                    }
                }
                __syncthreads();
            }
        }
        if (threadIdx.x == 0) *count = n < k ? n : k;
        __syncthreads();
    }
};

// Places `first` .. `first + k - 1` of each row: the k best of what comes after the item at the place before.
template <class T>
__global__ void best_of_rows(Id* out_items, T* out_scores, Id* nans, const T* scores, Index n, Index I, Index width,
                             Index first, int k, int capacity, Filter filter) {
    PYREC_SHARED(double, shared);
    int* const counts = reinterpret_cast<int*>(shared);  // of the buffer, and for sums
    T* const room = reinterpret_cast<T*>(shared + kWarpsOfBlock);
    const Buffer<T> buffer{room, reinterpret_cast<Id*>(room + capacity), counts, k, capacity};
    for_rows(n, [=](Index b) mutable {
        Buffer<T> best = buffer;
        const T* row = scores + b * I;
        Id* const items = out_items + b * width + first;
        T* const kept = out_scores + b * width + first;
        const Id *excluded = filter.excluded.begin(b), *excluded_end = filter.excluded.end(b);
        const Id* listed = filter.candidates ? filter.candidates.begin(b) : nullptr;
        const Id last = first > 0 ? items[-1] : -1;  // what is taken already; -1: nothing, or there is nothing left
        const T last_score = first > 0 ? kept[-1] : T(0);
        Index count = listed ? filter.candidates.end(b) - listed : I;
        if (first > 0 && last < 0) count = 0;
        if (threadIdx.x == 0) *best.count = 0;
        __syncthreads();
        T bar = std::numeric_limits<T>::quiet_NaN();  // lets everything pass, until k items are held
        int met = 0;                                  // NaN
        for (Index from = 0; from < count; from += kBlock) {
            const Index at = from + threadIdx.x;
            if (at < count) {
                const Id item = listed ? listed[at] : static_cast<Id>(at);
                const T score = row[item];
                const bool passes = !(score <= bar) && (last < 0 || better(last_score, last, score, item));
                if (passes && !holds(excluded, excluded_end, item)) {
                    met += std::isnan(score);
                    const int to = atomicAdd(best.count, 1);
                    best.score[to] = score;
                    best.item[to] = item;
                }
            }
            __syncthreads();
            if (*best.count <= capacity - kBlock) {
                __syncthreads();  // before others go on counting
                continue;
            }
            best.sort();
            bar = *best.count == k ? best.score[k - 1] : bar;
            __syncthreads();
        }
        best.sort();
        const int held = *best.count;
        for_elements(k, [=](Index r) {
            items[r] = r < held ? best.item[r] : -1;
            kept[r] = r < held ? best.score[r] : -std::numeric_limits<T>::infinity();
        });
        __syncthreads();
        met = block_reduce(met, Sum{}, counts);
        if (first == 0 && threadIdx.x == 0) nans[b] = met;
    });
}

constexpr Index kWidth = 4096;  // columns of a row of scores that a block sums up in shared memory
constexpr int kSumThreads = 128;

// A block takes some columns of row r: of all items of the row, one after the other, its lanes add up their weights in
// these columns, side by side.
template <class T> __global__ void rows_of_sums(T* out, Csr<T> X, Csr<T> W, Index parts) {
    PYREC_SHARED(T, sum);
    for_rows(X.rows * parts, [=](Index at) {
        const Index r = at / parts, first = at % parts * kWidth, left = W.cols - first;
        const Index width = left < kWidth ? left : kWidth;
        for_elements(width, [=](Index i) { sum[i] = T(0); });
        __syncthreads();
        for (Index e = X.indptr[r]; e < X.indptr[r + 1]; ++e) {
            const Index j = X.indices[e];
            const Id *all = W.indices + W.indptr[j], *end = W.indices + W.indptr[j + 1];
            const Id* from = first > 0 ? lower_bound(all, end, first) : all;
            const T x = X.data[e];
            for (const Id* i = from + threadIdx.x; i < end && *i < first + width; i += blockDim.x)
                sum[*i - first] += x * W.data[i - W.indices];
            __syncthreads();  // the next item may have weights for the same ones
        }
        for_elements(width, [=](Index i) { out[r * W.cols + first + i] = sum[i]; });
        __syncthreads();
    });
}

// The weight of item j for item i, from a dense or a sparse matrix.
template <class T> struct DenseWeights {
    const T* data;
    Index columns;
    __device__ T operator()(Index j, Index i) const { return data[j * columns + i]; }
};
template <class T> struct SparseWeights {
    Csr<T> W;
    __device__ T operator()(Index j, Index i) const {
        const Id* end = W.indices + W.indptr[j + 1];
        const Id* at = lower_bound(W.indices + W.indptr[j], end, i);
        return at < end && *at == i ? W.data[at - W.indices] : T(0);
    }
};

// A warp takes a pair, and its lanes the items of the row in turns.
template <class T, class Weights>
__global__ void pair_scores(T* out, Csr<T> X, Weights weight, const Index* rows, const Index* items, Index m) {
    const Index lane = threadIdx.x % kWarp, warps = Index{gridDim.x} * blockDim.x / kWarp;
    for (Index p = (Index{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp; p < m; p += warps) {
        const Index end = X.indptr[rows[p] + 1], i = items[p];
        T sum = 0;
        for (Index e = X.indptr[rows[p]] + lane; e < end; e += kWarp) sum += X.data[e] * weight(X.indices[e], i);
        sum = warp_reduce(sum, Sum{});
        if (lane == 0) out[p] = sum;
    }
}

}  // namespace

template <class T>
void top_k(const Exec& ex, Id* out_items, T* out_scores, Id* nans, const T* scores, Index n, Index I, Index k,
           const Filter& filter) {
    for (Index first = 0; first < k; first += kMost) {
        const Index most = k - first < kMost ? k - first : kMost;
        int capacity = 2 * kBlock;
        while (capacity < 2 * most) capacity *= 2;
        const std::size_t bytes = static_cast<std::size_t>(capacity) * (sizeof(T) + sizeof(Id));
        launch(best_of_rows<T>, row_grid(n), kBlock, kWarpsOfBlock * sizeof(double) + bytes, ex.stream, out_items,
               out_scores, nans, scores, n, I, k, first, static_cast<int>(most), capacity, filter);
    }
}

template <class T> void sparse_scores(const Exec& ex, T* out, const Csr<T>& X, const Csr<T>& W) {
    const Index parts = (W.cols + kWidth - 1) / kWidth, width = W.cols < kWidth ? W.cols : kWidth;
    launch(rows_of_sums<T>, row_grid(X.rows * parts), kSumThreads, static_cast<std::size_t>(width) * sizeof(T),
           ex.stream, out, X, W, parts);
}

template <class T>
void sparse_pair_scores(const Exec& ex, T* out, const Csr<T>& X, const T* W, Index I, const Index* rows,
                        const Index* items, Index m) {
    launch(pair_scores<T, DenseWeights<T>>, grid_for(m * kWarp), kBlock, 0, ex.stream, out, X, {W, I}, rows, items, m);
}

template <class T>
void sparse_pair_scores(const Exec& ex, T* out, const Csr<T>& X, const Csr<T>& W, const Index* rows, const Index* items,
                        Index m) {
    launch(pair_scores<T, SparseWeights<T>>, grid_for(m * kWarp), kBlock, 0, ex.stream, out, X, {W}, rows, items, m);
}

#define INSTANTIATE(T)                                                                                            \
    template void top_k(const Exec&, Id*, T*, Id*, const T*, Index, Index, Index, const Filter&);                 \
    template void sparse_scores(const Exec&, T*, const Csr<T>&, const Csr<T>&);                                   \
    template void sparse_pair_scores(const Exec&, T*, const Csr<T>&, const T*, Index, const Index*, const Index*, \
                                     Index);                                                                      \
    template void sparse_pair_scores(const Exec&, T*, const Csr<T>&, const Csr<T>&, const Index*, const Index*, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cuda
