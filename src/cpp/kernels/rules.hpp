// What each rule of optim.hpp does with one element: the same on the CPU and in CUDA.
#pragma once
#include <cmath>

#include "optim.hpp"

namespace pyrec {

// The numbers of a step in the type of the weights, with what depends on t worked out.
template <class T> struct Numbers {
    T lr, momentum, eps, beta1, beta2, rest1, rest2, l1, l2, keep, correction1, correction2;
    bool nesterov, eps_inside;
    explicit Numbers(const Step& s)
        : lr(T(s.lr)),
          momentum(T(s.momentum)),
          eps(T(s.eps)),
          beta1(T(s.beta1)),
          beta2(T(s.beta2)),
          rest1(T(1 - s.beta1)),
          rest2(T(1 - s.beta2)),
          l1(T(s.l1)),
          l2(T(s.l2)),
          keep(T(1 - s.lr * s.decay)),
          correction1(T(1 / (1 - std::pow(s.beta1, static_cast<double>(s.t))))),
          correction2(T(1 / (1 - std::pow(s.beta2, static_cast<double>(s.t))))),
          nesterov(s.nesterov),
          eps_inside(s.eps_inside) {}
};

// Steps element i, whose gradient is g. The rule and the momentum are constants, so that a loop is one vector loop.
template <Rule rule, bool has_velocity, class T>
PYREC_HOST_DEVICE inline void step_element(T* __restrict w, T* __restrict s0, T* __restrict s1, T* __restrict velocity,
                                           Index i, T g, const Numbers<T>& a) {
    const T before = w[i];
    if constexpr (rule == Rule::ftrl) {
        const T n = s1[i] + g * g;
        const T z = s0[i] + (g - (std::sqrt(n) - std::sqrt(s1[i])) / a.lr * before);
        s0[i] = z, s1[i] = n;
        const T shrunk = z - std::copysign(a.l1, z);
        w[i] = std::fabs(z) <= a.l1 ? T(0) : -shrunk / ((a.beta1 + std::sqrt(n)) / a.lr + a.l2);
    } else {
        const T d = g + a.l2 * before;
        T u;
        if constexpr (rule == Rule::sgd) {
            u = -a.lr * d;
        } else if constexpr (rule == Rule::adagrad) {
            s0[i] += d * d;
            u = -a.lr * d / std::sqrt(s0[i] + a.eps);
        } else if constexpr (rule == Rule::rmsprop) {
            s0[i] = a.beta1 * s0[i] + a.rest1 * d * d;
            u = -a.lr * d / std::sqrt(s0[i] + a.eps);
        } else if constexpr (rule == Rule::adadelta) {
            s0[i] = a.beta1 * s0[i] + a.rest1 * d * d;
            const T move = std::sqrt(s1[i] + a.eps) / std::sqrt(s0[i] + a.eps) * d;
            s1[i] = a.beta1 * s1[i] + a.rest1 * move * move;
            u = -a.lr * move;
        } else {
            s0[i] = a.beta1 * s0[i] + a.rest1 * d;
            s1[i] = a.beta2 * s1[i] + a.rest2 * d * d;
            const T v = s1[i] * a.correction2;
            const T root = a.eps_inside ? std::sqrt(v + a.eps) : std::sqrt(v) + a.eps;
            u = -a.lr * (s0[i] * a.correction1) / root;
        }
        if constexpr (has_velocity) {
            velocity[i] = a.momentum * velocity[i] + u;
            u = a.nesterov ? a.momentum * velocity[i] + u : velocity[i];
        }
        w[i] = a.keep * before + u;
    }
}

}  // namespace pyrec
