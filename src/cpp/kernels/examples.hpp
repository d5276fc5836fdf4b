// Blocks of examples side by side: lane l of each vector is of example l. What is done for an example is then done for
// as many as a vector has lanes, whatever the numbers of its fields and dimensions, and nothing is summed across lanes.
// CPU only.
#pragma once
#include "packed.hpp"

namespace pyrec::cpu {

// Element k of each of `examples` <= kLanes rows, n long and stride apart, as vector k of `to`. Lanes without an
// example are 0.
template <class T> void to_lanes(T* to, const T* x, Index stride, Index examples, Index n) {
    pack_rows(to, kLanes<T>, x, stride, examples, n);
}

// The inverse.
template <class T> void from_lanes(T* x, const T* from, Index stride, Index examples, Index n) {
    constexpr Index lanes = kLanes<T>;
    const Index whole = n / lanes * lanes;
    for (Index k = 0; k < whole; k += lanes) {
        Vec<T> v[lanes];
        for (Index i = 0; i < lanes; ++i) v[i] = load(from + (k + i) * lanes);
        transpose<T>(v);
        for (Index l = 0; l < examples; ++l) store(x + l * stride + k, v[l]);
    }
    for (Index l = 0; l < examples; ++l)
        for (Index k = whole; k < n; ++k) x[l * stride + k] = from[k * lanes + l];
}

// The pairs of fields i < j, row by row: where the next one stands.
struct Pair {
    Index i = 0, j = 1;
};

// f(s, i, j, n) for the runs of pairs (i, j), (i, j + 1), ... of which `count` pairs from `next` on consist, s being
// the number of a run's first pair. Leaves `next` behind the last.
template <class F> void for_pair_runs(Pair& next, Index fields, Index count, F f) {
    for (Index s = 0; s < count;) {
        const Index n = std::min(count - s, fields - next.j);
        f(s, next.i, next.j, n);
        s += n;
        next.j += n;
        if (next.j == fields) ++next.i, next.j = next.i + 1;
    }
}

}  // namespace pyrec::cpu
