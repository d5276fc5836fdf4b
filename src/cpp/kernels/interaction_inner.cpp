#include "dimensions.hpp"
#include "examples.hpp"
#include "interaction.hpp"

namespace pyrec::cpu {
namespace {

constexpr Index kStrip = 64;    // pairs that are turned to and from lanes at a time
constexpr Index kTogether = 4;  // sums that do not wait for one another

// products[s] = <e_i, e_(j + s)> for s in [0, n), examples side by side.
template <class T> void multiply_fields(T* products, const T* e, Index i, Index j, Index n, Index D) {
    constexpr Index lanes = kLanes<T>;
    const T *a = e + i * D * lanes, *b = e + j * D * lanes;
    for_dimensions<kTogether>(n, [&](Index s, auto together) {
        Vec<T> sum[together] = {};
        for (Index d = 0; d < D; ++d) {
            const Vec<T> own = load(a + d * lanes);
            for (Index l = 0; l < together; ++l) sum[l] += own * load(b + ((s + l) * D + d) * lanes);
        }
        for (Index l = 0; l < together; ++l) store(products + (s + l) * lanes, sum[l]);
    });
}

// d_e[i] += sum_s d[s] e_(j + s) and d_e[j + s] += d[s] e_i.
template <class T> void add_gradients(T* d_e, const T* d, const T* e, Index i, Index j, Index n, Index D) {
    constexpr Index lanes = kLanes<T>;
    for_dimensions<kTogether>(D, [&](Index d0, auto together) {
        const Index at = (i * D + d0) * lanes;
        Vec<T> own[together], sum[together];
        for (Index l = 0; l < together; ++l) own[l] = load(e + at + l * lanes), sum[l] = load(d_e + at + l * lanes);
        for (Index s = 0; s < n; ++s) {
            const Index other = ((j + s) * D + d0) * lanes;
            const Vec<T> factor = load(d + s * lanes);
            for (Index l = 0; l < together; ++l) {
                T* to = d_e + other + l * lanes;
                sum[l] += factor * load(e + other + l * lanes);
                store(to, load(to) + factor * own[l]);
            }
        }
        for (Index l = 0; l < together; ++l) store(d_e + at + l * lanes, sum[l]);
    });
}

}  // namespace

template <class T> void inner_products_forward(const Exec& ex, T* out, const T* emb, Index B, Index F, Index D) {
    constexpr Index lanes = kLanes<T>;
    const Index pairs = F * (F - 1) / 2;
    parallel_ranges(ex, B, lanes, [=](Index b, Index end) {
        Scratch<T> e(F * D * lanes), products(kStrip * lanes);
        to_lanes(e.data(), emb + b * F * D, F * D, end - b, F * D);
        Pair next;
        for (Index t = 0; t < pairs; t += kStrip) {
            const Index count = std::min(kStrip, pairs - t);
            for_pair_runs(next, F, count, [&](Index s, Index i, Index j, Index n) {
                multiply_fields(products.data() + s * lanes, e.data(), i, j, n, D);
            });
            from_lanes(out + b * pairs + t, products.data(), pairs, end - b, count);
        }
    });
}

template <class T>
void inner_products_backward(const Exec& ex, T* d_emb, const T* d_out, const T* emb, Index B, Index F, Index D) {
    constexpr Index lanes = kLanes<T>;
    const Index pairs = F * (F - 1) / 2;
    parallel_ranges(ex, B, lanes, [=](Index b, Index end) {
        Scratch<T> e(F * D * lanes), d_e(F * D * lanes), d(kStrip * lanes);
        to_lanes(e.data(), emb + b * F * D, F * D, end - b, F * D);
        std::fill_n(d_e.data(), F * D * lanes, T(0));
        Pair next;
        for (Index t = 0; t < pairs; t += kStrip) {
            const Index count = std::min(kStrip, pairs - t);
            to_lanes(d.data(), d_out + b * pairs + t, pairs, end - b, count);
            for_pair_runs(next, F, count, [&](Index s, Index i, Index j, Index n) {
                add_gradients(d_e.data(), d.data() + s * lanes, e.data(), i, j, n, D);
            });
        }
        from_lanes(d_emb + b * F * D, d_e.data(), F * D, end - b, F * D);
    });
}

#define INSTANTIATE(T)                                                                    \
    template void inner_products_forward(const Exec&, T*, const T*, Index, Index, Index); \
    template void inner_products_backward(const Exec&, T*, const T*, const T*, Index, Index, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
