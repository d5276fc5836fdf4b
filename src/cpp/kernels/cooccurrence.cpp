#include "cooccurrence.hpp"

#include <cmath>

#include "accumulate.hpp"
#include "best.hpp"

namespace pyrec::cpu {
namespace {

// One cell of a table in G^2 / 2: what was counted, times the logarithm of how often more than expected.
double surprise(double count, double row, double column, double total) {
    return count > 0 ? count * std::log(count * total / (row * column)) : 0.0;
}

double likelihood_ratio(double both, double i, double j, double total) {
    if (both * total <= i * j) return 0.0;
    const double rest_i = total - i, rest_j = total - j;
    return 2 * (surprise(both, i, j, total) + surprise(i - both, i, rest_j, total) +
                surprise(j - both, rest_i, j, total) + surprise(rest_j - (i - both), rest_i, rest_j, total));
}

double value_of(Cooccurrence measure, double both, double i, double j, double total) {
    switch (measure) {
        case Cooccurrence::cosine:
            return both / std::sqrt(i * j);
        case Cooccurrence::jaccard:
            return both / (i + j - both);
        case Cooccurrence::confidence:
            return both / i;
        case Cooccurrence::lift:
            return both * total / (i * j);
        case Cooccurrence::likelihood_ratio:
            return likelihood_ratio(both, i, j, total);
        default:
            return both;
    }
}

// sums (I) = the rows of all users of item i, added up in cache.
template <class T, class Sum> void add_users(Sum* sums, Index i, const Csr<T>& X, const Csr<T>& by_item) {
    std::fill_n(sums, X.cols, Sum(0));
    for (Index e = by_item.indptr[i]; e < by_item.indptr[i + 1]; ++e) {
        const Index from = X.indptr[by_item.indices[e]], to = X.indptr[by_item.indices[e] + 1];
        // the lists are short and lie far apart: the start of a later one is fetched while this one is added
        __builtin_prefetch(X.indices + X.indptr[by_item.indices[std::min(e + 8, by_item.indptr[i + 1] - 1)]]);
        if constexpr (std::is_same_v<Sum, std::uint32_t>)
            add_ones(sums, X.indices + from, X.indices + to);
        else
            add_scaled(sums, static_cast<double>(by_item.data[e]), X.indices + from, X.indices + to, X.data + from);
    }
}

}  // namespace

template <class T>
void cooccurrence_top_k(const Exec& ex, Id* out_items, T* out_values, Index n, Index k, Index first,
                        Cooccurrence measure, const Csr<T>& X, const Csr<T>& by_item, const double* sizes, double total,
                        double least) {
    const Index I = X.cols;
    const bool counts = all_ones(ex, X) && all_ones(ex, by_item);
    parallel_ranges(ex, n, 4, [=, &X, &by_item](Index begin, Index end) {
        Scratch<Scored<T>> buffer(Best<T>::capacity(k));
        const auto rows = [&](auto* sums) {
            for (Index row = begin; row < end; ++row) {
                const Index i = first + row;
                add_users(sums, i, X, by_item);
                const Id self = static_cast<Id>(i);
                Best<T> best;
                best.start(buffer.data(), k, &self, &self + 1);
                for (Index j = 0; j < I; ++j) {
                    const double both = static_cast<double>(sums[j]);
                    if (both == 0.0 || both < least) continue;
                    const T value = static_cast<T>(value_of(measure, both, sizes[i], sizes[j], total));
                    if (value > T(0) && !(value <= best.bar())) best.offer(value, static_cast<Id>(j));
                }
                best.finish(out_items + row * k, out_values + row * k);
            }
        };
        if (counts)
            rows(Scratch<std::uint32_t>(I).data());
        else
            rows(Scratch<double>(I).data());
    });
}

#define INSTANTIATE(T)                                                                                       \
    template void cooccurrence_top_k(const Exec&, Id*, T*, Index, Index, Index, Cooccurrence, const Csr<T>&, \
                                     const Csr<T>&, const double*, double, double);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
