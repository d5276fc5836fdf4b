#include "gram.hpp"

#include <cstring>

#include "accumulate.hpp"
#include "tiles.hpp"

namespace pyrec::cpu {
namespace {

// The entries of X by item: for item i, the users that have it and where in their row it stands.
struct ByItem {
    const Index* start;  // (I + 1)
    const Id* user;      // (nnz)
    const Id* place;     // (nnz)
};

constexpr Index kSlices = 8;  // of users: each counts and places its own entries, in order

// Counting sort. `at` (kSlices, I) and start (I + 1) are scratch; the order within an item is that of the users.
template <class T> void sort_by_item(const Exec& ex, const Csr<T>& X, Index* at, Index* start, Id* user, Id* place) {
    const Index slice = std::max<Index>(1, ceil_div(X.rows, kSlices));
    const auto counts_of = [&](Index u) { return at + u / slice * X.cols; };
    std::memset(at, 0, static_cast<std::size_t>(kSlices * X.cols) * sizeof(Index));
    parallel_ranges(ex, X.rows, slice, [&](Index begin, Index end) {
        Index* counts = counts_of(begin);
        for (Index k = X.indptr[begin]; k < X.indptr[end]; ++k) ++counts[X.indices[k]];
    });
    start[0] = 0;
    for (Index i = 0; i < X.cols; ++i) {
        Index sum = start[i];
        for (Index s = 0; s < kSlices; ++s) {
            const Index count = at[s * X.cols + i];
            at[s * X.cols + i] = sum;
            sum += count;
        }
        start[i + 1] = sum;
    }
    parallel_ranges(ex, X.rows, slice, [&](Index begin, Index end) {
        Index* next = counts_of(begin);
        for (Index u = begin; u < end; ++u) {
            for (Index k = X.indptr[u]; k < X.indptr[u + 1]; ++k) {
                const Index to = next[X.indices[k]]++;
                user[to] = static_cast<Id>(u);
                place[to] = static_cast<Id>(k - X.indptr[u]);
            }
        }
    });
}

// Row i of the upper triangle: the rows of all users of item i, from item i on, added up in cache.
template <class T, class Sum>
void gram_row(T* row, Sum* sum, Index i, const Csr<T>& X, const T* weights, const ByItem& by) {
    std::memset(sum + i, 0, static_cast<std::size_t>(X.cols - i) * sizeof(Sum));
    // The lists are short and lie far apart: the start of a later one is fetched while this one is added.
    for (Index k = by.start[i]; k < by.start[i + 1]; ++k) {
        const Index u = by.user[k], from = X.indptr[u] + by.place[k], ahead = std::min(k + 8, by.start[i + 1] - 1);
        const Id* next = X.indices + X.indptr[by.user[ahead]] + by.place[ahead];
        __builtin_prefetch(next);
        __builtin_prefetch(next + 16);
        const Id *j = X.indices + from, *end = X.indices + X.indptr[u + 1];
        if constexpr (std::is_same_v<Sum, std::uint32_t>) {
            add_ones(sum, j, end);
        } else {
            const double weight = weights ? static_cast<double>(weights[u]) : 1.0;
            add_scaled(sum, weight * static_cast<double>(X.data[from]), j, end, X.data + from);
        }
    }
    for (Index j = i; j < X.cols; ++j) row[j] = static_cast<T>(sum[j]);
}

}  // namespace

template <class T> void gram(const Exec& ex, T* out, const Csr<T>& X, const T* weights) {
    const Index I = X.cols;
    Scratch<Index> at(kSlices * I), start(I + 1);
    Scratch<Id> user(X.nnz()), place(X.nnz());
    sort_by_item(ex, X, at.data(), start.data(), user.data(), place.data());
    const ByItem by{start.data(), user.data(), place.data()};
    const bool counts = !weights && all_ones(ex, X);
    parallel_ranges(ex, I, 8, [&](Index begin, Index end) {
        const auto fill = [&](auto* sum) {
            for (Index i = begin; i < end; ++i) gram_row(out + i * I, sum, i, X, weights, by);
        };
        if (counts)
            fill(Scratch<std::uint32_t>(I).data());
        else
            fill(Scratch<double>(I).data());
    });
    for_tiles_below(ex, I, [=](const Tile& t) {
        for (Index i = t.i0; i < t.i1; ++i)
            for (Index j = t.j0; j < std::min(t.j1, i); ++j) out[i * I + j] = out[j * I + i];
    });
}

template <class T> void ease_from_inverse(const Exec& ex, T* p, Index I) {
    Scratch<T> diagonal(I);
    T* d = diagonal.data();
    for (Index i = 0; i < I; ++i) d[i] = p[i * I + i];
    for_tiles_below(ex, I, [=](const Tile& t) {
        for (Index i = t.i0; i < t.i1; ++i) {
            for (Index j = t.j0; j < std::min(t.j1, i); ++j) {
                const T p_ij = p[i * I + j];
                p[i * I + j] = T(0) - p_ij / d[j];  // from 0, so that an item without interactions gets +0, not -0
                p[j * I + i] = T(0) - p_ij / d[i];
            }
        }
    });
    for (Index i = 0; i < I; ++i) p[i * I + i] = T(0);
}

#define INSTANTIATE(T)                                            \
    template void gram(const Exec&, T*, const Csr<T>&, const T*); \
    template void ease_from_inverse(const Exec&, T*, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
