// Optimizer steps on dense parameters and on the rows of an embedding that a batch touched. d columns.
#pragma once
#include "common.hpp"
#ifdef PYREC_CUDA
#include "groups.cuh"
#endif

namespace pyrec {

enum class Rule : int { sgd, adagrad, rmsprop, adadelta, adam, ftrl };

// One step of one rule; what a rule does not use is ignored. With g the gradient, plus l2 * w unless `ftrl`:
//   sgd       u = -lr g
//   adagrad   s0 += g^2;                                     u = -lr g / sqrt(s0 + eps)
//   rmsprop   s0 = beta1 s0 + (1 - beta1) g^2;               u = -lr g / sqrt(s0 + eps)
//   adadelta  s0 as rmsprop;  d = sqrt(s1 + eps) / sqrt(s0 + eps) g;  s1 = beta1 s1 + (1 - beta1) d^2;  u = -lr d
//   adam      s0 = beta1 s0 + (1 - beta1) g;  s1 = beta2 s1 + (1 - beta2) g^2;  with m = s0 / (1 - beta1^t) and
//             v = s1 / (1 - beta2^t):                        u = -lr m / (sqrt(v) + eps), or sqrt(v + eps) if
//             eps_inside
//   ftrl      n = s1 + g^2;  s0 += g - (sqrt(n) - sqrt(s1)) / lr w;  s1 = n;  w = 0 if |s0| <= l1, else
//             -(s0 - sign(s0) l1) / ((beta1 + sqrt(s1)) / lr + l2)
// Then w += u; with momentum velocity = momentum velocity + u and w += velocity (nesterov: momentum velocity + u).
// Before that w -= lr decay w.
struct Step {
    Rule rule;
    double lr, momentum, eps, beta1, beta2, l1, l2, decay;
    bool nesterov, eps_inside;
    Index t;  // number of this step, from 1
};

namespace PYREC_BACKEND {

// What a rule keeps beside the weights, in their shape: null where the rule has none.
template <class T> struct States {
    T *s0, *s1, *velocity;
};

// w, g, states (n)
template <class T>
void dense_step(const Exec& ex, T* w, const States<T>& states, const T* g, Index n, const Step& step);

// w, states (rows, d); g (n, d) belongs to the rows ids (n), which may repeat: their gradients are summed in the order
// of the batch, then each row makes one step. `touched` (rows), where given, holds the number of each row's last step:
// Adam's moments first decay by the steps that the row missed.
//
// coalesce: distinct ids, ascending, with the sums of their rows. ids (n), g (n, d); unique (n) and sums (n, d) are
// filled up to the count that is returned.
//
// sum_of_squares of g (n), in float64 and a fixed order.
#ifdef PYREC_CUDA  // the ids come grouped, sums is (groups.count, d), and the total stays on the device
template <class T>
void row_step(const Exec& ex, T* w, const States<T>& states, Index* touched, const Groups& groups, const T* g, Index d,
              const Step& step);
template <class T> void coalesce(const Exec& ex, T* sums, const Groups& groups, const T* g, Index d);
template <class T> void sum_of_squares(const Exec& ex, double* total, const T* g, Index n);
#else
template <class T>
void row_step(const Exec& ex, T* w, const States<T>& states, Index* touched, const Id* ids, const T* g, Index n,
              Index d, const Step& step);
template <class T> Index coalesce(const Exec& ex, Id* unique, T* sums, const Id* ids, const T* g, Index n, Index d);
template <class T> double sum_of_squares(const Exec& ex, const T* g, Index n);
#endif

}  // namespace PYREC_BACKEND
}  // namespace pyrec
