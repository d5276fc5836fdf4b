// Draws from a discrete distribution, from counter-based random numbers: the same for any number of threads.
#pragma once
#include "random.hpp"

namespace pyrec::PYREC_BACKEND {

// The alias table of weights (n) >= 0, of which one is > 0 (Walker 1977; construction of Vose 1991): item i of a
// uniform draw stands with probability threshold[i], else alias[i] is taken. In float64, and of weight 0 never drawn.
// One item after the other, so on the CPU only.
#ifndef PYREC_CUDA
void alias_table(double* threshold, Id* alias, const double* weights, Index n);
#endif

// out (m): draws first .. first + m - 1 of the stream. One 64-bit number a draw: its product with n gives the item, the
// fraction of the product is compared with the threshold.
void sample_alias(const Exec& ex, Id* out, Index m, const double* threshold, const Id* alias, Index n,
                  const Stream& stream, std::uint64_t first);

}  // namespace pyrec::PYREC_BACKEND
