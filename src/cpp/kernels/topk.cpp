#include "topk.hpp"

#include <atomic>

#include "best.hpp"
#include "packed.hpp"
#include "sums.hpp"

namespace pyrec::cpu {
namespace {

// The selections of consecutive rows, and their buffers.
template <class T> class BestRows {
  public:
    BestRows(Index first, Index rows, Index k, const Filter& filter)
        : first_(first), rows_(rows), k_(k), best_(rows), buffers_(rows * Best<T>::capacity(k)) {
        for (Index r = 0; r < rows; ++r)
            best_[r].start(&buffers_[r * Best<T>::capacity(k)], k, filter.excluded.begin(first + r),
                           filter.excluded.end(first + r));
    }

    Best<T>& operator[](Index r) { return best_[r]; }

    // Writes all rows, returns the number of NaN.
    Index finish(const Exec& ex, Id* out_items, T* out_scores) {
        std::atomic<Index> nans{0};  // a count of integers: the order of adding does not matter
        parallel_for(ex, rows_, 64, [&](Index r) {
            const Index at = (first_ + r) * k_;
            if (const Index n = best_[r].finish(out_items + at, out_scores + at)) nans += n;
        });
        return nans;
    }

  private:
    Index first_, rows_, k_;
    Scratch<Best<T>> best_;
    Scratch<Scored<T>> buffers_;
};

// Runs select(first row, rows, best) over ranges of rows. Returns the number of NaN.
template <class T, class F>
Index select_rows(const Exec& ex, Id* out_items, T* out_scores, Index n, Index k, Index grain, const Filter& filter,
                  F select) {
    std::atomic<Index> nans{0};
    parallel_ranges(ex, n, grain, [&](Index begin, Index end) {
        BestRows<T> best(begin, end - begin, k, filter);
        select(begin, end - begin, best);
        nans += best.finish(ex, out_items, out_scores);
    });
    return nans;
}

template <class T> void offer_listed(Best<T>& best, const T* scores, const Id* ids, Index count) {
    for (Index c = 0; c < count; ++c)
        if (!(scores[c] <= best.bar())) best.offer(scores[c], ids[c]);
}

// Offers the scores of a register tile: rows of `best` from r0 on, `rows` of them; items from `first` on, `columns`.
template <class T>
void offer_tile(const RegisterTile<T>& tile, BestRows<T>& best, Index r0, Index rows, Id first, Index columns) {
    constexpr int lanes = kLanes<T>;
    const std::uint64_t valid = (std::uint64_t{1} << columns) - 1;
    for (Index r = 0; r < rows; ++r) {
        Best<T>& row = best[r0 + r];
        const T bar = row.bar();
        std::uint64_t pass = lanes_not_below<T>(tile.sum[r][0], bar);
        pass |= std::uint64_t{lanes_not_below<T>(tile.sum[r][1], bar)} << lanes;
        pass &= valid;
        if (pass == 0) [[likely]]
            continue;
        T scores[2 * lanes];
        store(scores, tile.sum[r][0]);
        store(scores + lanes, tile.sum[r][1]);
        for (; pass; pass &= pass - 1) {
            const int l = __builtin_ctzll(pass);
            if (!(scores[l] <= row.bar())) row.offer(scores[l], first + l);
        }
    }
}

}  // namespace

template <class T>
Index top_k(const Exec& ex, Id* out_items, T* out_scores, const T* scores, Index n, Index I, Index k,
            const Filter& filter) {
    const Index grain = std::clamp<Index>(65536 / std::max<Index>(I, 1), 1, 64);
    return select_rows<T>(ex, out_items, out_scores, n, k, grain, filter,
                          [=](Index begin, Index rows, BestRows<T>& best) {
        for (Index r = 0; r < rows; ++r) {
            const T* row = scores + (begin + r) * I;
            if (!filter.candidates) {
                best[r].offer_all(row, I, 0);
                continue;
            }
            for (const Id* c = filter.candidates.begin(begin + r); c < filter.candidates.end(begin + r); ++c)
                if (!(row[*c] <= best[r].bar())) best[r].offer(row[*c], *c);
        }
    });
}

template <class T>
Index factor_top_k(const Exec& ex, Id* out_items, T* out_scores, const T* users, const T* items, Index n, Index I,
                   Index d, Index k, const Filter& filter) {
    if (filter.candidates) {
        return select_rows<T>(ex, out_items, out_scores, n, k, 16, filter,
                              [=](Index begin, Index rows, BestRows<T>& best) {
            for (Index r = 0; r < rows; ++r) {
                const Id *c = filter.candidates.begin(begin + r), *end = filter.candidates.end(begin + r);
                const T* u = users + (begin + r) * d;
                constexpr Index together = 8;  // sums that do not wait for one another
                for (; c < end; c += together) {
                    const Index count = std::min<Index>(together, end - c);
                    T sum[together] = {};
                    const T* v[together];
                    for (Index t = 0; t < together; ++t)
                        v[t] = items + static_cast<Index>(c[std::min(t, count - 1)]) * d;
                    for (Index f = 0; f < d; ++f)
                        for (Index t = 0; t < together; ++t) sum[t] += u[f] * v[t][f];
                    offer_listed(best[r], sum, c, count);
                }
            }
        });
    }
    constexpr Index mr = kTileRows, nr = kTileColumns<T>;
    const Index panels = ceil_div(I, nr);
    Scratch<T> packed(packed_size(I, nr, d));
    const T* b = packed.data();
    pack_panels(ex, packed.data(), nr, items, I, d);
    // Rows of a chunk stay in the second-level cache while all items stream past.
    const Index grain = std::clamp<Index>(32768 / std::max<Index>(d, 1), 1, 12) * mr;
    return select_rows<T>(ex, out_items, out_scores, n, k, grain, filter,
                          [=](Index begin, Index rows, BestRows<T>& best) {
        Scratch<T> a(packed_size(rows, mr, d));
        pack_panels(Exec{}, a.data(), mr, users + begin * d, rows, d);
        RegisterTile<T> tile;
        for (Index p = 0; p < panels; ++p) {
            for (Index r = 0; r < rows; r += mr) {
                tile.multiply(a.data() + r * d, b + p * nr * d, d);
                offer_tile(tile, best, r, std::min(mr, rows - r), static_cast<Id>(p * nr), std::min(nr, I - p * nr));
            }
        }
    });
}

template <class T>
Index sparse_top_k(const Exec& ex, Id* out_items, T* out_scores, const Csr<T>& X, const T* W, Index I, Index k,
                   const Filter& filter) {
    if (filter.candidates) {
        return select_rows<T>(ex, out_items, out_scores, X.rows, k, 4, filter,
                              [=](Index begin, Index rows, BestRows<T>& best) {
            for (Index r = 0; r < rows; ++r) {
                const Id* c = filter.candidates.begin(begin + r);
                const Index count = filter.candidates.end(begin + r) - c;
                Scratch<T> acc(count);
                gather_scores(acc.data(), X, begin + r, W, I, c, count);
                offer_listed(best[r], acc.data(), c, count);
            }
        });
    }
    Index nans = 0;
    for (Index first = 0; first < X.rows; first += kSumRows) {
        const Index rows = std::min(kSumRows, X.rows - first);
        BestRows<T> best(first, rows, k, filter);
        for_column_blocks(ex, X, first, rows, W, I, [&](Index j, Index count, auto sum) {
            parallel_for(ex, rows, 16, [&](Index r) {
                T sums[kSumWidth<T>];
                sum(sums, first + r);
                best[r].offer_all(sums, count, static_cast<Id>(j));
            });
        });
        nans += best.finish(ex, out_items, out_scores);
    }
    return nans;
}

template <class T>
Index sparse_top_k(const Exec& ex, Id* out_items, T* out_scores, const Csr<T>& X, const Csr<T>& W, Index k,
                   const Filter& filter) {
    return select_rows<T>(ex, out_items, out_scores, X.rows, k, 8, filter,
                          [=](Index begin, Index rows, BestRows<T>& best) {
        Scratch<T> sums(W.cols);
        for (Index r = 0; r < rows; ++r) {
            sparse_row_sums(sums.data(), X, begin + r, W);
            if (!filter.candidates) {
                best[r].offer_all(sums.data(), W.cols, 0);
                continue;
            }
            for (const Id* c = filter.candidates.begin(begin + r); c < filter.candidates.end(begin + r); ++c)
                if (!(sums[*c] <= best[r].bar())) best[r].offer(sums[*c], *c);
        }
    });
}

template <class T>
void sparse_pair_scores(const Exec& ex, T* out, const Csr<T>& X, const T* W, Index I, const Index* rows,
                        const Index* items, Index m) {
    parallel_for(ex, m, 64, [=](Index p) {
        T sum = 0;
        for (Index e = X.indptr[rows[p]]; e < X.indptr[rows[p] + 1]; ++e)
            sum += X.data[e] * W[X.indices[e] * I + items[p]];
        out[p] = sum;
    });
}

template <class T>
void sparse_pair_scores(const Exec& ex, T* out, const Csr<T>& X, const Csr<T>& W, const Index* rows, const Index* items,
                        Index m) {
    parallel_for(ex, m, 64, [=](Index p) {
        T sum = 0;
        for (Index e = X.indptr[rows[p]]; e < X.indptr[rows[p] + 1]; ++e) {
            const Id *begin = W.indices + W.indptr[X.indices[e]], *end = W.indices + W.indptr[X.indices[e] + 1];
            const Id* at = std::lower_bound(begin, end, static_cast<Id>(items[p]));
            if (at < end && *at == items[p]) sum += X.data[e] * W.data[at - W.indices];
        }
        out[p] = sum;
    });
}

#define INSTANTIATE(T)                                                                                                \
    template Index top_k(const Exec&, Id*, T*, const T*, Index, Index, Index, const Filter&);                         \
    template Index factor_top_k(const Exec&, Id*, T*, const T*, const T*, Index, Index, Index, Index, const Filter&); \
    template Index sparse_top_k(const Exec&, Id*, T*, const Csr<T>&, const T*, Index, Index, const Filter&);          \
    template Index sparse_top_k(const Exec&, Id*, T*, const Csr<T>&, const Csr<T>&, Index, const Filter&);            \
    template void sparse_pair_scores(const Exec&, T*, const Csr<T>&, const T*, Index, const Index*, const Index*,     \
                                     Index);                                                                          \
    template void sparse_pair_scores(const Exec&, T*, const Csr<T>&, const Csr<T>&, const Index*, const Index*, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
