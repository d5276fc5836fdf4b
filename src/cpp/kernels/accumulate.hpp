// Adding up the rows of users who share an item.
#pragma once
#include "parallel.hpp"

namespace pyrec::cpu {

// sum[j] += 1 for the ids of one user. They are distinct, so eight at a time do not wait for one another.
inline void add_ones(std::uint32_t* sum, const Id* j, const Id* end) {
    for (; end - j >= 8; j += 8) {
        ++sum[j[0]], ++sum[j[1]], ++sum[j[2]], ++sum[j[3]];
        ++sum[j[4]], ++sum[j[5]], ++sum[j[6]], ++sum[j[7]];
    }
    for (; j < end; ++j) ++sum[*j];
}

template <class T> void add_scaled(double* sum, double scale, const Id* j, const Id* end, const T* x) {
    for (; end - j >= 4; j += 4, x += 4) {
        const double a = scale * x[0], b = scale * x[1], c = scale * x[2], d = scale * x[3];
        sum[j[0]] += a, sum[j[1]] += b, sum[j[2]] += c, sum[j[3]] += d;
    }
    for (; j < end; ++j, ++x) sum[*j] += scale * *x;
}

// Whether every stored value is 1, so that sums are counts.
template <class T> bool all_ones(const Exec& ex, const Csr<T>& X) {
    constexpr Index grain = 1 << 16;
    Scratch<char> ones(ceil_div(X.nnz(), grain));
    parallel_ranges(ex, X.nnz(), grain, [&](Index begin, Index end) {
        bool same = true;
        for (Index k = begin; k < end; ++k) same &= X.data[k] == T(1);
        ones[begin / grain] = same;
    });
    return std::all_of(ones.data(), ones.data() + ceil_div(X.nnz(), grain), [](char c) { return c != 0; });
}

}  // namespace pyrec::cpu
