#include "ranking.hpp"

#include <atomic>

#include "counted.hpp"
#include "measures.hpp"
#include "packed.hpp"
#include "places.hpp"
#include "sums.hpp"

namespace pyrec::cpu {

namespace {

template <class Place, class Int>
Index ranks_by_places(const Exec& ex, double* ranks, const Int* ranked, Index n, Index k, Index bound,
                      const IdLists& relevant) {
    std::atomic<Index> bad{n};
    parallel_ranges(ex, n, std::clamp<Index>(16384 / k, 1, 512), [&](Index begin, Index end) {
        Places<Place> places(k);
        for (Index r = begin; r < end; ++r) {
            if (!places.take(ranked + r * k, bound)) {
                for (Index first = bad; r < first && !bad.compare_exchange_weak(first, r);) {}
                return;
            }
            const Index from = relevant.indptr[r], to = relevant.indptr[r + 1];
            for (Index e = from; e < to; ++e) ranks[e] = places.rank(relevant.ids[e]);
        }
    });
    return bad < n ? bad.load() : -1;
}

}  // namespace

template <class Int>
Index ranks_in_lists(const Exec& ex, double* ranks, const Int* ranked, Index n, Index k, Index bound,
                     const IdLists& relevant) {
    if (k == 0) {
        std::fill(ranks, ranks + relevant.indptr[n], std::numeric_limits<double>::infinity());
        return -1;
    }
    // Slots are as many as fit a place: 16 for an item at most.
    if (k < 8192) return ranks_by_places<std::uint16_t>(ex, ranks, ranked, n, k, bound, relevant);
    return ranks_by_places<std::uint32_t>(ex, ranks, ranked, n, k, bound, relevant);
}

template <class T>
Index ranks_in_scores(const Exec& ex, double* ranks, const T* scores, Index n, Index I, const Sought& sought) {
    std::atomic<Index> nans{0};  // a count of integers: the order of adding does not matter
    parallel_ranges(ex, n, std::clamp<Index>(65536 / std::max<Index>(I, 1), 1, 64), [&](Index begin, Index end) {
        CountedRows<T> counted(begin, end - begin, sought);
        for (Index r = 0; r < end - begin; ++r) {
            const T* row = scores + (begin + r) * I;
            counted.start(r, [=](T* to, Index, const Id* ids, Index count) {
                for (Index c = 0; c < count; ++c) to[c] = row[ids[c]];
            });
            counted[r].offer(row, I, 0);
            if (const Index found = counted.finish(r, ranks, I)) nans += found;
        }
    });
    return nans;
}

namespace {

// Sums over f ascending of u[f] * items[ids[c]][f], as a register tile makes them, eight that do not wait for each
// other.
template <class T>
void dot_products(T* to, const T* u, const T* items, const T* bias, Index d, const Id* ids, Index n) {
    constexpr Index together = 8;
    for (Index c = 0; c < n; c += together) {
        const Index count = std::min(together, n - c);
        T sum[together] = {};
        const T* v[together];
        for (Index t = 0; t < together; ++t) v[t] = items + static_cast<Index>(ids[c + std::min(t, count - 1)]) * d;
        for (Index f = 0; f < d; ++f)
            for (Index t = 0; t < together; ++t) sum[t] = multiply_add(u[f], v[t][f], sum[t]);
        for (Index t = 0; t < count; ++t) to[c + t] = bias ? sum[t] + bias[ids[c + t]] : sum[t];
    }
}

}  // namespace

template <class T>
Index ranks_in_factors(const Exec& ex, double* ranks, const T* users, const T* items, const T* bias, Index n, Index I,
                       Index d, const Sought& sought) {
    constexpr Index mr = kTileRows, nr = kTileColumns<T>, width = std::max<Index>(128 / nr, 1) * nr;
    Scratch<T> packed(packed_size(I, nr, d));
    const T* b = packed.data();
    pack_panels(ex, packed.data(), nr, items, I, d);
    std::atomic<Index> nans{0};
    // Rows of a chunk stay in the second-level cache while all items stream past.
    const Index grain = std::clamp<Index>(32768 / std::max<Index>(d, 1), 1, 12) * mr;
    parallel_ranges(ex, n, grain, [&](Index begin, Index end) {
        const Index rows = end - begin;
        CountedRows<T> counted(begin, rows, sought);
        for (Index r = 0; r < rows; ++r)
            counted.start(r, [=](T* to, Index row, const Id* ids, Index count) {
                dot_products(to, users + row * d, items, bias, d, ids, count);
            });
        Scratch<T> a(packed_size(rows, mr, d));
        pack_panels(Exec{}, a.data(), mr, users + begin * d, rows, d);
        alignas(kVectorBytes) T block[mr][width];
        RegisterTile<T> tile;
        for (Index j = 0; j < I; j += width) {
            const Index count = std::min(width, I - j);
            for (Index r = 0; r < rows; r += mr) {
                const Index m = std::min(mr, rows - r);
                bool done = true;
                for (Index i = 0; i < m; ++i) done &= counted[r + i].done();
                if (done) continue;
                for (Index c = 0; c < count; c += nr) {
                    tile.multiply(a.data() + r * d, b + (j + c) * d, d);
                    for (Index i = 0; i < m; ++i) {
                        store(block[i] + c, tile.sum[i][0]);
                        store(block[i] + c + kLanes<T>, tile.sum[i][1]);
                    }
                }
                for (Index i = 0; i < m; ++i) {
                    if (counted[r + i].done()) continue;
                    if (bias)
                        for (Index c = 0; c < count; ++c) block[i][c] += bias[j + c];
                    counted[r + i].offer(block[i], count, static_cast<Id>(j));
                }
            }
        }
        for (Index r = 0; r < rows; ++r)
            if (const Index found = counted.finish(r, ranks, I)) nans += found;
    });
    return nans;
}

template <class T>
Index ranks_in_sparse(const Exec& ex, double* ranks, const Csr<T>& X, const T* W, Index I, const Sought& sought) {
    std::atomic<Index> nans{0};
    for (Index first = 0; first < X.rows; first += kSumRows) {
        const Index rows = std::min(kSumRows, X.rows - first);
        CountedRows<T> counted(first, rows, sought);
        parallel_for(ex, rows, 16, [&](Index r) {
            counted.start(
                r, [&](T* to, Index row, const Id* ids, Index count) { gather_scores(to, X, row, W, I, ids, count); });
        });
        for_column_blocks(ex, X, first, rows, W, I, [&](Index j, Index count, auto sum) {
            parallel_for(ex, rows, 16, [&](Index r) {
                if (counted[r].done()) return;
                alignas(kVectorBytes) T sums[kSumWidth<T>];
                sum(sums, first + r);
                counted[r].offer(sums, count, static_cast<Id>(j));
            });
        });
        parallel_for(ex, rows, 256, [&](Index r) {
            if (const Index found = counted.finish(r, ranks, I)) nans += found;
        });
    }
    return nans;
}

template <class T>
Index ranks_in_sparse(const Exec& ex, double* ranks, const Csr<T>& X, const Csr<T>& W, const Sought& sought) {
    std::atomic<Index> nans{0};
    const Index I = W.cols;
    parallel_ranges(ex, X.rows, 8, [&](Index begin, Index end) {
        CountedRows<T> counted(begin, end - begin, sought);
        Scratch<T> sums(I);
        for (Index r = 0; r < end - begin; ++r) {
            if (sought.relevant.begin(begin + r) < sought.relevant.end(begin + r))
                sparse_row_sums(sums.data(), X, begin + r, W);
            counted.start(r, [&](T* to, Index, const Id* ids, Index count) {
                for (Index c = 0; c < count; ++c) to[c] = sums[ids[c]];
            });
            counted[r].offer(sums.data(), I, 0);
            if (const Index found = counted.finish(r, ranks, I)) nans += found;
        }
    });
    return nans;
}

void measure(const Exec& ex, double* out, const double* ranks, const Index* indptr, Index n, const Metric* metrics,
             const Index* depths, Index M, const double* gains, const double* rankable) {
    Index deepest = 1, longest = 0;
    for (Index m = 0; m < M; ++m) deepest = std::max(deepest, depths[m]);
    for (Index r = 0; r < n; ++r) longest = std::max(longest, indptr[r + 1] - indptr[r]);
    const Index tabled = std::min<Index>(deepest, 65536);
    Scratch<double> table(2 * tabled + 1);
    const Discounts discounts(table.data(), tabled);
    parallel_ranges(ex, n, 256, [&](Index begin, Index end) {
        Scratch<Hit> hits(longest);
        Scratch<double> ideal(longest);
        for (Index r = begin; r < end; ++r) {
            const Index from = indptr[r], count = indptr[r + 1] - from;
            const HeldOut row(hits.data(), ideal.data(), ranks + from, gains ? gains + from : nullptr, count,
                              rankable ? rankable[r] : std::numeric_limits<double>::quiet_NaN());
            for (Index m = 0; m < M; ++m) out[m * n + r] = row.value(metrics[m], depths[m], discounts);
        }
    });
}

#define INSTANTIATE(T)                                                                                       \
    template Index ranks_in_scores(const Exec&, double*, const T*, Index, Index, const Sought&);             \
    template Index ranks_in_factors(const Exec&, double*, const T*, const T*, const T*, Index, Index, Index, \
                                    const Sought&);                                                          \
    template Index ranks_in_sparse(const Exec&, double*, const Csr<T>&, const T*, Index, const Sought&);     \
    template Index ranks_in_sparse(const Exec&, double*, const Csr<T>&, const Csr<T>&, const Sought&);
PYREC_FLOATS(INSTANTIATE)
template Index ranks_in_lists(const Exec&, double*, const std::int32_t*, Index, Index, Index, const IdLists&);
template Index ranks_in_lists(const Exec&, double*, const std::int64_t*, Index, Index, Index, const IdLists&);

}  // namespace pyrec::cpu
