// Pairs are formed a strip at a time and stay in cache. The network's products with w, and with w^T on the way back,
// are tiles in registers whose columns are two pairs, each as many examples side by side as a vector has lanes.
#include "dimensions.hpp"
#include "examples.hpp"
#include "interaction.hpp"
#include "math.hpp"

namespace pyrec::cpu {
namespace {

#define INLINE __attribute__((always_inline))  // where sums in registers are handed on

constexpr Index kPairs = 32;                                          // of a strip
constexpr Index kSumRows = 4, kSumColumns = kTileRows >= 14 ? 4 : 2;  // of a tile of sums in registers

// Row k of the vectors of pair s, in panels of two pairs with `rows` rows each.
template <class T> Index place(Index s, Index rows, Index k) {
    return (s / 2 * rows + k) * kTileColumns<T> + s % 2 * kLanes<T>;
}

// f(r) for r = 0, 1, ..., n - 1 as constants, so that an array of vectors indexed by r stays in registers.
template <int n, class F> INLINE inline void unrolled(F f) {
    [&]<int... r>(std::integer_sequence<int, r...>)
        INLINE { (f(std::integral_constant<int, r>()), ...); }(std::make_integer_sequence<int, n>());
}

// The rows of a matrix, cut in tiles as high as registers allow, and of nearly the same height: none is filled up.
struct Rows {
    explicit Rows(Index n_rows) : n(n_rows), height(ceil_div(n, std::max<Index>(1, ceil_div(n, kTileRows)))) {}

    // f(r, rows) for the tiles [r, r + rows).
    template <class F> void for_tiles(F f) const {
        for (Index r = 0; r < n; r += height) f(r, std::min(height, n - r));
    }

