// Walking a square matrix by tiles that fit the first-level cache, for work that touches (i, j) and (j, i) together.
#pragma once
#include "parallel.hpp"

namespace pyrec::cpu {

struct Tile {
    Index i0, i1, j0, j1;  // rows [i0, i1), columns [j0, j1)
};

// f(tile) for the tiles on and below the diagonal of an (n, n) matrix, a row of tiles a chunk.
template <class F> void for_tiles_below(const Exec& ex, Index n, F f) {
    constexpr Index side = 64;
    parallel_for(ex, ceil_div(n, side), 1, [=](Index row) {
        const Index i0 = row * side, i1 = std::min(n, i0 + side);
        for (Index j0 = 0; j0 < i1; j0 += side) f(Tile{i0, i1, j0, std::min(n, j0 + side)});
    });
}

}  // namespace pyrec::cpu
