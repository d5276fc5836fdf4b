// Recurrent layers over packed sequences, and their gradients. d hidden units; arrays C-contiguous, none alias.
//
// x (n, blocks * d) is the input's share of the pre-activations, h (n,d) the state after each step, u (d, blocks * d).
// p is the state before a step: the sequence's row of h0 (B,d), or of h a step before. sigma is the logistic function,
// * goes element by element. What a forward pass keeps for the backward one comes after its results.
//
// Backward, d_h (n,d) is the gradient that reaches each state from outside. d_h0 may be null: h0 is then a constant.
#pragma once
#include "common.hpp"

namespace pyrec {

// Sequences packed by time, longest first: step t has rows[t] rows, one of each sequence that is still going on, and
// the rows of all steps lie end to end. rows does not increase; rows[0] = B.
struct Steps {
    const Index* rows;
    Index count;
    Index bptt = 0;  // backward: the state before every step t > 0 with t % bptt == 0 is a constant; 0: before none

    Index lanes() const { return count ? rows[0] : 0; }
    Index total() const {
        Index n = 0;
        for (Index t = 0; t < count; ++t) n += rows[t];
        return n;
    }
};

namespace PYREC_BACKEND {

#ifdef PYREC_CUDA
// What the steps of a packed sequence do besides products, for the cells below: the caller walks through the steps, and
// s is the product of a step's states p (rows,d) with those columns of u that it takes. x, gates and d_x are a step's
// rows of those arrays. carry (rows,d) comes as the gradient that later steps left, and is left as what flows past the
// product; what flows through it is the caller's to add (of the LSTM and the plain network: all there is).

// s (rows,2d), of the columns [r|z]: all of gates but c.
template <class T>
void gru_before_gates(const Exec& ex, T* gates, T* rp, const T* s, const T* x, const T* p, Index rows, Index d);
// s (rows,d), of rp and the columns [c].
template <class T>
void gru_before_states(const Exec& ex, T* h, T* gates, const T* s, const T* x, const T* p, Index rows, Index d);
// d_x but r.
template <class T>
void gru_before_states_back(const Exec& ex, T* d_x, T* carry, const T* d_h, const T* gates, const T* p, Index rows,
                            Index d);
// d_rp (rows,d), which came back through the product of rp.
template <class T>
void gru_before_gates_back(const Exec& ex, T* d_x, T* carry, const T* d_rp, const T* gates, const T* p, Index rows,
                           Index d);

// d_s (rows,3d) is the gradient of s.
template <class T>
void gru_after_step(const Exec& ex, T* h, T* gates, T* m, const T* s, const T* x, const T* p, const T* bias, Index rows,
                    Index d);
template <class T>
void gru_after_back(const Exec& ex, T* d_x, T* d_s, T* carry, const T* d_h, const T* gates, const T* m, const T* p,
                    Index rows, Index d);

template <class T>
void lstm_step(const Exec& ex, T* h, T* c, T* gates, const T* s, const T* x, const T* q, Index rows, Index d);
template <class T>
void lstm_back(const Exec& ex, T* d_x, T* carry, T* carry_c, const T* d_h, const T* d_c, const T* c, const T* gates,
               const T* q, Index rows, Index d);

// n elements.
template <class T> void rnn_step(const Exec& ex, T* h, const T* s, const T* x, Index n);
template <class T> void rnn_back(const Exec& ex, T* d_x, const T* carry, const T* d_h, const T* h, Index n);
#else

// GRU with the reset before the product (Cho et al. 2014, arXiv:1406.1078), blocks [c|r|z]:
//   r = sigma(x_r + p U_r);  z = sigma(x_z + p U_z);  c = tanh(x_c + (r * p) U_c);  h = (1 - z) * p + z * c
// gates (n,3d) = [c|r|z], rp (n,d) = r * p.
template <class T>
void gru_before_forward(const Exec& ex, T* h, T* gates, T* rp, const T* x, const T* h0, const T* u, const Steps& steps,
                        Index d);
template <class T>
void gru_before_backward(const Exec& ex, T* d_x, T* d_h0, T* d_u, const T* d_h, const T* h, const T* gates, const T* rp,
                         const T* h0, const T* u, const Steps& steps, Index d);

// GRU with the reset after the product, blocks [r|z|c], bias (3d) or null:
//   [s_r|s_z|m] = p U + bias;  r = sigma(x_r + s_r);  z = sigma(x_z + s_z);  c = tanh(x_c + r * m)
//   h = z * p + (1 - z) * c
// gates (n,3d) = [r|z|c], m (n,d). d_bias (3d).
template <class T>
void gru_after_forward(const Exec& ex, T* h, T* gates, T* m, const T* x, const T* h0, const T* u, const T* bias,
                       const Steps& steps, Index d);
template <class T>
void gru_after_backward(const Exec& ex, T* d_x, T* d_h0, T* d_u, T* d_bias, const T* d_h, const T* h, const T* gates,
                        const T* m, const T* h0, const T* u, const Steps& steps, Index d);

// LSTM (Hochreiter & Schmidhuber 1997, with forget gate), blocks [i|f|g|o], q the cell before a step, c0 (B,d) or c:
//   [i|f|o] = sigma(x + p U);  g = tanh(x_g + p U_g);  c = f * q + i * g;  h = o * tanh(c)
// gates (n,4d) = [i|f|g|o]. d_c (n,d), from outside, or null; d_c0 is null where d_h0 is.
template <class T>
void lstm_forward(const Exec& ex, T* h, T* c, T* gates, const T* x, const T* h0, const T* c0, const T* u,
                  const Steps& steps, Index d);
template <class T>
void lstm_backward(const Exec& ex, T* d_x, T* d_h0, T* d_c0, T* d_u, const T* d_h, const T* d_c, const T* h, const T* c,
                   const T* gates, const T* h0, const T* c0, const T* u, const Steps& steps, Index d);

// Elman's network: h = tanh(x + p U).
template <class T>
void rnn_forward(const Exec& ex, T* h, const T* x, const T* h0, const T* u, const Steps& steps, Index d);
template <class T>
void rnn_backward(const Exec& ex, T* d_x, T* d_h0, T* d_u, const T* d_h, const T* h, const T* h0, const T* u,
                  const Steps& steps, Index d);
#endif

}  // namespace PYREC_BACKEND
}  // namespace pyrec
