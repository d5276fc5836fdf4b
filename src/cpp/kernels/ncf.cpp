#include "ncf.hpp"

#include "dimensions.hpp"
#include "groups.hpp"
#include "packed.hpp"

namespace pyrec::cpu {
namespace {

constexpr Index kPairs = 512;  // of a chunk: what its layers give stays in the second-level cache
constexpr Index kRowsAhead = 8;

template <class T> using Net = PairNetwork<T>;

template <class T> Index kept_width(const Net<T>& net) {
    Index n = 0;
    for (Index l = 0; l < net.depth; ++l) n += net.layers[l].out;
    return n;
}

template <class T> Index foot_width(const Net<T>& net) { return 2 * (net.d - net.g); }

template <class T> Index widest(const Net<T>& net) {
    Index n = foot_width(net);
    for (Index l = 0; l < net.depth; ++l) n = std::max(n, net.layers[l].out);
    return n;
}

template <class T> Index params_of_tower(const Net<T>& net) {
    Index n = 0;
    for (Index l = 0; l < net.depth; ++l) n += (net.layers[l].in + 1) * net.layers[l].out;
    return n;
}

// f(i, j, n, sums): the n elements from column j on of row i of A B; A (M, K) and B (K, N) packed. n is a constant
// where it is the width of a tile.
template <class T, class F> void for_product_rows(const T* a, const T* b, Index M, Index N, Index K, F f) {
    constexpr Index mr = kTileRows, nr = kTileColumns<T>, lanes = kLanes<T>;
    RegisterTile<T> tile;
    T row[nr];
    for (Index j = 0; j < N; j += nr) {
        const Index n = std::min(nr, N - j);
        for (Index i = 0; i < M; i += mr) {
            tile.multiply(a + i * K, b + j * K, K, n);
            for (Index r = 0; r < std::min(mr, M - i); ++r) {
                store(row, tile.sum[r][0]);
                store(row + lanes, tile.sum[r][1]);
                if (n == nr)
                    f(i + r, j, std::integral_constant<Index, nr>(), row);
                else
                    f(i + r, j, n, row);
            }
        }
    }
}

// Not std::copy_n: for short rows of any length that becomes an instruction that is slow to start.
template <class T, class N> void copy_row(T* __restrict to, const T* __restrict from, N n) {
    for (Index c = 0; c < n; ++c) to[c] = from[c];
}

template <class T> T dot(const T* __restrict a, const T* __restrict b, Index n) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (Index c = 0; c < n; ++c) sum += a[c] * b[c];
    return sum;
}

template <class T> T dot(const T* __restrict a, const T* __restrict b, const T* __restrict x, Index n) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (Index c = 0; c < n; ++c) sum += a[c] * b[c] * x[c];
    return sum;
}

template <class T> void pack_left(T* to, const T* x, Index stride, Index M, Index K) {
    for (Index i = 0; i < M; i += kTileRows)
        pack_rows(to + i * K, kTileRows, x + i * stride, stride, std::min<Index>(kTileRows, M - i), K);
}

// Of x^T: depth along the rows of x.
template <class T> void pack_left_transposed(T* to, const T* x, Index stride, Index M, Index K) {
    for (Index i = 0; i < M; i += kTileRows)
        pack_columns(to + i * K, kTileRows, x + i, stride, std::min<Index>(kTileRows, M - i), K);
}

template <class T> void pack_right(T* to, const T* x, Index N, Index K) {
    constexpr Index nr = kTileColumns<T>;
    for (Index j = 0; j < N; j += nr) pack_columns(to + j * K, nr, x + j, N, std::min(nr, N - j), K);
}

template <class T> void pack_right_transposed(T* to, const T* x, Index N, Index K) {
    constexpr Index nr = kTileColumns<T>;
    for (Index j = 0; j < N; j += nr) pack_rows(to + j * K, nr, x + j * K, K, std::min(nr, N - j), K);
}

// The packed weights of all layers: for the way forth or back. Layer l begins where offset(l) says.
template <class T> class PackedWeights {
  public:
    PackedWeights(const Net<T>& net, bool back) : net_(net), back_(back), data_(offset(net.depth)) {
        for (Index l = 0; l < net.depth; ++l) {
            const TowerLayer<T>& layer = net.layers[l];
            if (back)
                pack_right_transposed(data_.data() + offset(l), layer.w, layer.in, layer.out);
            else
                pack_right(data_.data() + offset(l), layer.w, layer.out, layer.in);
        }
    }
    const T* of(Index l) { return data_.data() + offset(l); }

  private:
    Index offset(Index end) const {
        Index n = 0;
        for (Index l = 0; l < end; ++l) {
            const Index in = net_.layers[l].in, out = net_.layers[l].out;
            n += back_ ? packed_size(in, kTileColumns<T>, out) : packed_size(out, kTileColumns<T>, in);
        }
        return n;
    }
    const Net<T>& net_;
    bool back_;
    Scratch<T> data_;
};

