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

namespace PYREC_BACKEND {

// Plans up to `steps` steps. A step takes one event of each lane as input and the one after it as target; a lane whose
// session is over gets the next session of order (n), or is removed where there is none left. Step s has rows[s] lanes,
// for each of which, end to end over the steps, `position` says where its input lies and `reset` whether a session
// begins there. `keep` says, end to end, which lanes of the step before are still there (for the first step of an
// epoch: all of its own). All sessions of `order` have two events or more. The epoch is over when no lane is left, or
// less than `fewest`. Returns the number of steps planned, less than `steps` at the end.
//
// position, reset (steps B); keep (steps B); rows (steps); offsets: where each session begins.
Index plan_sessions(Index* position, bool* reset, bool* keep, Index* rows, const Lanes& lanes, const Index* offsets,
                    const Index* order, Index n, Index B, Index fewest, Index steps);

}  // namespace PYREC_BACKEND
}  // namespace pyrec
