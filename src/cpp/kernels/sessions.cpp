#include "sessions.hpp"

#include <algorithm>

namespace pyrec::cpu {
namespace {

// Gives lane `l` the next session. False where there is none left.
bool refill(const Lanes& lanes, Index l, const Queue& queue) {
    if (*lanes.next == queue.n) return false;
    const Index session = queue.order[(*lanes.next)++];
    lanes.at[l] = queue.offsets[session], lanes.end[l] = queue.offsets[session + 1];
    return true;
}

}  // namespace

void plan_sessions(const Exec&, Index* position, bool* reset, bool* keep, Index* rows, const Lanes& lanes,
                   const Queue& queue, Index B, Index fewest, Index steps) {
    std::fill_n(rows, steps + 1, 0);
    for (Index step = 0; step < steps; ++step) {
        const bool first = *lanes.next == 0;
        Index before = *lanes.count, count = 0;
        if (first) {
            while (count < B && refill(lanes, count, queue)) reset[count++] = true;
            std::fill(keep, keep + count, true);
            before = count;
        } else {
            for (Index l = 0; l < before; ++l) {
                const bool over = lanes.end[l] - lanes.at[l] < 2;
                keep[l] = !over || refill(lanes, l, queue);
                if (!keep[l]) continue;
                reset[count] = over;
                lanes.at[count] = lanes.at[l], lanes.end[count] = lanes.end[l];
                ++count;
            }
        }
        *lanes.count = count;
        if (count == 0 || count < fewest) {
            *lanes.count = 0, *lanes.next = queue.n;
            return;
        }
        for (Index l = 0; l < count; ++l) position[l] = lanes.at[l]++;
        if (step == 0) rows[0] = before;
        rows[step + 1] = count;
        position += count, reset += count, keep += before;
    }
}

}  // namespace pyrec::cpu
