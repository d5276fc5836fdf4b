// Scores, loss and gradients from packed register tiles. Items are cut into chunks whose scores stay in the
// second-level cache while one thread makes, exponentiates or differentiates them; chunks follow from the shapes alone.
#include "losses.hpp"
#include "packed.hpp"
#include "rows.hpp"

namespace pyrec::cpu {
namespace {

constexpr Index kChunk = 224;                   // items at a time, at most: whole tiles either way
constexpr Index kGroups = 16;                   // of chunks: each sums its own share of d_hidden
constexpr Index kScoreBytes = Index{64} << 20;  // of scores held by full_softmax
template <class T> constexpr Index kNr = kTileColumns<T>;

// Chunks of N items come in fours, so that a few threads end together.
template <class T> Index chunk_width(Index N) {
    const Index chunks = std::max<Index>(1, ceil_div(N, 4 * kChunk)) * 4, lanes = kLanes<T>;
    return std::max<Index>(1, ceil_div(ceil_div(N, chunks), lanes)) * lanes;
}

// The output vectors, all of them or those of `ids`.
template <class T> struct Items {
    const T *weight, *bias;
    const Id* ids;
    Index d;
    Index id(Index j) const { return ids ? ids[j] : j; }
    const T* row(Index j) const { return weight + id(j) * d; }
};

// Scores of R rows and N items: row-major, or each chunk by itself, so that rows do not lie a whole catalogue apart.
template <class T> struct Scores {
    T* data;
    Index R, N;
    bool by_chunk;
    Index chunk = chunk_width<T>(N);
    T* at(Index j0) const { return data + (by_chunk ? j0 * R : j0); }  // of the chunk that starts at item j0
    Index stride(Index j0) const { return by_chunk ? std::min(chunk, N - j0) : N; }
};

template <class T> struct Gradients {
    T *hidden, *weight, *bias;  // bias may be null
};

// R rows of hidden, packed for both sides of a product.
template <class T> class Hidden {
  public:
    const Index height;  // of a panel of rows

    Hidden(const Exec& ex, const T* hidden, Index R, Index d)
        : height(tile_rows(R)), rows_(packed_size(R, height, d)), columns_(packed_size(d, kNr<T>, R)), R_(R), d_(d) {
        parallel_for(ex, ceil_div(R, height), 8, [&](Index p) {
            const Index b = p * height;
            pack_rows(&rows_[b * d], height, hidden + b * d, d, std::min(height, R - b), d);
        });
        for (Index f = 0; f < d; f += kNr<T>)
            pack_columns(&columns_[f * R], kNr<T>, hidden + f, d, std::min(kNr<T>, d - f), R);
    }
    const T* rows(Index b) { return &rows_[b * d_]; }        // panel of rows from b on, depth d
    const T* columns(Index f) { return &columns_[f * R_]; }  // panel of columns from f on, depth R

  private:
    Scratch<T> rows_, columns_;
    Index R_, d_;
};

// `to` (n <= kNr) = or += two vectors.
template <class T> void put(T* to, Index n, const Vec<T>& v0, const Vec<T>& v1, bool add) {
    constexpr Index lanes = kLanes<T>;
    if (n == kNr<T>) {
        store(to, add ? load(to) + v0 : v0);
        store(to + lanes, add ? load(to + lanes) + v1 : v1);
        return;
    }
    T row[kNr<T>];
    store(row, v0);
    store(row + lanes, v1);
    for (Index l = 0; l < n; ++l) to[l] = add ? to[l] + row[l] : row[l];
}

// Items j0 to j1 of z = hidden items^T + bias.
template <class T> void chunk_scores(const Scores<T>& z, Hidden<T>& hidden, const Items<T>& items, Index j0, Index j1) {
    constexpr Index nr = kNr<T>, lanes = kLanes<T>;
    const Index d = items.d, stride = z.stride(j0), height = hidden.height;
    T* const to = z.at(j0);
    Scratch<T> panel(nr * d);
    RegisterTile<T> tile;
    const Index fetched = ceil_div(nr, std::max<Index>(1, ceil_div(z.R, height)));
    for (Index j = j0; j < j1; j += nr) {
        const Index n = std::min(nr, j1 - j);
        T bias[nr] = {};
        if (items.bias)
            for (Index l = 0; l < n; ++l) bias[l] = items.bias[items.id(j + l)];
        const Vec<T> bias0 = load(bias), bias1 = load(bias + lanes);
        pack_rows_at(panel.data(), nr, [&](Index l) { return items.row(j + l); }, n, d);
        for (Index b = 0, ahead = j + nr; b < z.R; b += height) {
            // The rows of the next panel come from memory while this one is multiplied, a few at a time.
            for (const Index until = std::min(j1, ahead + fetched); ahead < until; ++ahead)
                for (Index k = 0; k < d; k += 64 / static_cast<Index>(sizeof(T)))
                    __builtin_prefetch(items.row(ahead) + k);
            tile.multiply(hidden.rows(b), panel.data(), d, n, height);
            for (Index r = 0; r < std::min(height, z.R - b); ++r)
                put<T>(to + (b + r) * stride + j - j0, n, tile.sum[r][0] + bias0, tile.sum[r][1] + bias1, false);
        }
    }
}

// From items j0 to j1 of g, the gradient of the scores: their rows of d.weight and d.bias (added to unless `fresh`),
// and their share of d.hidden, added to `share` (R,d).
template <class T>
void chunk_gradients(const Gradients<T>& d, T* share, const Scores<T>& g, Hidden<T>& hidden, const Items<T>& items,
                     Index j0, Index j1, bool fresh) {
    constexpr Index nr = kNr<T>;
    const Index D = items.d, R = g.R, width = j1 - j0, stride = g.stride(j0);
    const T* const from = g.at(j0);
    if (d.bias) {
        T* const sum = d.bias + j0;
        if (fresh) std::fill(sum, sum + width, T(0));
        for (Index b = 0; b < R; ++b) {
#pragma omp simd
            for (Index j = 0; j < width; ++j) sum[j] += from[b * stride + j];
        }
    }
    RegisterTile<T> tile;
    Scratch<T> by_item(kTileRows * R), by_row(packed_size(R, hidden.height, width)), vectors(nr * width);
    for (Index j = 0; j < width; j += kTileRows) {
        const Index n = std::min<Index>(kTileRows, width - j);
        pack_columns(by_item.data(), kTileRows, from + j, stride, n, R);
        for (Index f = 0; f < D; f += nr) {
            const Index columns = std::min(nr, D - f);
            for (Index r = 0; r < n; ++r) {
                __builtin_prefetch(d.weight + (j0 + j + r) * D + f, 1);
                __builtin_prefetch(d.weight + (j0 + j + r) * D + f + columns - 1, 1);
                __builtin_prefetch(items.row(j0 + j + r) + f);  // for the other product
                __builtin_prefetch(items.row(j0 + j + r) + f + columns - 1);
            }
            tile.multiply(by_item.data(), hidden.columns(f), R, columns);
            for (Index r = 0; r < n; ++r)
                put<T>(d.weight + (j0 + j + r) * D + f, columns, tile.sum[r][0], tile.sum[r][1], !fresh);
        }
    }
    for (Index b = 0; b < R; b += hidden.height)
        pack_rows(&by_row[b * width], hidden.height, from + b * stride, stride, std::min(hidden.height, R - b), width);
    for (Index f = 0; f < D; f += nr) {
        const Index columns = std::min(nr, D - f);
        pack_columns_at(vectors.data(), nr, [&](Index j) { return items.row(j0 + j) + f; }, columns, width);
        for (Index b = 0; b < R; b += hidden.height) {
            tile.multiply(&by_row[b * width], vectors.data(), width, columns, hidden.height);
            for (Index r = 0; r < std::min(hidden.height, R - b); ++r)
                put<T>(share + (b + r) * D + f, columns, tile.sum[r][0], tile.sum[r][1], true);
        }
    }
}

// d.hidden (R,d) and rows of d.weight and d.bias from g, which prepare(j0, j1) makes final chunk by chunk.
template <class T, class F>
void gradients(const Exec& ex, const Gradients<T>& d, const Scores<T>& g, Hidden<T>& hidden, const Items<T>& items,
               bool fresh, F prepare) {
    const Index chunks = ceil_div(g.N, g.chunk), size = g.R * items.d;
    const Index each = ceil_div(chunks, kGroups), groups = each > 0 ? ceil_div(chunks, each) : 0;
    Scratch<T> shares(groups * size);
    parallel_for(ex, groups, 1, [&](Index group) {
        T* const share = shares.data() + group * size;
        std::fill(share, share + size, T(0));
        const Index end = std::min(g.N, (group + 1) * each * g.chunk);
        for (Index j0 = group * each * g.chunk; j0 < end; j0 += g.chunk) {
            const Index j1 = std::min(end, j0 + g.chunk);
            prepare(j0, j1);
            chunk_gradients(d, share, g, hidden, items, j0, j1, fresh);
        }
    });
    parallel_ranges(ex, size, 4096, [&](Index begin, Index end) {
        std::fill(d.hidden + begin, d.hidden + end, T(0));
        for (Index group = 0; group < groups; ++group) {
            const T* share = shares.data() + group * size;
#pragma omp simd
            for (Index i = begin; i < end; ++i) d.hidden[i] += share[i];
        }
    });
}

// Maximum and sum of exp(score - maximum) of one row in one chunk, the target aside.
template <class T> struct Part {
    T maximum, sum;
};

}  // namespace

template <class T>
void full_softmax(const Exec& ex, double* losses, T* d_hidden, T* d_weight, T* d_bias, const T* hidden, const T* weight,
                  const T* bias, const Id* target, Index B, Index I, Index d, double divisor) {
    const Items<T> items{weight, bias, nullptr, d};
    if (B == 0) {
        std::fill(d_weight, d_weight + I * d, T(0));
        if (d_bias) std::fill(d_bias, d_bias + I, T(0));
        return;
    }
    // Blocks of rows of about one size, a multiple of the tile's rows.
    const Index height = tile_rows(B), row_bytes = std::max<Index>(I, 1) * static_cast<Index>(sizeof(T));
    const Index most = std::max<Index>(1, kScoreBytes / row_bytes / height), panels = ceil_div(B, height);
    const Index block = ceil_div(panels, ceil_div(panels, most)) * height;
    const Index chunk = chunk_width<T>(I), chunks = ceil_div(I, chunk);
    Scratch<T> scores(std::min(block, B) * I), own(block), others(block);
    Scratch<Part<T>> parts(std::min(block, B) * chunks);
    for (Index b0 = 0; b0 < B; b0 += block) {
        const Index R = std::min(block, B - b0);
        const Scores<T> z{scores.data(), R, I, true};
        Hidden<T> packed(ex, hidden + b0 * d, R, d);
        parallel_ranges(ex, I, chunk, [&](Index j0, Index j1) {
            chunk_scores(z, packed, items, j0, j1);
            const Index width = j1 - j0;
            for (Index b = 0; b < R; ++b) {
                T* const row = z.at(j0) + b * width;
                const Index t = target[b0 + b] - j0;
                if (t >= 0 && t < width) {
                    own[b] = row[t];
                    row[t] = kAbsent<T>;
                }
                Part<T>& part = parts[b * chunks + j0 / chunk];
                part.maximum = row_max(row, width);
                part.sum = row_exp(row, row, width, part.maximum);
            }
        });
        // Each row's parts become factors from exp(score - the chunk's maximum) to the gradient.
        parallel_for(ex, R, 8, [&](Index b) {
            Part<T>* const part = &parts[b * chunks];
            double top = kAbsent<double>, sum = 0.0;
            for (Index c = 0; c < chunks; ++c) top = part[c].maximum > top ? part[c].maximum : top;
            const auto to_top = [=](Index c) { return part[c].sum == T(0) ? 0.0 : std::exp(part[c].maximum - top); };
            for (Index c = 0; c < chunks; ++c) sum += part[c].sum * to_top(c);
            const CrossEntropy loss(top, sum, own[b]);
            for (Index c = 0; c < chunks; ++c) part[c].sum = static_cast<T>(to_top(c) * loss.factor / divisor);
            others[b] = static_cast<T>(loss.others / divisor);
            losses[b0 + b] = loss.loss / divisor;
        });
        const Gradients<T> to{d_hidden + b0 * d, d_weight, d_bias};
        gradients(ex, to, z, packed, items, b0 == 0, [&](Index j0, Index j1) {
            const Index width = j1 - j0;
            for (Index b = 0; b < R; ++b) {
                T* const row = z.at(j0) + b * width;
                const T factor = parts[b * chunks + j0 / chunk].sum;
#pragma omp simd
                for (Index j = 0; j < width; ++j) row[j] *= factor;
                const Index t = target[b0 + b] - j0;
                if (t >= 0 && t < width) row[t] = -others[b];
            }
        });
    }
}

template <class T>
void sampled_head(const Exec& ex, double* losses, T* d_hidden, T* d_rows, T* d_bias, const T* hidden, const T* weight,
                  const T* bias, const Id* ids, Index M, Index N, Index d, const Sampled<T>& how) {
    const Items<T> items{weight, bias, ids, d};
    Scratch<T> scores(M * N);
    const Scores<T> z{scores.data(), M, N, false};
    Hidden<T> packed(ex, hidden, M, d);
    parallel_ranges(ex, N, z.chunk, [&](Index j0, Index j1) { chunk_scores(z, packed, items, j0, j1); });
    sampled_loss(ex, losses, z.data, z.data, M, N, how);
    gradients(ex, Gradients<T>{d_hidden, d_rows, d_bias}, z, packed, items, true, [](Index, Index) {});
}

#define INSTANTIATE(T)                                                                                           \
    template void full_softmax(const Exec&, double*, T*, T*, T*, const T*, const T*, const T*, const Id*, Index, \
                               Index, Index, double);                                                            \
    template void sampled_head(const Exec&, double*, T*, T*, T*, const T*, const T*, const T*, const Id*, Index, \
                               Index, Index, const Sampled<T>&);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
