// Pairs are formed a strip at a time and stay in cache. The network's products with w, and with w^T on the way back, are
// tiles in registers whose columns are two pairs, each as many examples side by side as a vector has lanes.
#include "dimensions.hpp"
#include "examples.hpp"
#include "interaction.hpp"
#include "math.hpp"

namespace pyrec::cpu {
namespace {

constexpr Index kPairs = 32;                                         // of a strip
constexpr Index kSumRows = 4, kSumColumns = kTileRows >= 14 ? 4 : 2;  // of a tile of sums in registers

// Row k of the vectors of pair s, in panels of two pairs with `rows` rows each.
template <class T> Index place(Index s, Index rows, Index k) {
    return (s / 2 * rows + k) * kTileColumns<T> + s % 2 * kLanes<T>;
}

// The weights as panels of rows: (w | b), which multiplies pairs with a row of ones below, and w^T.
template <class T> class Weights {
  public:
    explicit Weights(const PairScore<T>& score)
        : A(score.A),
          D(score.D),
          rows(tile_rows(A)),
          back_rows(tile_rows(D)),
          h(score.h),
          memory_(packed_size(A, rows, D + 1) + packed_size(D, back_rows, A)),
          forward_(memory_.data()),
          back_(memory_.data() + packed_size(A, rows, D + 1)) {
        for (Index a = 0; a < A; a += rows) {
            T* const to = forward_ + a * (D + 1);
            const Index n = std::min(rows, A - a);
            pack_rows(to, rows, score.w + a * D, D, n, D);
            std::fill_n(std::copy_n(score.b + a, n, to + D * rows), rows - n, T(0));
        }
        for (Index d = 0; d < D; d += back_rows)
            pack_columns(back_ + d * A, back_rows, score.w + d, D, std::min(back_rows, D - d), A);
    }

    const Index A, D, rows, back_rows;
    const T* const h;
    const T* panel(Index a) const { return forward_ + a * (D + 1); }
    const T* back_panel(Index d) const { return back_ + d * A; }

  private:
    Scratch<T> memory_;
    T *forward_, *back_;
};

// A strip of the pairs of a block of examples.
template <class T> struct Strip {
    static constexpr Index lanes = kLanes<T>;

    Index count;           // of pairs
    Index i[kPairs], j[kPairs];
    alignas(64) T scores[kPairs * lanes];

    void form(T* pairs, const T* e, Pair& next, Index F, Index D, Index n) {
        count = n;
        const Vec<T> one = Vec<T>{} + T(1);
        for_pair_runs(next, F, n, [&](Index s0, Index first, Index second, Index length) {
            for (Index s = s0; s < s0 + length; ++s, ++second) {
                i[s] = first * D * lanes, j[s] = second * D * lanes;
                T* to = pairs + place<T>(s, D + 1, 0);
                for (Index d = 0; d < D; ++d)
                    store(to + d * kTileColumns<T>, load(e + i[s] + d * lanes) * load(e + j[s] + d * lanes));
                store(to + D * kTileColumns<T>, one);
            }
        });
    }

    // scores = h . relu(w p + b); the hidden units, relu(w p + b), are stored where they are asked for.
    void score(const T* pairs, const Weights<T>& weights, T* hidden) {
        const Index A = weights.A, K = weights.D + 1;
        std::fill_n(scores, count * lanes, T(0));
        for (Index a = 0; a < A; a += weights.rows) {
            const Index rows = std::min(weights.rows, A - a);
            for (Index s = 0; s < count; s += 2) {
                const Index columns = std::min<Index>(2, count - s);
                RegisterTile<T> tile;
                tile.multiply(weights.panel(a), pairs + place<T>(s, K, 0), K, columns * lanes, weights.rows);
                for (Index c = 0; c < columns; ++c) {
                    Vec<T> sum = load(scores + (s + c) * lanes);
                    for (Index r = 0; r < rows; ++r) {
                        const Vec<T> x = tile.sum[r][c], unit = x < T(0) ? Vec<T>{} : x;  // NaN stays
                        sum += weights.h[a + r] * unit;
                        if (hidden) store(hidden + place<T>(s + c, A, a + r), unit);
                    }
                    store(scores + (s + c) * lanes, sum);
                }
            }
        }
    }

    // scores = exp(scores - shift), a shift for each example.
    void exponentials(const T* shift) {
        for (Index s = 0; s < count; ++s)
            for (Index l = 0; l < lanes; ++l) scores[s * lanes + l] = math::exp_flushed(scores[s * lanes + l] - shift[l]);
    }
};

// The softmax over all pairs, a strip after the other: when a larger score comes, what was summed is scaled down.
template <class T>
void pool_block(T* pooled, T* log_sum, const T* e, const Weights<T>& weights, Index F, T* pairs) {
    constexpr Index lanes = kLanes<T>;
    const Index D = weights.D, n_pairs = F * (F - 1) / 2;
    alignas(64) T top[lanes], sum[lanes] = {}, scale[lanes];
    std::fill_n(top, lanes, std::numeric_limits<T>::lowest());
    std::fill_n(pooled, D * lanes, T(0));
    Strip<T> strip;
    Pair next;
    for (Index t = 0; t < n_pairs; t += kPairs) {
        strip.form(pairs, e, next, F, D, std::min(kPairs, n_pairs - t));
        strip.score(pairs, weights, nullptr);
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
    const Vec<T> total = load(sum), divisor = total == T(0) ? Vec<T>{} + T(1) : total;  // 0 where there is no pair
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
template <class T>
void unit_gradients(T* hidden, T* sums, const T* d_scores, const Weights<T>& weights, Index count) {
    constexpr Index lanes = kLanes<T>;
    for (Index a = 0; a < weights.A; ++a) {
        T* const d_h = sums + (a * (weights.D + 2) + weights.D + 1) * lanes;
        Vec<T> sum = load(d_h);
        for (Index s = 0; s < count; ++s) {
            T* const at = hidden + place<T>(s, weights.A, a);
            const Vec<T> unit = load(at), d = load(d_scores + s * lanes);
            sum += d * unit;
            store(at, unit > T(0) ? d * weights.h[a] : Vec<T>{});
        }
        store(d_h, sum);
    }
}

// sums[r][c] += sum_s x[r] y[c] over the pairs of a strip, for a tile of R rows of x and C of y.
template <int R, int C, class T>
void add_products(T* sums, const T* x, const T* y, Index A, Index D, Index count) {
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
    const Index A = weights.A, D = weights.D;
    for (Index d = 0; d < D; d += weights.back_rows) {
        const Index rows = std::min(weights.back_rows, D - d);
        for (Index s = 0; s < strip.count; s += 2) {
            const Index columns = std::min<Index>(2, strip.count - s);
            RegisterTile<T> tile;
            tile.multiply(weights.back_panel(d), d_units + place<T>(s, A, 0), A, columns * lanes, weights.back_rows);
            for (Index c = 0; c < columns; ++c) {
                const Vec<T> weight = load(strip.scores + (s + c) * lanes);
                const Index i = strip.i[s + c] + d * lanes, j = strip.j[s + c] + d * lanes;
                for (Index r = 0; r < rows; ++r) {
                    const Vec<T> d_pair = tile.sum[r][c] + weight * load(block.d_pooled + (d + r) * lanes);
                    T *to_i = block.d_e + i + r * lanes, *to_j = block.d_e + j + r * lanes;
                    store(to_i, load(to_i) + d_pair * load(block.e + j + r * lanes));
                    store(to_j, load(to_j) + d_pair * load(block.e + i + r * lanes));
                }
            }
        }
    }
}

template <class T> void backward_block(const Block<T>& block, const Weights<T>& weights, T* pairs, T* hidden) {
    const Index A = weights.A, D = weights.D, n_pairs = block.F * (block.F - 1) / 2;
    alignas(64) T d_scores[kPairs * kLanes<T>];
    Strip<T> strip;
    Pair next;
    for (Index t = 0; t < n_pairs; t += kPairs) {
        strip.form(pairs, block.e, next, block.F, D, std::min(kPairs, n_pairs - t));
        strip.score(pairs, weights, hidden);
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

#define INSTANTIATE(T)                                                                                              \
    template void attention_pooling_forward(const Exec&, T*, T*, const T*, const PairScore<T>&, Index, Index);     \
    template void attention_pooling_backward(const Exec&, T*, T*, T*, T*, double*, const T*, const T*, const T*,    \
                                             const T*, const PairScore<T>&, Index, Index, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
