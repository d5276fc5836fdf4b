#include "array.hpp"
#include "sessions.hpp"

namespace pyrec {
namespace {

#ifndef PYREC_CUDA
void require_queue(const Queue& queue) {
    bool good = true;
    for (Index k = 0; k < queue.n; ++k) {
        const Index s = queue.order[k];
        good &= s >= 0 && s < queue.sessions && queue.offsets[s + 1] - queue.offsets[s] >= 2;
    }
    require(good, "order must hold sessions of two events or more");
}

void require_lanes(const Lanes& lanes, const Queue& queue, Index B) {
    bool good = *lanes.count >= 0 && *lanes.count <= B && *lanes.next >= 0 && *lanes.next <= queue.n;
    for (Index l = 0; good && l < *lanes.count; ++l)
        good = lanes.at[l] >= 0 && lanes.at[l] < lanes.end[l] && lanes.end[l] <= queue.offsets[queue.sessions];
    require(good, "state must be one that was handed out");
}
#endif

// state: at (B), end (B), count, next.
void plan_sessions(const Exec& ex, Out<Index> position, Out<bool> reset, Out<bool> keep, Out<Index> rows,
                   Out<Index> state, In<Index> offsets, In<Index> order, Index B, Index fewest) {
    require(B >= 1 && fewest >= 1, "B and fewest must be >= 1");
    require_shape("state", state, {2 * B + 2});
    const Index steps = rows.size() - 1, sessions = offsets.size() - 1;
    require(steps >= 0, "rows must have an element");
    for (const auto* a : {&reset, &keep}) require_shape("reset and keep", *a, {steps * B});
    require_shape("position", position, {steps * B});
    require(sessions >= 0, "offsets must have an element");
    const Queue queue{offsets.data, order.data, sessions, order.size()};
    const Lanes lanes{state.data, state.data + B, state.data + 2 * B, state.data + 2 * B + 1};
#ifndef PYREC_CUDA
    require_offsets("offsets", offsets, sessions, offsets.data[sessions]);
    require_queue(queue);
    require_lanes(lanes, queue, B);
#endif
    py::gil_scoped_release nogil;
    PYREC_BACKEND::plan_sessions(ex, position.data, reset.data, keep.data, rows.data, lanes, queue, B, fewest, steps);
}

}  // namespace

void bind_sessions(py::module_& m) { m.def("plan_sessions", &plan_sessions); }

}  // namespace pyrec
