// Activations with their gradients, rows that are normalised, and dropout. Arrays C-contiguous; an output may lie on
// the array of its shape that it is made from, nothing else aliases. B rows of n elements.
//
// NaN goes through; infinities as the formulas say.
#pragma once
#include "random.hpp"

namespace pyrec::PYREC_BACKEND {

enum class Activation { identity, sigmoid, tanh, relu, leaky, elu, selu, softplus };

// y (n) = f(x);  alpha is the slope of leaky, the scale of elu, >= 0.  Klambauer et al. 2017, arXiv:1706.02515 (selu).
template <class T> void activation_forward(const Exec& ex, T* y, const T* x, Index n, Activation f, double alpha);
// d_x (n) = d_y f'(x), from y = f(x) alone. At x = 0 the slope is that of the negative side.
template <class T>
void activation_backward(const Exec& ex, T* d_x, const T* d_y, const T* y, Index n, Activation f, double alpha);

// How a row is normalised: exp(x) / sum exp(x); its logarithm; x / |x|, or 0 where |x| < 1e-12. -inf is an element that
// is not there, also where all of a row are: the softmax is 0 and its logarithm -inf.
enum class RowActivation { softmax, log_softmax, l2_normalize };

// y (B,n) of x (B,n).
template <class T> void row_forward(const Exec& ex, T* y, const T* x, Index B, Index n, RowActivation f);
// d_x (B,n): p (d_y - p.d_y) for y = p;  d_y - exp(y) sum d_y;  (d_y - u (u.d_y)) / |x| for u = x / |x|.
// of (B,n): y, but x for l2_normalize.
template <class T>
void row_backward(const Exec& ex, T* d_x, const T* d_y, const T* of, Index B, Index n, RowActivation f);

// y (n) = x / (1 - rate) where the highest 24 bits of element first + i of the stream, as a number in [0, 1), are
// >= rate, else 0. The same elements for float and double.  Srivastava et al. 2014.
template <class T>
void dropout(const Exec& ex, T* y, const T* x, Index n, double rate, const Stream& stream, std::uint64_t first);

}  // namespace pyrec::PYREC_BACKEND
