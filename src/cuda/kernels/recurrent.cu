// What the steps of recurrent cells do element by element: a thread an element, of which it reads every gate.
#include "recurrent.hpp"

#include "math.hpp"

namespace pyrec::cuda {
namespace {

// f(row * width + column) for the rows x d elements of states, and where the row's blocks begin.
template <class F> __device__ void for_states(Index rows, Index d, Index blocks, F f) {
    grid_stride(rows * d, [=](Index i) { f(i, i / d * (blocks - 1) * d + i); });
}

// In the kernels i is an element of an array of states, a the same column in the first block of an array of gates.

template <class T>
__global__ void before_gates(T* gates, T* rp, const T* s, const T* x, const T* p, Index rows, Index d) {
    for_states(rows, d, 3, [=](Index i, Index a) {
        const Index of_s = i / d * d + i;
        const T r = math::sigmoid(s[of_s] + x[a + d]);
        gates[a + d] = r;
        gates[a + 2 * d] = math::sigmoid(s[of_s + d] + x[a + 2 * d]);
        rp[i] = r * p[i];
    });
}

template <class T>
__global__ void before_states(T* h, T* gates, const T* s, const T* x, const T* p, Index rows, Index d) {
    for_states(rows, d, 3, [=](Index i, Index a) {
        const T c = math::tanh(s[i] + x[a]), z = gates[a + 2 * d];
        gates[a] = c;
        h[i] = (T(1) - z) * p[i] + z * c;
    });
}

template <class T>
__global__ void before_states_back(T* d_x, T* carry, const T* d_h, const T* gates, const T* p, Index rows, Index d) {
    for_states(rows, d, 3, [=](Index i, Index a) {
        const T c = gates[a], z = gates[a + 2 * d], g = d_h[i] + carry[i], open = T(1) - z;
        d_x[a] = g * z * (T(1) - c * c);
        d_x[a + 2 * d] = g * (c - p[i]) * z * open;
        carry[i] = g * open;
    });
}

template <class T>
__global__ void before_gates_back(T* d_x, T* carry, const T* d_rp, const T* gates, const T* p, Index rows, Index d) {
    for_states(rows, d, 3, [=](Index i, Index a) {
        const T r = gates[a + d], g = d_rp[i];
        d_x[a + d] = g * p[i] * r * (T(1) - r);
        carry[i] += g * r;
    });
}

template <class T>
__global__ void after(T* h, T* gates, T* m, const T* s, const T* x, const T* p, const T* bias, Index rows, Index d) {
    for_states(rows, d, 3, [=](Index i, Index a) {
        const Index j = i % d;
        const T b_r = bias ? bias[j] : T(0), b_z = bias ? bias[d + j] : T(0), b_c = bias ? bias[2 * d + j] : T(0);
        const T r = math::sigmoid(s[a] + x[a] + b_r), z = math::sigmoid(s[a + d] + x[a + d] + b_z);
        const T k = s[a + 2 * d] + b_c, c = math::tanh(x[a + 2 * d] + r * k);
        gates[a] = r;
        gates[a + d] = z;
        gates[a + 2 * d] = c;
        m[i] = k;
        h[i] = z * p[i] + (T(1) - z) * c;
    });
}

template <class T>
__global__ void after_back(T* d_x, T* d_s, T* carry, const T* d_h, const T* gates, const T* m, const T* p, Index rows,
                           Index d) {
    for_states(rows, d, 3, [=](Index i, Index a) {
        const T r = gates[a], z = gates[a + d], c = gates[a + 2 * d];
        const T g = d_h[i] + carry[i], open = T(1) - z, d_c = g * open * (T(1) - c * c);
        d_x[a] = d_s[a] = d_c * m[i] * r * (T(1) - r);
        d_x[a + d] = d_s[a + d] = g * (p[i] - c) * z * open;
        d_x[a + 2 * d] = d_c;
        d_s[a + 2 * d] = d_c * r;
        carry[i] = g * z;
    });
}

template <class T> __global__ void lstm(T* h, T* c, T* gates, const T* s, const T* x, const T* q, Index rows, Index d) {
    for_states(rows, d, 4, [=](Index i, Index a) {
        const T in = math::sigmoid(s[a] + x[a]), forget = math::sigmoid(s[a + d] + x[a + d]);
        const T g = math::tanh(s[a + 2 * d] + x[a + 2 * d]), out = math::sigmoid(s[a + 3 * d] + x[a + 3 * d]);
        const T cell = forget * q[i] + in * g;
        gates[a] = in;
        gates[a + d] = forget;
        gates[a + 2 * d] = g;
        gates[a + 3 * d] = out;
        c[i] = cell;
        h[i] = out * math::tanh(cell);
    });
}

template <class T>
__global__ void lstm_gradient(T* d_x, T* carry, T* carry_c, const T* d_h, const T* d_c, const T* c, const T* gates,
                              const T* q, Index rows, Index d) {
    for_states(rows, d, 4, [=](Index i, Index a) {
        const T in = gates[a], forget = gates[a + d], g = gates[a + 2 * d], out = gates[a + 3 * d];
        const T by_h = d_h[i] + carry[i], tanh_c = math::tanh(c[i]);
        const T by_c = carry_c[i] + (d_c ? d_c[i] : T(0)) + by_h * out * (T(1) - tanh_c * tanh_c);
        d_x[a] = by_c * g * in * (T(1) - in);
        d_x[a + d] = by_c * q[i] * forget * (T(1) - forget);
        d_x[a + 2 * d] = by_c * in * (T(1) - g * g);
        d_x[a + 3 * d] = by_h * tanh_c * out * (T(1) - out);
        carry_c[i] = by_c * forget;
    });
}

template <class T> __global__ void rnn(T* h, const T* s, const T* x, Index n) {
    grid_stride(n, [=](Index i) { h[i] = math::tanh(s[i] + x[i]); });
}

template <class T> __global__ void rnn_gradient(T* d_x, const T* carry, const T* d_h, const T* h, Index n) {
    grid_stride(n, [=](Index i) { d_x[i] = (d_h[i] + carry[i]) * (T(1) - h[i] * h[i]); });
}

// A kernel on the rows x d elements of states.
template <class... P, class... A> void step(const Exec& ex, void (*kernel)(P...), Index rows, Index d, A... arrays) {
    launch(kernel, grid_for(rows * d), kBlock, 0, ex.stream, arrays..., rows, d);
}

}  // namespace

template <class T>
void gru_before_gates(const Exec& ex, T* gates, T* rp, const T* s, const T* x, const T* p, Index rows, Index d) {
    step(ex, before_gates<T>, rows, d, gates, rp, s, x, p);
}

template <class T>
void gru_before_states(const Exec& ex, T* h, T* gates, const T* s, const T* x, const T* p, Index rows, Index d) {
    step(ex, before_states<T>, rows, d, h, gates, s, x, p);
}

template <class T>
void gru_before_states_back(const Exec& ex, T* d_x, T* carry, const T* d_h, const T* gates, const T* p, Index rows,
                            Index d) {
    step(ex, before_states_back<T>, rows, d, d_x, carry, d_h, gates, p);
}

template <class T>
void gru_before_gates_back(const Exec& ex, T* d_x, T* carry, const T* d_rp, const T* gates, const T* p, Index rows,
                           Index d) {
    step(ex, before_gates_back<T>, rows, d, d_x, carry, d_rp, gates, p);
}

template <class T>
void gru_after_step(const Exec& ex, T* h, T* gates, T* m, const T* s, const T* x, const T* p, const T* bias, Index rows,
                    Index d) {
    step(ex, after<T>, rows, d, h, gates, m, s, x, p, bias);
}

template <class T>
void gru_after_back(const Exec& ex, T* d_x, T* d_s, T* carry, const T* d_h, const T* gates, const T* m, const T* p,
                    Index rows, Index d) {
    step(ex, after_back<T>, rows, d, d_x, d_s, carry, d_h, gates, m, p);
}

template <class T>
void lstm_step(const Exec& ex, T* h, T* c, T* gates, const T* s, const T* x, const T* q, Index rows, Index d) {
    step(ex, lstm<T>, rows, d, h, c, gates, s, x, q);
}

template <class T>
void lstm_back(const Exec& ex, T* d_x, T* carry, T* carry_c, const T* d_h, const T* d_c, const T* c, const T* gates,
               const T* q, Index rows, Index d) {
    step(ex, lstm_gradient<T>, rows, d, d_x, carry, carry_c, d_h, d_c, c, gates, q);
}

template <class T> void rnn_step(const Exec& ex, T* h, const T* s, const T* x, Index n) {
    launch(rnn<T>, grid_for(n), kBlock, 0, ex.stream, h, s, x, n);
}

template <class T> void rnn_back(const Exec& ex, T* d_x, const T* carry, const T* d_h, const T* h, Index n) {
    launch(rnn_gradient<T>, grid_for(n), kBlock, 0, ex.stream, d_x, carry, d_h, h, n);
}

#define INSTANTIATE(T)                                                                                                \
    template void gru_before_gates(const Exec&, T*, T*, const T*, const T*, const T*, Index, Index);                  \
    template void gru_before_states(const Exec&, T*, T*, const T*, const T*, const T*, Index, Index);                 \
    template void gru_before_states_back(const Exec&, T*, T*, const T*, const T*, const T*, Index, Index);            \
    template void gru_before_gates_back(const Exec&, T*, T*, const T*, const T*, const T*, Index, Index);             \
    template void gru_after_step(const Exec&, T*, T*, T*, const T*, const T*, const T*, const T*, Index, Index);      \
    template void gru_after_back(const Exec&, T*, T*, T*, const T*, const T*, const T*, const T*, Index, Index);      \
    template void lstm_step(const Exec&, T*, T*, T*, const T*, const T*, const T*, Index, Index);                     \
    template void lstm_back(const Exec&, T*, T*, T*, const T*, const T*, const T*, const T*, const T*, Index, Index); \
    template void rnn_step(const Exec&, T*, const T*, const T*, Index);                                               \
    template void rnn_back(const Exec&, T*, const T*, const T*, const T*, Index);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cuda
