// Forward and backward are matrix products of which one operand, all products of two maps, is formed in shared memory,
// a step at a time: it is never in global memory. A block makes a tile of the result, a thread a part of that in
// registers.
#include "cin.hpp"

#include <limits>
#include <stdexcept>

#include "columns.cuh"

namespace pyrec::cuda {
namespace {

constexpr int kRows = 64, kColumns = 128, kDepth = 16;  // of a tile, and how deep a step is
constexpr int kQuad = 4;                                // elements that are read at once
constexpr int kSide = 16;                               // threads of a block along either side of its tile
constexpr int kThreads = kSide * kSide;
static_assert(kRows == kSide * kQuad && kColumns == 2 * kSide * kQuad && kDepth == kSide);

// Blocks that a multiprocessor must have registers for.
template <class T> constexpr int kBlocksOfProcessor = sizeof(T) == 4 ? 2 : 1;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900  // where the compiler would have to spill for two
template <class T> constexpr int kBlocksOfGradient = 1;
#else
template <class T> constexpr int kBlocksOfGradient = kBlocksOfProcessor<T>;
#endif

template <class T> struct alignas(16) Quad {
    T x[kQuad];
};

// Both operands of a step, in shared memory. Rows are longer than they need be: so different banks hold a column.
template <class T> struct alignas(16) Step {
    T a[kDepth][kRows + kQuad], b[kDepth][kColumns + kQuad];
};

// A thread's part of a tile: 4 rows that are neighbours, and 4 columns in each half of the tile.
template <class T> class Part {
  public:
    __device__ void add(const Step<T>& step) {
        for (int k = 0; k < kDepth; ++k) {
            const Quad<T> a = quad(&step.a[k][row(0)]);
            for (int half = 0; half < 2; ++half) {
                const Quad<T> b = quad(&step.b[k][column(half * kQuad)]);
                for (int i = 0; i < kQuad; ++i)
                    for (int j = 0; j < kQuad; ++j) sum_[i][half * kQuad + j] += a.x[i] * b.x[j];
            }
        }
    }
    // f(row, column, sum), both in the tile
    template <class F> __device__ void for_sums(F f) const {
        for (int j = 0; j < 2 * kQuad; ++j)
            for (int i = 0; i < kQuad; ++i) f(row(i), column(j), sum_[i][j]);
    }

  private:
    static __device__ int row(int i) { return static_cast<int>(threadIdx.x) / kSide * kQuad + i; }
    static __device__ int column(int j) {
        return j / kQuad * (kColumns / 2) + static_cast<int>(threadIdx.x) % kSide * kQuad + j % kQuad;
    }
    static __device__ Quad<T> quad(const T* from) { return *reinterpret_cast<const Quad<T>*>(from); }
    T sum_[kQuad][2 * kQuad] = {};
};

// A position among n = outer * size + inner, and how it moves on by steps of one length, without a division.
struct Walk {
    int outer, inner, size, by_outer, by_inner;
    __device__ Walk(Index start, int by, int size_of_inner)
        : outer(static_cast<int>(start / size_of_inner)),
          inner(static_cast<int>(start % size_of_inner)),
          size(size_of_inner),
          by_outer(by / size_of_inner),
          by_inner(by % size_of_inner) {}
    __device__ void move() {
        outer += by_outer, inner += by_inner;
        if (inner >= size) inner -= size, ++outer;
    }
};

// A (R, P, Q) array as it lies in memory: element (r, p, q) at r * row + p * outer + q * inner.
template <class T> struct Weights {
    const T* data;
    Index row, outer, inner;
};

// out[b,r,d] = sum_{p,q} w[r,p,q] x[b,p,d] y[b,q,d] + bias[r]:  out (B,R,D), x (B,P,D), y (B,Q,D), N = B D columns.
template <class T>
__global__ void __launch_bounds__(kThreads, kBlocksOfProcessor<T>)
    weighted_products(T* out, const T* x, const T* y, Weights<T> w, const T* bias, Index N, int R, int P, int Q,
                      int D) {
    PYREC_SHARED(Step<T>, step);
    constexpr int loads = kRows * kDepth / kThreads, forms = kColumns * kDepth / kThreads, apart = kThreads / kColumns;
    const int lane = static_cast<int>(threadIdx.x);
    const Index row_tiles = (R + kRows - 1) / kRows;
    const Index r0 = blockIdx.x % row_tiles * kRows, n0 = blockIdx.x / row_tiles * kColumns;

    // Of the weights a thread loads one column of the step, of the products it forms some rows for one column.
    const int weight_k = lane % kDepth, weight_row = lane / kDepth;
    const int product_k = lane / kColumns, product_column = lane % kColumns;
    const Index n = n0 + product_column, example = n / D;
    x += example * P * D + n % D, y += example * Q * D + n % D;
    Walk weight(weight_k, kDepth, Q), product(product_k, apart, Q);
    T weights[loads], xs[forms], ys[forms];  // of the next step: asked for before this one is worked on
    const auto fetch = [&] {
        const Index at = weight.outer * w.outer + weight.inner * w.inner;
        for (int j = 0; j < loads; ++j) {
            const Index r = r0 + weight_row + j * kSide;
            weights[j] = r < R && weight.outer < P ? w.data[r * w.row + at] : T(0);
        }
        weight.move();
        for (int j = 0; j < forms; ++j, product.move()) {
            const bool inside = n < N && product.outer < P;
            xs[j] = inside ? x[Index{product.outer} * D] : T(0);
            ys[j] = inside ? y[Index{product.inner} * D] : T(0);
        }
    };

    Part<T> part;
    fetch();
    for (Index k = 0; k < Index{P} * Q; k += kDepth) {
        for (int j = 0; j < loads; ++j) step->a[weight_k][weight_row + j * kSide] = weights[j];
        for (int j = 0; j < forms; ++j) step->b[product_k + j * apart][product_column] = xs[j] * ys[j];
        __syncthreads();
        fetch();
        part.add(*step);
        __syncthreads();
    }
    part.for_sums([=](int row, int column, T sum) {
        const Index r = r0 + row, c = n0 + column;
        if (r < R && c < N) out[c / D * R * D + r * D + c % D] = bias ? sum + bias[r] : sum;
    });
}

// d_w[o,h,i] = sum d_out[b,o,d] xk[b,h,d] x0[b,i,d] over the columns (b, d) of a part, `span` of them: part k at
// d_w + k O H m.
template <class T>
__global__ void __launch_bounds__(kThreads, kBlocksOfGradient<T>)
    weight_gradient(T* d_w, const T* d_out, const T* x0, const T* xk, Index N, Index span, int m, int H, int O, int D) {
    PYREC_SHARED(Step<T>, step);
    constexpr int loads = kRows * kDepth / kThreads, forms = kColumns * kDepth / kThreads;
    const int lane = static_cast<int>(threadIdx.x);
    const Index K = Index{H} * m, row_tiles = (O + kRows - 1) / kRows,
                tiles = row_tiles * ((K + kColumns - 1) / kColumns);
    const Index tile = blockIdx.x % tiles, number = blockIdx.x / tiles;
    const Index o0 = tile % row_tiles * kRows, k0 = tile / row_tiles * kColumns;
    const Index begin = number * span, end = begin + span < N ? begin + span : N;

    // A thread has one (b, d) of a step, for some rows and some columns of the tile.
    const int depth = lane % kDepth, first = lane / kDepth;
    Walk at(begin + depth, kDepth, D);
    const Walk first_product(k0 + first, kSide, m);
    T rows[loads], xs[forms], ys[forms];
    Index n = begin + depth;
    const auto fetch = [&] {
        const bool inside = n < end;
        const T* const of = d_out + Index{at.outer} * O * D + at.inner;
        for (int j = 0; j < loads; ++j) {
            const Index o = o0 + first + j * kSide;
            rows[j] = inside && o < O ? of[o * D] : T(0);
        }
        const T* const left = xk + Index{at.outer} * H * D + at.inner;
        const T* const right = x0 + Index{at.outer} * m * D + at.inner;
        Walk product = first_product;
        for (int j = 0; j < forms; ++j, product.move()) {
            xs[j] = inside && product.outer < H ? left[Index{product.outer} * D] : T(0);
            ys[j] = inside ? right[Index{product.inner} * D] : T(0);
        }
        at.move();
        n += kDepth;
    };

    Part<T> part;
    fetch();
    for (Index k = begin; k < end; k += kDepth) {
        for (int j = 0; j < loads; ++j) step->a[depth][first + j * kSide] = rows[j];
        for (int j = 0; j < forms; ++j) step->b[depth][first + j * kSide] = xs[j] * ys[j];
        __syncthreads();
        fetch();
        part.add(*step);
        __syncthreads();
    }
    d_w += number * O * K;
    part.for_sums([=](int row, int column, T sum) {
        if (o0 + row < O && k0 + column < K) d_w[(o0 + row) * K + k0 + column] = sum;
    });
}

template <class T> __global__ void sum_parts(T* out, const T* parts, Index n, Index count) {
    grid_stride(n, [=](Index i) {
        T sum = parts[i];
        for (Index k = 1; k < count; ++k) sum += parts[k * n + i];
        out[i] = sum;
    });
}

// d_bias[o] = sum_d of_elements[o,d]
template <class T> __global__ void sum_maps(T* d_bias, const double* of_elements, Index O, Index D) {
    grid_stride(O, [=](Index o) {
        double sum = 0;
        for (Index d = 0; d < D; ++d) sum += of_elements[o * D + d];
        d_bias[o] = static_cast<T>(sum);
    });
}

// `width` lanes, a power of 2, share a map of an example.
template <class T>
__global__ void pool_forward(T* pooled, T* hidden, const T* a, Index B, Index O, Index D, Index P, Index N, T low,
                             int width) {
    const Index at_once = blockDim.x / static_cast<unsigned>(width), lane = threadIdx.x % static_cast<unsigned>(width);
    for (Index first = blockIdx.x * at_once; first < B * O; first += gridDim.x * at_once) {
        const Index map = first + threadIdx.x / static_cast<unsigned>(width), b = map / O, o = map % O;
        T sum = 0;
        if (map < B * O) {
            for (Index d = lane; d < D; d += width) {
                const T x = a[map * D + d], y = x < low ? low : x;  // NaN stays
                if (o >= O - N) hidden[(b * N + o - (O - N)) * D + d] = y;
                sum += y;
            }
        }
        for (int bit = width / 2; bit > 0; bit /= 2) sum += __shfl_xor_sync(0xffffffff, sum, bit);
        if (map < B * O && lane == 0 && o < P) pooled[b * P + o] = sum;
    }
}

template <class T>
__global__ void pool_backward(T* d_a, const T* d_pooled, const T* d_hidden, const T* a, Index n, Index O, Index D,
                              Index P, Index N, bool relu) {
    grid_stride(n, [=](Index i) {
        const Index b = i / D / O, o = i / D % O;
        T g = o < P ? d_pooled[b * P + o] : T(0);
        if (o >= O - N) g += d_hidden[(b * N + o - (O - N)) * D + i % D];
        d_a[i] = !relu || a[i] > T(0) ? g : T(0);
    });
}

Index tiles(Index n, Index of) { return (n + of - 1) / of; }

int side(Index n) {
    if (n > std::numeric_limits<int>::max()) throw std::invalid_argument("the sizes of a layer must be below 2^31");
    return static_cast<int>(n);
}

template <class T>
void sum_products(const Exec& ex, T* out, const T* x, const T* y, const Weights<T>& w, const T* bias, Index B, Index R,
                  Index P, Index Q, Index D) {
    if (Q == 0) P = 0, Q = 1;  // no products, either way
    const Index blocks = tiles(R, kRows) * tiles(B * D, kColumns);
    launch(weighted_products<T>, blocks, kThreads, sizeof(Step<T>), ex.stream, out, x, y, w, bias, B * D, side(R),
           side(P), side(Q), side(D));
}

}  // namespace

template <class T>
void cin_forward(const Exec& ex, T* out, const T* x0, const T* xk, const T* w, const T* bias, Index B, Index m, Index H,
                 Index O, Index D) {
    sum_products(ex, out, xk, x0, Weights<T>{w, H * m, m, 1}, bias, B, O, H, m, D);
}

// The gradients of x0 and xk are sums of the same kind: of the products of d_out with the other one.
template <class T>
void cin_backward(const Exec& ex, T* d_x0, T* d_xk, T* d_w, T* d_bias, const T* d_out, const T* x0, const T* xk,
                  const T* w, Index B, Index m, Index H, Index O, Index D) {
    const T* const none = nullptr;
    sum_products(ex, d_xk, d_out, x0, Weights<T>{w, m, H * m, 1}, none, B, H, O, m, D);
    sum_products(ex, d_x0, d_out, xk, Weights<T>{w, 1, H * m, m}, none, B, m, O, H, D);

    // Enough parts to fill a large GPU: as few tiles of d_w are, as many, so that their memory is bounded.
    constexpr Index enough = 1024, least = 512;  // blocks; columns of a part
    const Index N = B * D, size = O * H * m, of_part = tiles(O, kRows) * tiles(H * m, kColumns);
    const Index most = tiles(N, least), wanted = of_part == 0 || of_part >= enough ? 1 : enough / of_part;
    const Index split = most < wanted ? most : wanted, span = tiles(tiles(N, split < 1 ? 1 : split), kDepth) * kDepth;
    const Index parts = N == 0 ? 1 : tiles(N, span);
    Scratch<T> sums(ex, parts == 1 ? 0 : parts * size);
    launch(weight_gradient<T>, of_part * parts, kThreads, sizeof(Step<T>), ex.stream, parts == 1 ? d_w : sums.data(),
           d_out, x0, xk, N, span, side(m), side(H), side(O), side(D < 1 ? 1 : D));
    if (parts > 1) launch(sum_parts<T>, grid_for(size), kBlock, 0, ex.stream, d_w, sums.data(), size, parts);

    Scratch<double> of_elements(ex, O * D);
    sum_columns<Total>(ex, B, O * D, AddElement<T>{d_out, O * D}, StoreTotal<double>{of_elements.data()});
    launch(sum_maps<T>, grid_for(O), kBlock, 0, ex.stream, d_bias, of_elements.data(), O, D);
}

template <class T>
void cin_pool_forward(const Exec& ex, T* pooled, T* hidden, const T* a, Index B, Index O, Index D, Index P, Index N,
                      bool relu) {
    int width = 1;
    while (width < D && width < 32) width *= 2;
    const T low = relu ? T(0) : -std::numeric_limits<T>::infinity();
    launch(pool_forward<T>, grid_for(B * O * width), kBlock, 0, ex.stream, pooled, hidden, a, B, O, D, P, N, low,
           width);
}

template <class T>
void cin_pool_backward(const Exec& ex, T* d_a, const T* d_pooled, const T* d_hidden, const T* a, Index B, Index O,
                       Index D, Index P, Index N, bool relu) {
    launch(pool_backward<T>, grid_for(B * O * D), kBlock, 0, ex.stream, d_a, d_pooled, d_hidden, a, B * O * D, O, D, P,
           N, relu);
}

#define INSTANTIATE(T)                                                                                                \
    template void cin_forward(const Exec&, T*, const T*, const T*, const T*, const T*, Index, Index, Index, Index,    \
                              Index);                                                                                 \
    template void cin_backward(const Exec&, T*, T*, T*, T*, const T*, const T*, const T*, const T*, Index, Index,     \
                               Index, Index, Index);                                                                  \
    template void cin_pool_forward(const Exec&, T*, T*, const T*, Index, Index, Index, Index, Index, bool);           \
    template void cin_pool_backward(const Exec&, T*, const T*, const T*, const T*, Index, Index, Index, Index, Index, \
                                    bool);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cuda
