#include "ncf.hpp"

#include "columns.cuh"
#include "reduce.cuh"

namespace pyrec::cuda {
namespace {

// A thread for each element of what is written, neighbours by neighbours of a row.

template <class T> __global__ void fill_foot(T* foot, TableRows<T> rows) {
    const Index half = rows.d - rows.g;
    grid_stride(rows.B * 2 * half, [=](Index i) {
        const Index b = i / (2 * half), c = i % (2 * half);
        foot[i] = c < half ? rows.users[rows.user[b] * rows.d + rows.g + c]
                           : rows.items[rows.item[b] * rows.d + rows.d - 2 * half + c];
    });
}

template <class T> __global__ void finish_layer(T* z, T* kept, const T* bias, const T* mask, LayerColumns at) {
    grid_stride(at.B * at.width, [=](Index i) {
        const Index b = i / at.width, c = i % at.width;
        const T x = z[i] + bias[c];
        T y = x < T(0) ? T(0) : x;  // NaN stays
        if (mask) y *= mask[i];
        z[i] = y;
        kept[b * at.stride + at.column + c] = y;
    });
}

// A warp a pair.
template <class T>
__global__ void make_logits(T* logits, const T* kept, const T* head, const T* offset, TableRows<T> rows, Index stride,
                            Index top) {
    const Index lane = threadIdx.x % kWarp, warps = Index{gridDim.x} * blockDim.x / kWarp;
    for (Index b = (Index{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp; b < rows.B; b += warps) {
        const T *p = rows.users + rows.user[b] * rows.d, *q = rows.items + rows.item[b] * rows.d;
        const T* const z = kept + (b + 1) * stride - top;
        T sum = 0;
        for (Index c = lane; c < rows.g; c += kWarp) sum += head[c] * p[c] * q[c];
        for (Index c = lane; c < top; c += kWarp) sum += head[rows.g + c] * z[c];
        sum = warp_reduce(sum, Sum{});
        if (lane == 0) logits[b] = sum + *offset;
    }
}

// The gradient of x from that of z = mask * max(0, x), element i.
template <class T> __device__ T slope(T d_z, T z, const T* mask, Index i) {
    const T d = z > T(0) ? d_z : T(0);
    return mask ? d * mask[i] : d;
}

template <class T>
__global__ void begin_backward(T* d_z, T* slopes, const T* d_logits, const T* head, const T* kept, const T* mask,
                               LayerColumns at) {
    grid_stride(at.B * at.width, [=](Index i) {
        const Index b = i / at.width, c = i % at.width, place = b * at.stride + at.column + c;
        d_z[i] = slopes[place] = slope(d_logits[b] * head[c], kept[place], mask, i);
    });
}

template <class T> __global__ void pass_layer(T* d_z, T* slopes, T* z, const T* kept, const T* mask, LayerColumns at) {
    grid_stride(at.B * at.width, [=](Index i) {
        const Index place = i / at.width * at.stride + at.column + i % at.width;
        const T value = kept[place];
        z[i] = value;
        d_z[i] = slopes[place] = slope(d_z[i], value, mask, i);
    });
}

template <class T>
__global__ void rows_gradient(T* d_users, T* d_items, const T* d_logits, const T* d_foot, const T* head,
                              TableRows<T> rows) {
    const Index g = rows.g, d = rows.d, half = d - g;
    grid_stride(rows.B * d, [=](Index i) {
        const Index b = i / d, c = i % d;
        if (c < g) {
            const T slope_of_product = d_logits[b] * head[c];
            d_users[i] = slope_of_product * rows.items[rows.item[b] * d + c];
            d_items[i] = slope_of_product * rows.users[rows.user[b] * d + c];
        } else {
            const T* const from = d_foot + b * 2 * half + c - g;
            d_users[i] = from[0];
            d_items[i] = from[half];
        }
    });
}

// What pair b adds to the gradients of all biases, of h and of c, side by side.
template <class T> struct AddGradient {
    const T *slopes, *d_logits, *kept;
    TableRows<T> rows;
    Index stride, top;
    __device__ T factor(Index b, Index c) const {  // of the element of h, or of c
        if (c < rows.g) return rows.users[rows.user[b] * rows.d + c] * rows.items[rows.item[b] * rows.d + c];
        return c < rows.g + top ? kept[(b + 1) * stride - top + c - rows.g] : T(1);
    }
    __device__ void operator()(Total& total, Index b, Index c) const {
        const T term = c < stride ? slopes[b * stride + c] : d_logits[b] * factor(b, c - stride);
        total.sum += static_cast<double>(term);
    }
};

}  // namespace

template <class T> void ncf_foot(const Exec& ex, T* foot, const TableRows<T>& rows) {
    launch(fill_foot<T>, grid_for(rows.B * 2 * (rows.d - rows.g)), kBlock, 0, ex.stream, foot, rows);
}

template <class T>
void ncf_layer_forward(const Exec& ex, T* z, T* kept, const T* bias, const T* mask, const LayerColumns& at) {
    launch(finish_layer<T>, grid_for(at.B * at.width), kBlock, 0, ex.stream, z, kept, bias, mask, at);
}

template <class T>
void ncf_logits(const Exec& ex, T* logits, const T* kept, const T* head, const T* offset, const TableRows<T>& rows,
                Index stride, Index top) {
    launch(make_logits<T>, grid_for(rows.B * kWarp), kBlock, 0, ex.stream, logits, kept, head, offset, rows, stride,
           top);
}

template <class T>
void ncf_top_backward(const Exec& ex, T* d_z, T* slopes, const T* d_logits, const T* head, const T* kept, const T* mask,
                      const LayerColumns& at) {
    launch(begin_backward<T>, grid_for(at.B * at.width), kBlock, 0, ex.stream, d_z, slopes, d_logits, head, kept, mask,
           at);
}

template <class T>
void ncf_layer_backward(const Exec& ex, T* d_z, T* slopes, T* z, const T* kept, const T* mask, const LayerColumns& at) {
    launch(pass_layer<T>, grid_for(at.B * at.width), kBlock, 0, ex.stream, d_z, slopes, z, kept, mask, at);
}

template <class T>
void ncf_rows_backward(const Exec& ex, T* d_users, T* d_items, const T* d_logits, const T* d_foot, const T* head,
                       const TableRows<T>& rows) {
    launch(rows_gradient<T>, grid_for(rows.B * rows.d), kBlock, 0, ex.stream, d_users, d_items, d_logits, d_foot, head,
           rows);
}

template <class T>
void ncf_sums(const Exec& ex, T* sums, const T* slopes, const T* d_logits, const T* kept, const TableRows<T>& rows,
              Index stride, Index top) {
    sum_columns<Total>(ex, rows.B, stride + rows.g + top + 1, AddGradient<T>{slopes, d_logits, kept, rows, stride, top},
                       StoreTotal<T>{sums});
}

#define INSTANTIATE(T)                                                                                                \
    template void ncf_foot(const Exec&, T*, const TableRows<T>&);                                                     \
    template void ncf_layer_forward(const Exec&, T*, T*, const T*, const T*, const LayerColumns&);                    \
    template void ncf_logits(const Exec&, T*, const T*, const T*, const T*, const TableRows<T>&, Index, Index);       \
    template void ncf_top_backward(const Exec&, T*, T*, const T*, const T*, const T*, const T*, const LayerColumns&); \
    template void ncf_layer_backward(const Exec&, T*, T*, T*, const T*, const T*, const LayerColumns&);               \
    template void ncf_rows_backward(const Exec&, T*, T*, const T*, const T*, const T*, const TableRows<T>&);          \
    template void ncf_sums(const Exec&, T*, const T*, const T*, const T*, const TableRows<T>&, Index, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cuda