    Index n, height;
};

// use(sum) for sum[r][c] = sum_k a[k][r] b[k][c]: a (K, rows) is a panel of weights, b one of two pairs.
template <class T, int R = kTileRows, class F> void multiply(const T* a, const T* b, Index K, Index rows, F use) {
    if (rows == R) {
        Vec<T> sum[R][2] = {};
        for (Index k = 0; k < K; ++k, a += R, b += kTileColumns<T>) {
            const Vec<T> b0 = load(b), b1 = load(b + kLanes<T>);
            for (int r = 0; r < R; ++r) {
                sum[r][0] += a[r] * b0;
                sum[r][1] += a[r] * b1;
            }
        }
        use(sum);
    } else if constexpr (R > 1) {
        multiply<T, R - 1>(a, b, K, rows, use);
    }
}

// The weights as panels of rows: (w | b), which multiplies pairs with a row of ones below, and w^T.
template <class T> class Weights {
  public:
    explicit Weights(const PairScore<T>& score)
        : A(score.A), D(score.D), h(score.h), memory_(A * (2 * D + 1)), forward_(memory_.data()) {
        Rows(A).for_tiles([&](Index a, Index rows) {
            T* const to = forward_ + a * (D + 1);
            pack_rows(to, rows, score.w + a * D, D, rows, D);
            std::copy_n(score.b + a, rows, to + D * rows);
        });
        Rows(D).for_tiles(
            [&](Index d, Index rows) { pack_columns(forward_ + A * (D + 1) + d * A, rows, score.w + d, D, rows, A); });
    }

    const Index A, D;
    const T* const h;
    const T* panel(Index a) const { return forward_ + a * (D + 1); }
    const T* back_panel(Index d) const { return forward_ + A * (D + 1) + d * A; }

  private:
    Scratch<T> memory_;
    T* forward_;
};

// A strip of the pairs of a block of examples.
template <class T> struct Strip {
    static constexpr Index lanes = kLanes<T>;

    Index count;  // of pairs
    Index i[kPairs], j[kPairs];
    alignas(64) T scores[kPairs * lanes];

    // The products of the next n pairs, with a row of ones; where n is odd, a last one of nothing fills the panel.
    void form(T* pairs, const T* e, Pair& next, Index F, Index D, Index n) {
        constexpr Index width = kTileColumns<T>;
        count = n;
        for_pair_runs(next, F, n, [&](Index s0, Index first, Index second, Index length) {
            for (Index s = s0; s < s0 + length; ++s, ++second) {
                i[s] = first * D * lanes, j[s] = second * D * lanes;
                T* to = pairs + place<T>(s, D + 1, 0);
                for (Index d = 0; d < D; ++d)
                    store(to + d * width, load(e + i[s] + d * lanes) * load(e + j[s] + d * lanes));
                store(to + D * width, Vec<T>{} + T(1));
            }
        });
        if (n % 2 != 0)
            for (Index d = 0; d <= D; ++d) store(pairs + place<T>(n, D + 1, d), Vec<T>{});
    }

    // scores = h . relu(w p + b); the hidden units, relu(w p + b), are stored where they are asked for.
    template <bool keeps> void score(const T* pairs, const Weights<T>& weights, T* hidden = nullptr) {
        const Index A = weights.A, K = weights.D + 1;
        std::fill_n(scores, kPairs * lanes, T(0));
        Rows(A).for_tiles([&](Index a, Index rows) {
            const T* const h = weights.h + a;
            for (Index s = 0; s < count; s += 2) {
                T* const to = scores + s * lanes;
                const Index at_units = place<T>(s, A, a);
                multiply(weights.panel(a), pairs + place<T>(s, K, 0), K, rows, [=](auto& sum) INLINE {
                    const Vec<T> zero = {};
                    Vec<T> total[2] = {load(to), load(to + lanes)};
                    unrolled<2 * (sizeof sum / sizeof sum[0])>([&](auto at) INLINE {
                        constexpr int r = at / 2, c = at % 2;
                        const Vec<T> x = sum[r][c], unit = x < zero ? zero : x;  // NaN stays
                        total[c] += h[r] * unit;
                        if constexpr (keeps) store(hidden + at_units + r * kTileColumns<T> + c * lanes, unit);
                    });
                    store(to, total[0]);
                    store(to + lanes, total[1]);
                });
            }
        });
    }

    // scores = exp(scores - shift), a shift for each example.
    void exponentials(const T* shift) {
        for (Index s = 0; s < count; ++s)
            for (Index l = 0; l < lanes; ++l)
                scores[s * lanes + l] = math::exp_flushed(scores[s * lanes + l] - shift[l]);
    }
};

// The softmax over all pairs, a strip after the other: when a larger score comes, what was summed is scaled down.
template <class T> void pool_block(T* pooled, T* log_sum, const T* e, const Weights<T>& weights, Index F, T* pairs) {
    constexpr Index lanes = kLanes<T>;
    const Index D = weights.D, n_pairs = F * (F - 1) / 2;
    alignas(64) T top[lanes], sum[lanes] = {}, scale[lanes];
    std::fill_n(top, lanes, std::numeric_limits<T>::lowest());
    std::fill_n(pooled, D * lanes, T(0));
    Strip<T> strip;
    Pair next;
    for (Index t = 0; t < n_pairs; t += kPairs) {
        strip.form(pairs, e, next, F, D, std::min(kPairs, n_pairs - t));
        strip.template score<false>(pairs, weights);
        const Vec<T> before = load(top);
        Vec<T> after = before;
        for (Index s = 0; s < strip.count; ++s) {
            const Vec<T> x = load(strip.scores + s * lanes);
            after = x > after ? x : after;
        }
        store(top, after);
        for (Index l = 0; l < lanes; ++l) scale[l] = math::exp_flushed(before[l] - top[l]);
        strip.exponentials(top);
        Vec<T> total = load(sum) * load(scale);
        for (Index s = 0; s < strip.count; ++s) total += load(strip.scores + s * lanes);
        store(sum, total);
        for (Index d = 0; d < D; ++d) {
            Vec<T> mean = load(pooled + d * lanes) * load(scale);
            for (Index s = 0; s < strip.count; ++s)
                mean += load(strip.scores + s * lanes) * load(pairs + place<T>(s, D + 1, d));
            store(pooled + d * lanes, mean);
        }
    }
    for (Index l = 0; l < lanes; ++l) log_sum[l] = top[l] + math::log(sum[l]);
    const Vec<T> zero = {}, total = load(sum), divisor = total == zero ? zero + T(1) : total;  // 0 where no pair is
    for (Index d = 0; d < D; ++d) store(pooled + d * lanes, load(pooled + d * lanes) / divisor);
}

// What the way back of a block of examples works on, all of it with examples side by side.
template <class T> struct Block {
    T *d_e, *sums;  // (F,D); (A,D+2): what the gradients of w, b and h are the sums of, over examples
    const T *e, *d_pooled, *log_sum, *mean;
    Index F;
};

// scores, which are the weights a of the pairs, to the gradients of the scores: a (<d_pooled, p> - mean).
template <class T>
void score_gradients(T* d_scores, const Strip<T>& strip, const T* pairs, const Block<T>& block, Index D) {
    constexpr Index lanes = kLanes<T>;
    const Vec<T> mean = load(block.mean);
    for (Index s = 0; s < strip.count; ++s) {
        const T* p = pairs + place<T>(s, D + 1, 0);
        Vec<T> d = {};
        for (Index k = 0; k < D; ++k) d += load(block.d_pooled + k * lanes) * load(p + k * kTileColumns<T>);
        store(d_scores + s * lanes, load(strip.scores + s * lanes) * (d - mean));
    }
}

// hidden units to their gradients; and that of h.
template <class T> void unit_gradients(T* hidden, T* sums, const T* d_scores, const Weights<T>& weights, Index count) {
    constexpr Index lanes = kLanes<T>, width = kTileColumns<T>;
    const Index A = weights.A, D = weights.D;
    for_dimensions<kSumRows>(A, [&](Index a, auto rows) {
        T* const d_h = sums + (a * (D + 2) + D + 1) * lanes;
        const Vec<T> zero = {};
        Vec<T> sum[rows];
        for (Index r = 0; r < rows; ++r) sum[r] = load(d_h + r * (D + 2) * lanes);
        for (Index s = 0; s < count; ++s) {
            T* const at = hidden + place<T>(s, A, a);
            const Vec<T> d = load(d_scores + s * lanes);
            for (Index r = 0; r < rows; ++r) {
                const Vec<T> unit = load(at + r * width);
                sum[r] += d * unit;
                store(at + r * width, unit > zero ? d * weights.h[a + r] : zero);
            }
        }
        for (Index r = 0; r < rows; ++r) store(d_h + r * (D + 2) * lanes, sum[r]);
    });
}

// sums[r][c] += sum_s x[r] y[c] over the pairs of a strip, for a tile of R rows of x and C of y.
template <int R, int C, class T> void add_products(T* sums, const T* x, const T* y, Index A, Index D, Index count) {
    constexpr Index lanes = kLanes<T>, width = kTileColumns<T>;
    Vec<T> sum[R][C];
    for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c) sum[r][c] = load(sums + (r * (D + 2) + c) * lanes);
    for (Index s = 0; s < count; ++s) {
        const T *xs = x + place<T>(s, A, 0), *ys = y + place<T>(s, D + 1, 0);
        Vec<T> column[C];
        for (int c = 0; c < C; ++c) column[c] = load(ys + c * width);
        for (int r = 0; r < R; ++r) {
            const Vec<T> row = load(xs + r * width);
            for (int c = 0; c < C; ++c) sum[r][c] += row * column[c];
        }
    }
    for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c) store(sums + (r * (D + 2) + c) * lanes, sum[r][c]);
}

