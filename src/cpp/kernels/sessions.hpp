// Session-parallel mini-batches (Hidasi et al. 2016, arXiv:1511.06939, section 3.1.1): which events meet in which step.
#pragma once
#include "common.hpp"

namespace pyrec {

// What is carried from one block of steps to the next. Lane l works on events at[l] .. end[l] - 1.
struct Lanes {
    Index *at, *end;  // (B)
    Index* count;     // lanes in use
    Index* next;      // next session of `order`
};

// Session s has the events offsets[s] .. offsets[s + 1] - 1. Those of `order` begin one after the other; each of them
// has two events or more.
struct Queue {
    const Index *offsets, *order;
    Index sessions, n;
};

namespace PYREC_BACKEND {

// Plans up to `steps` steps. A step takes one event of each lane as input and the one after it as target; a lane whose
// session is over gets the next session of the queue, or is removed where there is none left. Step s has rows[s + 1]
// lanes, after rows[s] in the step before (for the first step of an epoch: its own). For each lane, end to end over the
// steps, `position` says where its input lies and `reset` whether a session begins there; `keep` says, end to end,
// which lanes of the step before are still there. The epoch is over when no lane is left, or less than `fewest`; the
// steps from there on have 0.
//
// position, reset, keep (steps B); rows (steps + 1)
void plan_sessions(const Exec& ex, Index* position, bool* reset, bool* keep, Index* rows, const Lanes& lanes,
                   const Queue& queue, Index B, Index fewest, Index steps);

#ifdef PYREC_CUDA
// What only the kernel can look at there, it reports: as rows[0].
enum Refused : Index { kBadOrder = -1, kBadState = -2 };
#endif

}  // namespace PYREC_BACKEND
}  // namespace pyrec
