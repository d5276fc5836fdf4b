#include "ranking.hpp"

#include <limits>

#include "lists.cuh"
#include "reduce.cuh"

namespace pyrec::cuda {
namespace {

// A relevant item, and how far other items count as ahead of it: 2 wholly, 1 half, 0 not.
template <class T> struct Probe {
    T score;
    Id id;
    Ties ties;

    __device__ int halves_ahead(T other, Id other_id) const {
        if (other > score) return 2;
        if (other < score) return 0;
        const bool nan = std::isnan(score), other_nan = std::isnan(other);
        if (nan != other_nan) return nan ? 2 : 0;
        switch (ties) {
            case Ties::id:
                return other_id < id ? 2 : 0;
            case Ties::conservative:
                return 2;
            case Ties::standard:
                return 0;
            default:
                return 1;
        }
    }
};

// The list that holds entry e: the last of n that begins at e or before.
__device__ inline Index row_of(const Index* indptr, Index n, Index e) {
    Index row = 0;
    while (n > 1) {
        const Index half = n / 2;
        if (indptr[row + half] <= e) row += half;
        n -= half;
    }
    return row;
}

// A block for each relevant item. It counts what is ahead of it among all items, and takes back what does not count:
// what is excluded, and what is relevant too but no better.
template <class T>
__global__ void rank_entries(double* ranks, Id* nans, const T* scores, Index entries, Index n, Index I, Sought sought) {
    PYREC_SHARED(Index, shared);
    for_rows(entries, [=](Index e) {
        const Index b = row_of(sought.relevant.indptr, n, e);
        const Id *relevant = sought.relevant.begin(b), *relevant_end = sought.relevant.end(b);
        const Id *excluded = sought.excluded.begin(b), *excluded_end = sought.excluded.end(b);
        const Id id = sought.relevant.ids[e];
        if (holds(excluded, excluded_end, id)) {
            if (threadIdx.x == 0) ranks[e] = std::numeric_limits<double>::infinity();
            return;
        }
        const T* const row = scores + b * I;
        const Probe<T> probe{row[id], id, sought.ties};
        Index halves = 0, met = 0;  // NaN
        for_elements(I, [&](Index i) {
            halves += probe.halves_ahead(row[i], static_cast<Id>(i));
            met += std::isnan(row[i]);
        });
        for_elements(excluded_end - excluded, [&](Index k) {
            halves -= probe.halves_ahead(row[excluded[k]], excluded[k]);
            met -= std::isnan(row[excluded[k]]);
        });
        for_elements(relevant_end - relevant, [&](Index k) {
            const Id other = relevant[k];
            if (holds(excluded, excluded_end, other)) return;
            halves += better(row[other], other, probe.score, id) ? 2 : 0;
            halves -= probe.halves_ahead(row[other], other);
        });
        halves = block_reduce(halves, Sum{}, shared);
        met = block_reduce(met, Sum{}, shared);
        if (threadIdx.x != 0) return;
        const double rank = 1.0 + 0.5 * static_cast<double>(halves);
        ranks[e] = rank <= static_cast<double>(sought.depth) ? rank : std::numeric_limits<double>::infinity();
        while (holds(excluded, excluded_end, *relevant)) ++relevant;
        if (*relevant == id) nans[b] = static_cast<Id>(met);  // by the first that is looked for
    });
}

}  // namespace

template <class T>
void ranks_in_scores(const Exec& ex, double* ranks, Id* nans, const T* scores, Index entries, Index n, Index I,
                     const Sought& sought) {
    launch(rank_entries<T>, row_grid(entries), row_block(I), kWarpsOfBlock * sizeof(Index), ex.stream, ranks, nans,
           scores, entries, n, I, sought);
}

#define INSTANTIATE(T) \
    template void ranks_in_scores(const Exec&, double*, Id*, const T*, Index, Index, Index, const Sought&);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cuda
