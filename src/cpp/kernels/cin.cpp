// A layer is a matrix product: w, read as (O, H m), times Z (H m, B D) of all products xk[h] * x0[i], a column for each
// (b, d). Z is never in memory as a whole: each part of it is formed where a packed panel is wanted, stays in cache,
// and serves all maps. Columns are cut regardless of where an example ends, so that any D fills the tiles.
#include "cin.hpp"

#include <numeric>

#include "cin_pairs.hpp"
#include "packed.hpp"

namespace pyrec::cpu {
namespace {

template <class T> inline constexpr Index kWidth = kTileColumns<T>;  // columns of a panel
constexpr Index kPanels = 8;                                         // panels of a block: the columns of one chunk
template <class T> inline constexpr Index kColumns = kPanels * kWidth<T>;
constexpr Index kDepth = 256;  // how many rows of Z are formed at a time

// Columns [begin, end) of an array (B, R, D) read as (R, B D).
struct Columns {
    Index begin, end, D;

    Index panels(Index width) const { return ceil_div(end - begin, width); }

    // f(b, d, length, panel, c): a run of columns that are neighbours in the array and, from c on, in a panel.
    template <class F> void for_runs(Index width, F f) const {
        for (Index n = begin; n < end;) {
            const Index b = n / D, d = n % D, c = (n - begin) % width;
            const Index length = std::min({end - n, D - d, width - c});
            f(b, d, length, (n - begin) / width, c);
            n += length;
        }
    }
};

// Panels of columns: element (row, column c of panel p) at (p * rows + row) * width + c. The last is filled with zeros.
template <class T> void gather(T* to, const T* x, Index rows, const Columns& at) {
    constexpr Index width = kWidth<T>;
    const Index last = at.panels(width) - 1;
    if ((at.end - at.begin) % width != 0) std::fill_n(to + last * rows * width, rows * width, T(0));
    at.for_runs(width, [=](Index b, Index d, Index length, Index panel, Index c) {
        const T* from = x + b * rows * at.D + d;
        T* p = to + panel * rows * width + c;
        for (Index r = 0; r < rows; ++r)
            for (Index l = 0; l < length; ++l) p[r * width + l] = from[r * at.D + l];
    });
}

template <class T> void scatter(T* x, const T* from, Index rows, const Columns& at) {
    constexpr Index width = kWidth<T>;
    at.for_runs(width, [=](Index b, Index d, Index length, Index panel, Index c) {
        T* to = x + b * rows * at.D + d;
        const T* p = from + panel * rows * width + c;
        for (Index r = 0; r < rows; ++r)
            for (Index l = 0; l < length; ++l) to[r * at.D + l] = p[r * width + l];
    });
}

// The first R rows of a tile.
template <int R, class T>
void multiply_rows(RegisterTile<T>& tile, const T* __restrict a, const T* __restrict b, Index K) {
    Vec<T> s[R][2] = {};
    for (Index k = 0; k < K; ++k, a += kTileRows, b += kTileColumns<T>) {
        const Vec<T> b0 = load(b), b1 = load(b + kLanes<T>);
        for (int r = 0; r < R; ++r) {
            s[r][0] += a[r] * b0;
            s[r][1] += a[r] * b1;
        }
    }
    std::memcpy(tile.sum, s, sizeof s);
}

// The product of two panels. Of a last panel of rows only as many as it takes: 200 maps are 14 panels of 14 and 4 rows.
template <class T> RegisterTile<T> multiply(const T* a, const T* b, Index K, Index rows, Index columns) {
    constexpr int few = kTileRows / 3;
    RegisterTile<T> tile;
    if (columns <= kLanes<T>)
        tile.multiply(a, b, K, columns);
    else if (rows <= few)
        multiply_rows<few>(tile, a, b, K);
    else if (rows <= 2 * few)
        multiply_rows<2 * few>(tile, a, b, K);
    else
        tile.multiply(a, b, K);
    return tile;
}

// Rows [k0, k1) of Z for one panel of columns.
template <class T> void form_rows(T* z, const T* x0, const T* xk, const Pairs& pairs, Index k0, Index k1) {
    constexpr Index width = kWidth<T>, lanes = kLanes<T>;
    auto [h, i] = pairs.place(k0);
    for (Index k = k0; k < k1; i = pairs.first(++h)) {
        const Vec<T> s0 = load(xk + h * width), s1 = load(xk + h * width + lanes);
        for (; i < pairs.m && k < k1; ++i, ++k, z += width) {
            store(z, s0 * load(x0 + i * width));
            store(z + lanes, s1 * load(x0 + i * width + lanes));
        }
    }
}

// w (O, K) in panels of rows, `kDepth` of K after the other.
template <class T> void pack_weights(const Exec& ex, T* to, const T* w, Index O, Index K) {
    const Index panels = ceil_div(O, kTileRows);
    parallel_for(ex, panels * ceil_div(K, kDepth), 4, [=](Index part) {
        const Index o = part % panels * kTileRows, k = part / panels * kDepth, depth = std::min(kDepth, K - k);
        pack_rows<T>(to + panels * kTileRows * k + o * depth, kTileRows, w + o * K + k, K,
                     std::min<Index>(kTileRows, O - o), depth);
    });
}

template <class T>
void forward_block(T* out, const T* x0, const T* xk, const T* weights, const T* bias, const Pairs& pairs, Index O,
                   const Columns& at) {
    constexpr Index width = kWidth<T>, lanes = kLanes<T>;
    const Index panels = at.panels(width), m = pairs.m, H = pairs.H, K = pairs.count();
    Scratch<T> x0_panels(panels * m * width), xk_panels(panels * H * width), z_panels(panels * kDepth * width),
        sums(panels * O * width);
    gather(x0_panels.data(), x0, m, at);
    gather(xk_panels.data(), xk, H, at);
    for (Index p = 0; p < panels; ++p)
        for (Index o = 0; o < O; ++o) std::fill_n(sums.data() + (p * O + o) * width, width, bias ? bias[o] : T(0));
    for (Index k = 0; k < K; k += kDepth) {
        const Index depth = std::min(kDepth, K - k);
        for (Index p = 0; p < panels; ++p)
            form_rows(z_panels.data() + p * kDepth * width, x0_panels.data() + p * m * width,
                      xk_panels.data() + p * H * width, pairs, k, k + depth);
        const T* a = weights + ceil_div(O, kTileRows) * kTileRows * k;
        for (Index o = 0; o < O; o += kTileRows) {
            const Index rows = std::min<Index>(kTileRows, O - o);
            for (Index p = 0; p < panels; ++p) {
                const auto tile = multiply(a + o * depth, z_panels.data() + p * kDepth * width, depth, rows,
                                           at.end - at.begin - p * width);
                T* to = sums.data() + (p * O + o) * width;
                for (Index r = 0; r < rows; ++r, to += width) {
                    store(to, load(to) + tile.sum[r][0]);
                    store(to + lanes, load(to + lanes) + tile.sum[r][1]);
                }
            }
        }
    }
    scatter(out, sums.data(), O, at);
}

}  // namespace

template <class T>
void cin_forward(const Exec& ex, T* out, const T* x0, const T* xk, const T* w, const T* bias, Index B, Index m, Index H,
                 Index O, Index D) {
    const Pairs pairs = pairs_of(x0, xk, m, H);
    const Index K = pairs.count();
    Scratch<T> packed(packed_size(O, kTileRows, K)), folded(pairs.once ? O * K : 0);
    const T* weights = packed.data();
    if (pairs.once) fold_weights(ex, folded.data(), w, O, pairs);
    pack_weights(ex, packed.data(), pairs.once ? folded.data() : w, O, K);
    parallel_ranges(ex, B * D, kColumns<T>, [=](Index begin, Index end) {
        forward_block(out, x0, xk, weights, bias, pairs, O, Columns{begin, end, D});
    });
}

namespace {

// What the gradient of w needs of some blocks of columns, each packed so that its depth are the columns.
template <class T> struct Kept {
    Pairs pairs;
    Index O;
    T* memory;

    Index x0_stride() const { return pairs.m + kLanes<T>; }  // room for a whole vector from any place of a row
    Index d_size() const { return packed_size(O, kTileRows, kColumns<T>); }
    Index size() const { return d_size() + kColumns<T> * (x0_stride() + pairs.H); }

    T* d_panels(Index block) const { return memory + block * size(); }                      // d_out, panels of rows
    T* x0_rows(Index block) const { return d_panels(block) + d_size(); }                    // (columns, x0_stride)
    T* xk_panels(Index block) const { return x0_rows(block) + kColumns<T> * x0_stride(); }  // as gathered
};

// T = w^T d_out in tiles of rows (h, i); each is used up at once: d_xk[h] += T x0[i], d_x0[i] += T xk[h]. All but the
// weights are panels of columns.
template <class T>
void add_input_gradients(T* d_x0, T* d_xk, const T* d_out, const T* x0, const T* xk, const T* weights,
                         const Pairs& pairs, Index O, Index columns) {
    constexpr Index width = kWidth<T>, lanes = kLanes<T>;
    const Index m = pairs.m, H = pairs.H, K = pairs.count();
    for (Index j = 0; j < K; j += kTileRows) {
        const Index rows = std::min<Index>(kTileRows, K - j);
        const Pairs::Place start = pairs.place(j);
        for (Index c = 0; c < columns; c += width) {  // panel c / width of R rows begins at c R
            const auto tile = multiply(weights + j * O, d_out + c * O, O, rows, columns - c);
            auto [h, i] = start;
            for (Index r = 0; r < rows; i = pairs.first(++h)) {
                for (Index half = 0; half < 2; ++half) {
                    const Index at_x0 = c * m + half * lanes, at_xk = c * H + h * width + half * lanes;
                    const Vec<T> x = load(xk + at_xk);
                    Vec<T> d = load(d_xk + at_xk);
                    for (Index l = 0; l < std::min(m - i, rows - r); ++l) {
                        const Index at = at_x0 + (i + l) * width;
                        const Vec<T> t = tile.sum[r + l][half];
                        d += t * load(x0 + at);
                        store(d_x0 + at, load(d_x0 + at) + t * x);
                    }
                    store(d_xk + at_xk, d);
                }
                r += std::min(m - i, rows - r);
            }
        }
    }
}

// sums[r]: row r of some panels of columns.
template <class T> void row_sums(double* sums, const T* panels, Index rows, Index n_panels) {
    constexpr Index width = kWidth<T>;
    for (Index r = 0; r < rows; ++r) {
        double of_columns[width] = {};
        for (Index p = 0; p < n_panels; ++p)
            for (Index c = 0; c < width; ++c) of_columns[c] += static_cast<double>(panels[(p * rows + r) * width + c]);
        sums[r] = std::accumulate(of_columns, of_columns + width, 0.0);
    }
}

// Turns the panels of a block of columns to panels and rows whose depth are the columns.
template <class T> void keep(const Kept<T>& kept, Index block, const T* d_out, const T* x0, Index panels) {
    constexpr Index width = kWidth<T>;
    const Index m = kept.pairs.m, O = kept.O, depth = panels * width;
    for (Index o = 0; o < O; o += kTileRows) {
        T* to = kept.d_panels(block) + o * depth;
        for (Index p = 0; p < panels; ++p) {
            const T* from = d_out + (p * O + o) * width;
            pack_rows(to + p * width * kTileRows, kTileRows, from, width, std::min<Index>(kTileRows, O - o), width);
        }
    }
    for (Index n = 0; n < depth; ++n) {
        T* row = kept.x0_rows(block) + n * kept.x0_stride();
        for (Index i = 0; i < m; ++i) row[i] = x0[(n / width * m + i) * width + n % width];
        std::fill(row + m, row + kept.x0_stride(), T(0));
    }
}

// All of the backward pass but d_w, for one block of columns.
template <class T>
void backward_block(T* d_x0, T* d_xk, double* d_bias, const Kept<T>& kept, Index block, const T* d_out, const T* x0,
                    const T* xk, const T* weights, const Columns& at) {
    constexpr Index width = kWidth<T>;
    const Index m = kept.pairs.m, H = kept.pairs.H, O = kept.O, panels = at.panels(width);
    const Index d_size = panels * O * width, x0_size = panels * m * width, xk_size = panels * H * width;
    Scratch<T> d_panels(d_size), x0_panels(x0_size), d_x0_panels(x0_size), d_xk_panels(xk_size);
    gather(d_panels.data(), d_out, O, at);
    gather(x0_panels.data(), x0, m, at);
    gather(kept.xk_panels(block), xk, H, at);
    std::fill_n(d_x0_panels.data(), x0_size, T(0));
    std::fill_n(d_xk_panels.data(), xk_size, T(0));
    add_input_gradients(d_x0_panels.data(), d_xk_panels.data(), d_panels.data(), x0_panels.data(),
                        kept.xk_panels(block), weights, kept.pairs, O, at.end - at.begin);
    scatter(d_x0, d_x0_panels.data(), m, at);
    scatter(d_xk, d_xk_panels.data(), H, at);
    row_sums(d_bias, d_panels.data(), O, panels);
    keep(kept, block, d_panels.data(), x0_panels.data(), panels);
}

// Rows [j, j + count) of Z for a block of columns, as a panel whose depth are the columns. Runs of one h are written in
// whole vectors; what goes beyond a run's end is written over by the next run, or by the next row of the panel.
template <class T> void form_columns(T* z, const Kept<T>& kept, Index block, Index j, Index count, Index depth) {
    constexpr Index width = kWidth<T>, lanes = kLanes<T>;
    struct Run {
        Index h, i, c, end;
    } runs[width];
    Index n_runs = 0;
    auto [h, i] = kept.pairs.place(j);
    for (Index c = 0; c < count; i = kept.pairs.first(++h)) {
        const Index end = std::min(count, c + kept.pairs.m - i);
        runs[n_runs++] = {h * width, i, c, end};
        c = end;
    }
    const T *x0 = kept.x0_rows(block), *xk = kept.xk_panels(block);
    for (Index n = 0; n < depth; ++n, x0 += kept.x0_stride(), z += width) {
        const T* scales = xk + n / width * kept.pairs.H * width + n % width;
        for (Index run = 0; run < n_runs; ++run) {
            const Run& at = runs[run];
            for (Index l = 0; at.c + l < at.end; l += lanes) store(z + at.c + l, scales[at.h] * load(x0 + at.i + l));
        }
    }
}

// d_w[:, j to j + width) += d_out Z^T over a block of columns.
template <class T>
void backward_weights(T* d_w, T* z, const Kept<T>& kept, Index block, Index j, Index depth, bool fresh) {
    constexpr Index width = kWidth<T>, lanes = kLanes<T>;
    const Index K = kept.pairs.count(), columns = std::min(width, K - j);
    form_columns(z, kept, block, j, columns, depth);
    for (Index o = 0; o < kept.O; o += kTileRows) {
        const Index rows = std::min<Index>(kTileRows, kept.O - o);
        T* to = d_w + o * K + j;
        for (Index r = 0; r < rows; ++r) {
            __builtin_prefetch(to + r * K, 1);
            __builtin_prefetch(to + r * K + columns - 1, 1);
        }
        const auto tile = multiply(kept.d_panels(block) + o * depth, z, depth, rows, columns);
        for (Index r = 0; r < rows; ++r, to += K) {
            if (columns == width) {
                store(to, fresh ? tile.sum[r][0] : load(to) + tile.sum[r][0]);
                store(to + lanes, fresh ? tile.sum[r][1] : load(to + lanes) + tile.sum[r][1]);
                continue;
            }
            T row[width];
            store(row, tile.sum[r][0]);
            store(row + lanes, tile.sum[r][1]);
            for (Index c = 0; c < columns; ++c) to[c] = (fresh ? T(0) : to[c]) + row[c];
        }
    }
}

}  // namespace

template <class T>
void cin_backward(const Exec& ex, T* d_x0, T* d_xk, T* d_w, T* d_bias, const T* d_out, const T* x0, const T* xk,
                  const T* w, Index B, Index m, Index H, Index O, Index D) {
    constexpr Index width = kWidth<T>, columns = kColumns<T>;
    const Pairs pairs = pairs_of(x0, xk, m, H);
    const Index K = pairs.count(), N = B * D;
    Scratch<T> packed(packed_size(K, kTileRows, O)), folded(pairs.once ? O * K : 0);
    if (pairs.once) fold_weights(ex, folded.data(), w, O, pairs);
    // Once the folded weights are packed, their place is that of their gradient.
    T *weights = packed.data(), *gradient = pairs.once ? folded.data() : d_w;
    parallel_for(ex, ceil_div(K, kTileRows), 64, [=, w = pairs.once ? folded.data() : w](Index panel) {
        const Index j = panel * kTileRows;
        pack_columns<T>(weights + j * O, kTileRows, w + j, K, std::min<Index>(kTileRows, K - j), O);
    });
    // Some blocks at a time: first each block's own gradients, then each part of d_w over all of them, in their order.
    Kept<T> kept{pairs, O, nullptr};
    constexpr Index memory = Index{24} << 20, z_size = columns * width + kLanes<T>;
    const Index fitting = std::clamp<Index>(memory / (kept.size() * static_cast<Index>(sizeof(T))), 1, 64);
    const Index blocks = std::min(fitting, ceil_div(N, columns));
    Scratch<T> kept_memory(blocks * kept.size());
    kept.memory = kept_memory.data();
    Scratch<double> block_bias(blocks * O), bias(O);
    std::fill_n(bias.data(), O, 0.0);
    if (N == 0) std::fill_n(gradient, O * K, T(0));
    for (Index first = 0; first < N; first += blocks * columns) {
        const Index last = std::min(N, first + blocks * columns), count = ceil_div(last - first, columns);
        double* sums = block_bias.data();
        parallel_for(ex, count, 1, [=](Index block) {
            const Index begin = first + block * columns;
            backward_block(d_x0, d_xk, sums + block * O, kept, block, d_out, x0, xk, weights,
                           Columns{begin, std::min(last, begin + columns), D});
        });
        const Index panels = ceil_div(K, width), slab = std::clamp<Index>(panels / 32, 1, 4);
        parallel_ranges(ex, panels, slab, [=](Index begin, Index end) {
            Scratch<T> z(z_size);
            std::fill_n(z.data(), z_size, T(0));  // what a last panel leaves free is multiplied too
            for (Index block = 0; block < count; ++block) {
                const Index depth = std::min(columns, ceil_div(last - first - block * columns, width) * width);
                for (Index panel = begin; panel < end; ++panel)
                    backward_weights(gradient, z.data(), kept, block, panel * width, depth, first + block == 0);
            }
        });
        for (Index block = 0; block < count; ++block)
            for (Index o = 0; o < O; ++o) bias[o] += sums[block * O + o];
    }
    if (pairs.once) unfold_weights(ex, d_w, gradient, O, pairs);
    for (Index o = 0; o < O; ++o) d_bias[o] = static_cast<T>(bias[o]);
}

#define INSTANTIATE(T)                                                                                             \
    template void cin_forward(const Exec&, T*, const T*, const T*, const T*, const T*, Index, Index, Index, Index, \
                              Index);                                                                              \
    template void cin_backward(const Exec&, T*, T*, T*, T*, const T*, const T*, const T*, const T*, Index, Index,  \
                               Index, Index, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
