// Which products of maps and fields a layer of a compressed interaction network is made of. CPU only.
#pragma once
#include "parallel.hpp"

namespace pyrec::cpu {

// Pairs (h, i) of a map and a field, row by row. In a first layer, where xk is x0, (i, h) has the same product as (h,
// i): there are only those with i >= h, for the sum of both weights, which is half the work.
struct Pairs {
    Index m, H;
    bool once;

    struct Place {
        Index h, i;
    };

    Index count() const { return once ? m * (m + 1) / 2 : H * m; }
    Index first(Index h) const { return once ? h : 0; }
    Place place(Index k) const {
        if (!once) return {k / m, k % m};
        Index h = 0;
        for (; k >= m - h; ++h) k -= m - h;
        return {h, h + k};
    }
};

template <class T> Pairs pairs_of(const T* x0, const T* xk, Index m, Index H) { return {m, H, xk == x0 && H == m}; }

// f(k, there, back): for each row k of a first layer where the weights of (h, i) and (i, h) stand.
template <class F> void for_both(const Pairs& pairs, F f) {
    for (Index h = 0, k = 0; h < pairs.m; ++h)
        for (Index i = h; i < pairs.m; ++i, ++k) f(k, h * pairs.m + i, i * pairs.m + h);
}

// From the weights w (O, m, m) of a first layer to those of its pairs (O, count), and their gradients back.
template <class T> void fold_weights(const Exec& ex, T* to, const T* w, Index O, const Pairs& pairs) {
    parallel_for(ex, O, 8, [=](Index o) {
        const T* const from = w + o * pairs.m * pairs.m;
        T* const row = to + o * pairs.count();
        for_both(pairs, [=](Index k, Index there, Index back) {
            row[k] = there == back ? from[there] : from[there] + from[back];
        });
    });
}

template <class T> void unfold_weights(const Exec& ex, T* w, const T* from, Index O, const Pairs& pairs) {
    parallel_for(ex, O, 8, [=](Index o) {
        const T* const row = from + o * pairs.count();
        T* const to = w + o * pairs.m * pairs.m;
        for_both(pairs, [=](Index k, Index there, Index back) { to[there] = to[back] = row[k]; });
    });
}

}  // namespace pyrec::cpu
