// Loops over the dimensions of embeddings, which are often fewer than a loop would need to be worth a vector. CPU only.
#pragma once
#include "parallel.hpp"

namespace pyrec::cpu {

inline constexpr Index kSide = 16;  // dimensions that are worked on side by side

// f(d, width) for the dimensions [d, d + width) of each block of kSide, and of smaller ones of what is left. The width
// is a constant, so that loops over it become vectors and sums stay in registers.
template <Index side = kSide, class F> void for_dimensions(Index D, F f, Index d = 0) {
    for (; d + side <= D; d += side) f(d, std::integral_constant<Index, side>());
    if constexpr (side > 1)
        if (d < D) for_dimensions<side / 2>(D, f, d);
}

}  // namespace pyrec::cpu