template <class T> const T* user_row(const Net<T>& net, Index b) { return net.users + net.user[b] * net.d; }
template <class T> const T* item_row(const Net<T>& net, Index b) { return net.items + net.item[b] * net.d; }

// foot (n, width): z_0 of the pairs from `begin` on.
template <class T> void fill_foot(T* foot, const Net<T>& net, Index begin, Index n) {
    const Index half = net.d - net.g;
    for (Index b = begin; b < begin + n; ++b, foot += 2 * half) {
        if (b + kRowsAhead < begin + n) {
            fetch_row(user_row(net, b + kRowsAhead), net.d);
            fetch_row(item_row(net, b + kRowsAhead), net.d);
        }
        copy_row(foot, user_row(net, b) + net.g, half);
        copy_row(foot + half, item_row(net, b) + net.g, half);
    }
}

// to (n, out) = mask * max(0, x W + b), rows of x and to `stride_x` and `stride` apart.
template <class T>
void layer_forward(T* to, Index stride, const T* x, Index stride_x, const T* packed, const TowerLayer<T>& layer,
                   const T* mask, Index n) {
    Scratch<T> left(packed_size(n, kTileRows, layer.in));
    pack_left(left.data(), x, stride_x, n, layer.in);
    for_product_rows(left.data(), packed, n, layer.out, layer.in,
                     [=, &layer](Index i, Index j, auto m, const T* __restrict sums) {
        T* const __restrict at = to + i * stride + j;
        const T* const __restrict bias = layer.bias + j;
        for (Index c = 0; c < m; ++c) {
            const T z = sums[c] + bias[c];
            at[c] = z < T(0) ? T(0) : z;  // NaN stays
        }
        if (mask)
            for (Index c = 0; c < m; ++c) at[c] *= mask[i * layer.out + j + c];
    });
}

// d_z (n, out) *= the derivative of z; d_w, d_bias: their sums over the pairs; d_x (n, in) = d_z W^T.
template <class T>
void layer_backward(T* d_x, T* d_w, T* d_bias, T* d_z, const T* z, Index stride, const T* x, Index stride_x,
                    const T* packed, const TowerLayer<T>& layer, const T* mask, Index n) {
    const Index in = layer.in, out = layer.out;
    for_dimensions(out, [=](Index c, auto width) {
        T sum[kSide] = {};
        for (Index i = 0; i < n; ++i) {
            T* const __restrict d = d_z + i * out + c;
            const T* const __restrict kept = z + i * stride + c;
            for (Index k = 0; k < width; ++k) d[k] = kept[k] > T(0) ? d[k] : T(0);
            if (mask)
                for (Index k = 0; k < width; ++k) d[k] *= mask[i * out + c + k];
            for (Index k = 0; k < width; ++k) sum[k] += d[k];
        }
        copy_row(d_bias + c, sum, width);
    });
    {
        Scratch<T> left(packed_size(in, kTileRows, n)), right(packed_size(out, kTileColumns<T>, n));
        pack_left_transposed(left.data(), x, stride_x, in, n);
        pack_right(right.data(), d_z, out, n);
        for_product_rows(left.data(), right.data(), in, out, n,
                         [=](Index i, Index j, auto m, const T* sums) { copy_row(d_w + i * out + j, sums, m); });
    }
    Scratch<T> left(packed_size(n, kTileRows, out));
    pack_left(left.data(), d_z, out, n, out);
    for_product_rows(left.data(), packed, n, in, out,
                     [=](Index i, Index j, auto m, const T* sums) { copy_row(d_x + i * in + j, sums, m); });
}

template <class T> const T* mask_of(const TowerLayer<T>& layer, Index begin) {
    return layer.mask ? layer.mask + begin * layer.out : nullptr;
}

// Of dl h . (p * q).
template <class T>
void add_product(T* __restrict d_p, T* __restrict d_q, T* __restrict d_head, const T* __restrict p,
                 const T* __restrict q, const T* __restrict head, T dl, Index g) {
    for (Index c = 0; c < g; ++c) {
        d_p[c] = dl * head[c] * q[c];
        d_q[c] = dl * head[c] * p[c];
        d_head[c] += dl * p[c] * q[c];
    }
}

