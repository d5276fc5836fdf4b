// Normalisation of columns over the batch, and of rows. x and y (B, n); gamma, beta and statistics (n).
//
// Means and variances are those of B or n numbers, divided by B or n. Sums are float64, over blocks of rows in order.
#pragma once
#include "common.hpp"

namespace pyrec::PYREC_BACKEND {

// mean and var of the columns of x; B >= 1.
template <class T> void column_moments(const Exec& ex, T* mean, T* var, const T* x, Index B, Index n);

// y = gamma (x - mean) / sqrt(var + eps) + beta.  Ioffe & Szegedy 2015, arXiv:1502.03167.
template <class T>
void batch_norm_forward(const Exec& ex, T* y, const T* x, const T* mean, const T* var, const T* gamma, const T* beta,
                        double eps, Index B, Index n);

// With h = (x - mean) / sqrt(var + eps): d_beta = sum d_y, d_gamma = sum d_y h over the rows, and
// d_x = gamma / sqrt(var + eps) (d_y - (d_beta + h d_gamma) / B) where mean and var are those of x; without the second
// term if they are `constants`.
template <class T>
void batch_norm_backward(const Exec& ex, T* d_x, T* d_gamma, T* d_beta, const T* d_y, const T* x, const T* mean,
                         const T* var, const T* gamma, double eps, bool constants, Index B, Index n);

// y = gamma h + beta, h = (x - mean) / sqrt(var + eps) with mean and var of the row.  Ba et al. 2016, arXiv:1607.06450.
template <class T>
void layer_norm_forward(const Exec& ex, T* y, const T* x, const T* gamma, const T* beta, double eps, Index B, Index n);

// d_beta and d_gamma as above;  d_x = (g - mean(g) - h mean(g h)) / sqrt(var + eps) with g = gamma d_y.
template <class T>
void layer_norm_backward(const Exec& ex, T* d_x, T* d_gamma, T* d_beta, const T* d_y, const T* x, const T* gamma,
                         double eps, Index B, Index n);

}  // namespace pyrec::PYREC_BACKEND