// The gradients of w and b: d_units (w | b), all rows of either.
template <class T> void weight_gradients(T* sums, const T* d_units, const T* pairs, Index A, Index D, Index count) {
    constexpr Index lanes = kLanes<T>, width = kTileColumns<T>;
    for_dimensions<kSumRows>(A, [&](Index a, auto rows) {
        for_dimensions<kSumColumns>(D + 1, [&](Index k, auto columns) {
            add_products<rows, columns>(sums + (a * (D + 2) + k) * lanes, d_units + a * width, pairs + k * width, A, D,
                                        count);
        });
    });
}

// The gradients of the pairs, a d_pooled + w^T d_units, each used up at once.
template <class T>
void pair_gradients(const Strip<T>& strip, const T* d_units, const Weights<T>& weights, const Block<T>& block) {
    constexpr Index lanes = kLanes<T>;
    const Index A = weights.A;
    Rows(weights.D).for_tiles([&](Index d, Index rows) {
        const T *const e = block.e + d * lanes, *const d_pooled = block.d_pooled + d * lanes;
        T* const d_e = block.d_e + d * lanes;
        for (Index s = 0; s < strip.count; s += 2) {
            multiply(weights.back_panel(d), d_units + place<T>(s, A, 0), A, rows, [&, s](auto& sum) INLINE {
                unrolled<2>([&](auto c) INLINE {
                    if (s + c == strip.count) return;
                    const Vec<T> weight = load(strip.scores + (s + c) * lanes);
                    const Index i = strip.i[s + c], j = strip.j[s + c];
                    unrolled<sizeof sum / sizeof sum[0]>([&](auto r) INLINE {
                        const Vec<T> d_pair = sum[r][c] + weight * load(d_pooled + r * lanes);
                        T *const to_i = d_e + i + r * lanes, *const to_j = d_e + j + r * lanes;
                        store(to_i, load(to_i) + d_pair * load(e + j + r * lanes));
                        store(to_j, load(to_j) + d_pair * load(e + i + r * lanes));
                    });
                });
            });
        }
    });
}

