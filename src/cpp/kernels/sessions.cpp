#include "sessions.hpp"

#include <algorithm>

namespace pyrec::cpu {
namespace {

// Gives lane `l` the next session. False where there is none left.
bool refill(const Lanes& lanes, Index l, const Index* offsets, const Index* order, Index n) {
    if (*lanes.next == n) return false;
    const Index session = order[(*lanes.next)++];
    lanes.at[l] = offsets[session], lanes.end[l] = offsets[session + 1];
    return true;
}

}  // namespace

Index plan_sessions(Index* position, bool* reset, bool* keep, Index* rows, const Lanes& lanes, const Index* offsets,
                    const Index* order, Index n, Index B, Index fewest, Index steps) {
    for (Index step = 0; step < steps; ++step) {
        const bool first = *lanes.next == 0;
        const Index before = *lanes.count;
        Index count = 0;
        if (first) {
            while (count < B && refill(lanes, count, offsets, order, n)) reset[count++] = true;
            std::fill(keep, keep + count, true);
        } else {
            for (Index l = 0; l < before; ++l) {
                const bool over = lanes.end[l] - lanes.at[l] < 2;
                keep[l] = !over || refill(lanes, l, offsets, order, n);
                if (!keep[l]) continue;
                reset[count] = over;
                lanes.at[count] = lanes.at[l], lanes.end[count] = lanes.end[l];
                ++count;
            }
        }
        *lanes.count = count;
        if (count == 0 || count < fewest) {
            *lanes.count = 0, *lanes.next = n;
            return step;
        }
        for (Index l = 0; l < count; ++l) position[l] = lanes.at[l]++;
        rows[step] = count;
        position += count, reset += count, keep += first ? count : before;
    }
    return steps;
}

}  // namespace pyrec::cpu
