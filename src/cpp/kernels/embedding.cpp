#include "embedding.hpp"

#include "dimensions.hpp"
#include "groups.hpp"

namespace pyrec::cpu {
namespace {

constexpr Index kFetched = 8;   // rows of a table lie anywhere: asked for this many before their turn
constexpr Index kTogether = 8;  // groups of a gradient that are looked ahead

template <class T> T value_at(const T* values, Index p) { return values ? values[p] : T(1); }

// Rows of d elements that one thread works on before it asks for more.
Index rows_of(Index d) { return std::max<Index>(1, 16384 / std::max<Index>(d, 1)); }

template <class T> void add_row(T* __restrict sum, T factor, const T* __restrict row, Index d) {
    for (Index c = 0; c < d; ++c) sum[c] += factor * row[c];
}

// For each distinct id the sum over its positions p, in their order, of what row(p, id) gives: a function of the
// column. fetch(p) asks for what position p will need.
template <class T, class Fetch, class Row>
Index sum_groups(const Exec& ex, Id* unique, T* sums, const Id* ids, Index n, Index d, Fetch fetch, Row row) {
    Groups groups(ex, ids, n);
    parallel_ranges(ex, groups.count(), groups_at_once(d), [&](Index begin, Index end) {
        for (Index s = begin; s < end; ++s) {
            if (s + kTogether < end) fetch(groups.position(groups.begin(s + kTogether)));
            const Id id = unique[s] = groups.id(s);
            const Index from = groups.begin(s), to = groups.end(s);
            T* __restrict sum = sums + s * d;
            std::fill_n(sum, d, T(0));
            for (Index i = from; i < to; ++i) {
                const auto element = row(groups.position(i), id);
                for_dimensions(d, [&](Index c, auto width) {
#pragma omp simd
                    for (Index l = 0; l < width; ++l) sum[c + l] += element(c + l);
                });
            }
        }
    });
    return groups.count();
}

}  // namespace

template <class T>
void gather(const Exec& ex, T* out, const T* table, const Id* ids, const T* values, Index n, Index d) {
    parallel_ranges(ex, n, rows_of(d), [=](Index begin, Index end) {
        for (Index p = begin; p < end; ++p) {
            if (p + kFetched < end) fetch_row(table + ids[p + kFetched] * d, d);
            const T* const row = table + ids[p] * d;
            T* const to = out + p * d;
            if (!values) {
                std::copy_n(row, d, to);
            } else {
                for (Index c = 0; c < d; ++c) to[c] = values[p] * row[c];
            }
        }
    });
}

template <class T>
Index gather_backward(const Exec& ex, Id* unique, T* sums, const T* d_out, const Id* ids, const T* values, Index n,
                      Index d) {
    const auto row = [=](Index p, Id) {
        return [value = value_at(values, p), from = d_out + p * d](Index c) { return value * from[c]; };
    };
    return sum_groups(ex, unique, sums, ids, n, d, [=](Index p) { fetch_row(d_out + p * d, d); }, row);
}

template <class T>
void bag_forward(const Exec& ex, T* out, const T* table, const Id* ids, const T* weights, const Bags& bags, Index d) {
    parallel_ranges(ex, bags.count, 64, [=, &bags](Index begin, Index end) {
        const Index last = bags.offsets[end];
        for (Index k = begin; k < end; ++k) {
            T* const sum = out + k * d;
            std::fill_n(sum, d, T(0));
            const Index from = bags.offsets[k], to = bags.offsets[k + 1];
            for (Index p = from; p < to; ++p) {
                if (p + kFetched < last) fetch_row(table + ids[p + kFetched] * d, d);
                add_row(sum, value_at(weights, p), table + ids[p] * d, d);
            }
            if (bags.mean && to > from)
                for (Index c = 0; c < d; ++c) sum[c] /= static_cast<T>(to - from);
        }
    });
}

template <class T>
Index bag_backward(const Exec& ex, Id* unique, T* sums, const T* d_out, const Id* ids, const T* weights,
                   const Bags& bags, Index d) {
    const Index n = bags.offsets[bags.count];
    Scratch<Index> bag_of(n);
    parallel_for(ex, bags.count, 1024,
                 [&](Index k) { std::fill(bag_of.data() + bags.offsets[k], bag_of.data() + bags.offsets[k + 1], k); });
    const Index* const bag = bag_of.data();
    const auto row = [=, &bags](Index p, Id) {
        const Index k = bag[p];
        const T share = bags.mean ? T(1) / static_cast<T>(bags.offsets[k + 1] - bags.offsets[k]) : T(1);
        return [factor = share * value_at(weights, p), from = d_out + k * d](Index c) { return factor * from[c]; };
    };
    return sum_groups(ex, unique, sums, ids, n, d, [=](Index p) { fetch_row(d_out + bag[p] * d, d); }, row);
}

template <class T>
void pooled_pairs_forward(const Exec& ex, T* out, T* totals, const T* table, const Id* ids, const T* values, Index B,
                          Index F, Index d) {
    parallel_ranges(ex, B, 32, [=](Index begin, Index end) {
        for (Index b = begin; b < end; ++b) {
            if (b + 1 < end)
                for (Index f = 0; f < F; ++f) fetch_row(table + ids[(b + 1) * F + f] * d, d);
            for_dimensions(d, [&](Index c, auto width) {
                T total[kSide] = {}, pairs[kSide] = {};
                for (Index p = b * F; p < (b + 1) * F; ++p) {
                    const T* const row = table + ids[p] * d + c;
                    const T value = value_at(values, p);
                    for (Index l = 0; l < width; ++l) {
                        const T e = value * row[l];
                        pairs[l] += total[l] * e;  // of this field and all before it: nothing cancels
                        total[l] += e;
                    }
                }
                std::copy_n(pairs, static_cast<Index>(width), out + b * d + c);
                std::copy_n(total, static_cast<Index>(width), totals + b * d + c);
            });
        }
    });
}

template <class T>
Index pooled_pairs_backward(const Exec& ex, Id* unique, T* sums, const T* d_out, const T* totals, const T* table,
                            const Id* ids, const T* values, Index B, Index F, Index d) {
    const auto row = [=](Index p, Id id) {
        const Index at = static_cast<std::uint32_t>(p) / static_cast<std::uint32_t>(F) * d;  // 64 bits take longer
        return [value = value_at(values, p), g = d_out + at, total = totals + at, e = table + id * d](Index c) {
            return value * (g[c] * (total[c] - value * e[c]));
        };
    };
    return sum_groups(ex, unique, sums, ids, B * F, d, [=](Index p) { fetch_row(table + ids[p] * d, d); }, row);
}

#define INSTANTIATE(T)                                                                                            \
    template void gather(const Exec&, T*, const T*, const Id*, const T*, Index, Index);                           \
    template Index gather_backward(const Exec&, Id*, T*, const T*, const Id*, const T*, Index, Index);            \
    template void bag_forward(const Exec&, T*, const T*, const Id*, const T*, const Bags&, Index);                \
    template Index bag_backward(const Exec&, Id*, T*, const T*, const Id*, const T*, const Bags&, Index);         \
    template void pooled_pairs_forward(const Exec&, T*, T*, const T*, const Id*, const T*, Index, Index, Index);  \
    template Index pooled_pairs_backward(const Exec&, Id*, T*, const T*, const T*, const T*, const Id*, const T*, \
                                         Index, Index, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