// Of dl h . z.
template <class T>
void add_top(T* __restrict d_z, T* __restrict d_head, const T* __restrict z, const T* __restrict head, T dl,
             Index top) {
    for (Index c = 0; c < top; ++c) {
        d_z[c] = dl * head[c];
        d_head[c] += dl * z[c];
    }
}

// The gradients of a chunk of pairs; d_params are those of these pairs alone.
template <class T>
void chunk_backward(T* d_users, T* d_items, T* d_params, const T* d_logits, const T* kept, const Net<T>& net,
                    PackedWeights<T>& weights, Index begin, Index n) {
    const Index stride = kept_width(net), foot = foot_width(net), half = foot / 2, g = net.g, d = net.d;
    const Index top = net.depth ? net.layers[net.depth - 1].out : 0;
    Scratch<T> z0(n * foot), one(n * widest(net)), other(n * widest(net));
    fill_foot(z0.data(), net, begin, n);
    T *d_z = one.data(), *d_x = other.data();
    T* const d_head = d_params + params_of_tower(net);
    std::fill_n(d_head, g + top + 1, T(0));
    for (Index i = 0; i < n; ++i) {
        const T dl = d_logits[begin + i];
        const T* const z = kept + (begin + i) * stride + stride - top;
        add_product(d_users + (begin + i) * d, d_items + (begin + i) * d, d_head, user_row(net, begin + i),
                    item_row(net, begin + i), net.head, dl, g);
        add_top(d_z + i * top, d_head + g, z, net.head + g, dl, top);
        d_head[g + top] += dl;
    }
    Index column = stride;
    T* d_layer = d_head;
    for (Index l = net.depth - 1; l >= 0; --l, std::swap(d_z, d_x)) {
        const TowerLayer<T>& layer = net.layers[l];
        column -= layer.out;
        d_layer -= (layer.in + 1) * layer.out;
        const T* const z = kept + begin * stride + column;
        const T* const x = l ? z - layer.in : z0.data();
        layer_backward(d_x, d_layer, d_layer + layer.in * layer.out, d_z, z, stride, x, l ? stride : foot,
                       weights.of(l), layer, mask_of(layer, begin), n);
    }
    for (Index i = 0; i < n; ++i) {
        copy_row(d_users + (begin + i) * d + g, d_z + i * foot, half);
        copy_row(d_items + (begin + i) * d + g, d_z + i * foot + half, half);
    }
}

}  // namespace

template <class T> void ncf_forward(const Exec& ex, T* logits, T* kept, const PairNetwork<T>& net) {
    const Index stride = kept_width(net), foot = foot_width(net);
    PackedWeights<T> weights(net, false);
    parallel_ranges(ex, net.B, kPairs, [&](Index begin, Index end) {
        const Index n = end - begin;
        Scratch<T> z0(n * foot);
        fill_foot(z0.data(), net, begin, n);
        const T* x = z0.data();
        Index stride_x = foot;
        T* z = kept + begin * stride;
        for (Index l = 0; l < net.depth; ++l) {
            const TowerLayer<T>& layer = net.layers[l];
            layer_forward(z, stride, x, stride_x, weights.of(l), layer, mask_of(layer, begin), n);
            x = z, stride_x = stride, z += layer.out;
        }
        const Index top = net.depth ? net.layers[net.depth - 1].out : 0;
        for (Index b = begin; b < end; ++b) {
            const T* const last = kept + b * stride + stride - top;
            logits[b] = dot(net.head, user_row(net, b), item_row(net, b), net.g) + dot(net.head + net.g, last, top) +
                        *net.offset;
        }
    });
}

template <class T>
void ncf_backward(const Exec& ex, T* d_users, T* d_items, T* d_params, const T* d_logits, const T* kept,
                  const PairNetwork<T>& net) {
    const Index top = net.depth ? net.layers[net.depth - 1].out : 0, count = params_of_tower(net) + net.g + top + 1;
    const Index chunks = ceil_div(net.B, kPairs);
    PackedWeights<T> weights(net, true);
    Scratch<T> parts(chunks * count);
    parallel_ranges(ex, net.B, kPairs, [&](Index begin, Index end) {
        chunk_backward(d_users, d_items, parts.data() + begin / kPairs * count, d_logits, kept, net, weights, begin,
                       end - begin);
    });
    std::fill_n(d_params, count, T(0));
    for (Index chunk = 0; chunk < chunks; ++chunk)
        for (Index i = 0; i < count; ++i) d_params[i] += parts[chunk * count + i];
}

#define INSTANTIATE(T)                                                     \
    template void ncf_forward(const Exec&, T*, T*, const PairNetwork<T>&); \
    template void ncf_backward(const Exec&, T*, T*, T*, const T*, const T*, const PairNetwork<T>&);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
