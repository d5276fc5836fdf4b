#include "embedding.hpp"

#include "scratch.cuh"

namespace pyrec::cuda {
namespace {

template <class T> __device__ T value_at(const T* values, Index p) { return values ? values[p] : T(1); }

// A thread for each element of the result, neighbours by neighbours of a row.

template <class T>
__global__ void gather_rows(T* out, const T* table, const Id* ids, const T* values, Index n, Index d) {
    grid_stride(n * d, [=](Index i) {
        const Index p = i / d;
        const T element = table[ids[p] * d + i % d];
        out[i] = values ? values[p] * element : element;
    });
}

template <class T>
__global__ void sum_bags(T* out, const T* table, const Id* ids, const T* weights, Bags bags, Index d) {
    grid_stride(bags.count * d, [=](Index i) {
        const Index k = i / d, begin = bags.offsets[k], end = bags.offsets[k + 1];
        T sum = 0;
        for (Index p = begin; p < end; ++p) sum += value_at(weights, p) * table[ids[p] * d + i % d];
        out[i] = bags.mean && end > begin ? sum / static_cast<T>(end - begin) : sum;
    });
}

template <class T>
__global__ void pool_pairs(T* out, T* totals, const T* table, const Id* ids, const T* values, Index B, Index F,
                           Index d) {
    grid_stride(B * d, [=](Index i) {
        const Index first = i / d * F;
        T total = 0, pairs = 0;
        for (Index p = first; p < first + F; ++p) {
            const T e = value_at(values, p) * table[ids[p] * d + i % d];
            pairs += total * e;  // of this field and all before it: nothing cancels
            total += e;
        }
        out[i] = pairs;
        totals[i] = total;
    });
}

// bag_of[p]: the last bag that begins at p or before. Bags without ids begin where the next one does.
__global__ void find_bags(Index* bag_of, Bags bags, Index n) {
    grid_stride(n, [=](Index p) {
        Index low = 0, high = bags.count;  // bag low begins at p or before, bag high after it
        while (high - low > 1) {
            const Index middle = low + (high - low) / 2;
            (bags.offsets[middle] <= p ? low : high) = middle;
        }
        bag_of[p] = low;
    });
}

// What position p adds to column c of the gradient of its row.

template <class T> struct BagTerm {
    const T *d_out, *weights;
    const Index* bag_of;
    Bags bags;
    Index d;
    __device__ T operator()(Index p, Id, Index c) const {
        const Index k = bag_of[p];
        const T share = bags.mean ? T(1) / static_cast<T>(bags.offsets[k + 1] - bags.offsets[k]) : T(1);
        return share * value_at(weights, p) * d_out[k * d + c];
    }
};

template <class T> struct PairsTerm {
    const T *d_out, *totals, *table, *values;
    Index F, d;
    __device__ T operator()(Index p, Id id, Index c) const {
        const Index at = p / F * d + c;
        const T value = value_at(values, p);
        return value * (d_out[at] * (totals[at] - value * table[id * d + c]));
    }
};

}  // namespace

template <class T>
void gather(const Exec& ex, T* out, const T* table, const Id* ids, const T* values, Index n, Index d) {
    launch(gather_rows<T>, grid_for(n * d), kBlock, 0, ex.stream, out, table, ids, values, n, d);
}

template <class T>
void gather_backward(const Exec& ex, T* sums, const T* d_out, const Groups& groups, const T* values, Index d) {
    sum_groups<T>(ex, groups, d, RowTerm<T>{d_out, values, d}, StoreSum<T>{sums, d});
}

template <class T>
void bag_forward(const Exec& ex, T* out, const T* table, const Id* ids, const T* weights, const Bags& bags, Index d) {
    launch(sum_bags<T>, grid_for(bags.count * d), kBlock, 0, ex.stream, out, table, ids, weights, bags, d);
}

template <class T>
void bag_backward(const Exec& ex, T* sums, const T* d_out, const Groups& groups, const T* weights, const Bags& bags,
                  Index d) {
    Scratch<Index> bag_of(ex, groups.size);
    launch(find_bags, grid_for(groups.size), kBlock, 0, ex.stream, bag_of.data(), bags, groups.size);
    sum_groups<T>(ex, groups, d, BagTerm<T>{d_out, weights, bag_of.data(), bags, d}, StoreSum<T>{sums, d});
}

template <class T>
void pooled_pairs_forward(const Exec& ex, T* out, T* totals, const T* table, const Id* ids, const T* values, Index B,
                          Index F, Index d) {
    launch(pool_pairs<T>, grid_for(B * d), kBlock, 0, ex.stream, out, totals, table, ids, values, B, F, d);
}

template <class T>
void pooled_pairs_backward(const Exec& ex, T* sums, const T* d_out, const T* totals, const T* table,
                           const Groups& groups, const T* values, Index F, Index d) {
    sum_groups<T>(ex, groups, d, PairsTerm<T>{d_out, totals, table, values, F, d}, StoreSum<T>{sums, d});
}

#define INSTANTIATE(T)                                                                                                 \
    template void gather(const Exec&, T*, const T*, const Id*, const T*, Index, Index);                                \
    template void gather_backward(const Exec&, T*, const T*, const Groups&, const T*, Index);                          \
    template void bag_forward(const Exec&, T*, const T*, const Id*, const T*, const Bags&, Index);                     \
    template void bag_backward(const Exec&, T*, const T*, const Groups&, const T*, const Bags&, Index);                \
    template void pooled_pairs_forward(const Exec&, T*, T*, const T*, const Id*, const T*, Index, Index, Index);       \
    template void pooled_pairs_backward(const Exec&, T*, const T*, const T*, const T*, const Groups&, const T*, Index, \
                                        Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cuda
