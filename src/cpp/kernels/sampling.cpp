#include "sampling.hpp"

namespace pyrec::cpu {

void alias_table(double* threshold, Id* alias, const double* weights, Index n) {
    double sum = 0;
    Index heaviest = 0;
    for (Index i = 0; i < n; ++i) {
        sum += weights[i];
        if (weights[i] > weights[heaviest]) heaviest = i;
    }
    // Items that are short of an n-th of the sum from the front of the list, those with more from its back.
    Scratch<Id> list(n);
    Index n_short = 0, n_long = 0;
    for (Index i = 0; i < n; ++i) {
        threshold[i] = weights[i] / sum * static_cast<double>(n);
        alias[i] = static_cast<Id>(i);
        list[threshold[i] < 1 ? n_short++ : n - 1 - n_long++] = static_cast<Id>(i);
    }
    while (n_short > 0 && n_long > 0) {
        const Id low = list[--n_short], high = list[n - n_long];
        alias[low] = high;  // fills up what `low` is short of
        threshold[high] = (threshold[high] + threshold[low]) - 1;
        if (threshold[high] < 1) {
            --n_long;
            list[n_short++] = high;
        }
    }
    // What is left is an n-th but for rounding; an item of weight 0 must not be drawn for that.
    while (n_long > 0) threshold[list[n - n_long--]] = 1;
    while (n_short > 0) {
        const Id i = list[--n_short];
        threshold[i] = weights[i] > 0 ? 1 : 0;
        alias[i] = static_cast<Id>(heaviest);
    }
}

void sample_alias(const Exec& ex, Id* out, Index m, const double* threshold, const Id* alias, Index n,
                  const Stream& stream, std::uint64_t first) {
    __extension__ using Wide = unsigned __int128;
    parallel_ranges(ex, m, 4096, [=](Index begin, Index end) {
        for_random_bits(stream, first, begin, end, [=](Index k, std::uint64_t bits) {
            const Wide product = Wide{bits} * static_cast<Wide>(n);
            const Index i = static_cast<Index>(product >> 64);
            const double u = unit_interval<double>(static_cast<std::uint64_t>(product));
            out[k] = u < threshold[i] ? static_cast<Id>(i) : alias[i];
        });
    });
}

}  // namespace pyrec::cpu