template <class T> void backward_block(const Block<T>& block, const Weights<T>& weights, T* pairs, T* hidden) {
    const Index A = weights.A, D = weights.D, n_pairs = block.F * (block.F - 1) / 2;
    alignas(64) T d_scores[kPairs * kLanes<T>];
    Strip<T> strip;
    Pair next;
    for (Index t = 0; t < n_pairs; t += kPairs) {
        strip.form(pairs, block.e, next, block.F, D, std::min(kPairs, n_pairs - t));
        strip.template score<true>(pairs, weights, hidden);
        strip.exponentials(block.log_sum);
        score_gradients(d_scores, strip, pairs, block, D);
        unit_gradients(hidden, block.sums, d_scores, weights, strip.count);
        weight_gradients(block.sums, hidden, pairs, A, D, strip.count);
        pair_gradients(strip, hidden, weights, block);
    }
}

// sums (n) += the sums over lanes of x (n).
template <class T> void add_lanes(double* sums, const T* x, Index n) {
    for (Index k = 0; k < n; ++k) {
        double sum = 0;
        for (Index l = 0; l < kLanes<T>; ++l) sum += static_cast<double>(x[k * kLanes<T> + l]);
        sums[k] += sum;
    }
}

}  // namespace

template <class T>
void attention_pooling_forward(const Exec& ex, T* pooled, T* log_sum, const T* emb, const PairScore<T>& score, Index B,
                               Index F) {
    constexpr Index lanes = kLanes<T>;
    const Index D = score.D;
    const Weights<T> weights(score);
    parallel_ranges(ex, B, lanes, [=, &weights](Index b, Index end) {
        Scratch<T> e(F * D * lanes), pairs(kPairs * (D + 1) * lanes), mean(D * lanes);
        T log_sums[lanes];
        to_lanes(e.data(), emb + b * F * D, F * D, end - b, F * D);
        pool_block(mean.data(), log_sums, e.data(), weights, F, pairs.data());
        from_lanes(pooled + b * D, mean.data(), D, end - b, D);
        std::copy_n(log_sums, end - b, log_sum + b);
    });
}

template <class T>
void attention_pooling_backward(const Exec& ex, T* d_emb, T* d_w, T* d_b, T* d_h, double* sums, const T* d_pooled,
                                const T* pooled, const T* log_sum, const T* emb, const PairScore<T>& score, Index B,
                                Index F, Index P) {
    constexpr Index lanes = kLanes<T>;
    const Index A = score.A, D = score.D, n_sums = A * (D + 2), run = ceil_div(ceil_div(B, P), lanes) * lanes;
    const Weights<T> weights(score);
    parallel_for(ex, P, 1, [=, &weights](Index part) {
        Scratch<T> e(F * D * lanes), d_e(F * D * lanes), d_mean(D * lanes), pairs(kPairs * (D + 1) * lanes),
            hidden(kPairs * A * lanes), block_sums(n_sums * lanes);
        double* const part_sums = sums + part * n_sums;
        std::fill_n(part_sums, n_sums, 0.0);
        for (Index b = part * run, end; b < std::min(B, (part + 1) * run); b = end) {
            end = std::min(B, b + lanes);
            // lanes without an example give all pairs the weight exp(-inf), 0
            alignas(64) T log_sums[lanes], mean[lanes] = {};
            std::fill(std::copy(log_sum + b, log_sum + end, log_sums), log_sums + lanes,
                      std::numeric_limits<T>::infinity());
            for (Index l = 0; l < end - b; ++l)
                for (Index d = 0; d < D; ++d) mean[l] += d_pooled[(b + l) * D + d] * pooled[(b + l) * D + d];
            to_lanes(e.data(), emb + b * F * D, F * D, end - b, F * D);
            to_lanes(d_mean.data(), d_pooled + b * D, D, end - b, D);
            std::fill_n(d_e.data(), F * D * lanes, T(0));
            std::fill_n(block_sums.data(), n_sums * lanes, T(0));
            backward_block(Block<T>{d_e.data(), block_sums.data(), e.data(), d_mean.data(), log_sums, mean, F}, weights,
                           pairs.data(), hidden.data());
            from_lanes(d_emb + b * F * D, d_e.data(), F * D, end - b, F * D);
            add_lanes(part_sums, block_sums.data(), n_sums);
        }
    });
    parallel_for(ex, A, 16, [=](Index a) {
        for (Index k = 0; k < D + 2; ++k) {
            double sum = 0;
            for (Index part = 0; part < P; ++part) sum += sums[part * n_sums + a * (D + 2) + k];
            (k < D ? d_w[a * D + k] : k == D ? d_b[a] : d_h[a]) = static_cast<T>(sum);
        }
    });
}

#define INSTANTIATE(T)                                                                                           \
    template void attention_pooling_forward(const Exec&, T*, T*, const T*, const PairScore<T>&, Index, Index);   \
    template void attention_pooling_backward(const Exec&, T*, T*, T*, T*, double*, const T*, const T*, const T*, \
                                             const T*, const PairScore<T>&, Index, Index, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
