#include "topk.hpp"

#include <limits>

#include "lists.cuh"
#include "reduce.cuh"

namespace pyrec::cuda {
namespace {

constexpr int kThreads = 256;  // of a block, which ranks a row
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
                for (int pair = static_cast<int>(threadIdx.x); pair < capacity / 2; pair += kThreads) {
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
        for (Index from = 0; from < count; from += kThreads) {
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
            if (*best.count <= capacity - kThreads) {
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

}  // namespace

template <class T>
void top_k(const Exec& ex, Id* out_items, T* out_scores, Id* nans, const T* scores, Index n, Index I, Index k,
           const Filter& filter) {
    for (Index first = 0; first < k; first += kMost) {
        const Index most = k - first < kMost ? k - first : kMost;
        int capacity = 2 * kThreads;
        while (capacity < 2 * most) capacity *= 2;
        const std::size_t bytes = static_cast<std::size_t>(capacity) * (sizeof(T) + sizeof(Id));
        launch(best_of_rows<T>, row_grid(n), kThreads, kWarpsOfBlock * sizeof(double) + bytes, ex.stream, out_items,
               out_scores, nans, scores, n, I, k, first, static_cast<int>(most), capacity, filter);
    }
}

#define INSTANTIATE(T) template void top_k(const Exec&, Id*, T*, Id*, const T*, Index, Index, Index, const Filter&);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cuda
