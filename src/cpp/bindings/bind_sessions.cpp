#include "array.hpp"
#include "sessions.hpp"

namespace pyrec {
namespace {

// state: at (B), end (B), count, next.
Index plan_sessions(Out<Index> position, Out<bool> reset, Out<bool> keep, Out<Index> rows, Out<Index> state,
                    In<Index> offsets, In<Index> order, Index B, Index fewest) {
    require(B >= 1 && fewest >= 1, "B and fewest must be >= 1");
    require_shape("state", state, {2 * B + 2});
    const Index steps = rows.size(), n = order.size(), sessions = offsets.size() - 1;
    for (const auto* a : {&reset, &keep}) require_shape("reset and keep", *a, {steps * B});
    require_shape("position", position, {steps * B});
    require(sessions >= 0, "offsets must have an element");
    require_offsets("offsets", offsets, sessions, offsets.data[sessions]);
    bool good = true;
    for (Index k = 0; k < n; ++k) {
        const Index s = order.data[k];
        good &= s >= 0 && s < sessions && offsets.data[s + 1] - offsets.data[s] >= 2;
    }
    require(good, "order must hold sessions of two events or more");
    const Lanes lanes{state.data, state.data + B, state.data + 2 * B, state.data + 2 * B + 1};
    good = *lanes.count >= 0 && *lanes.count <= B && *lanes.next >= 0 && *lanes.next <= n;
    for (Index l = 0; good && l < *lanes.count; ++l)
        good = lanes.at[l] >= 0 && lanes.at[l] < lanes.end[l] && lanes.end[l] <= offsets.data[sessions];
    require(good, "state must be one that was handed out");
    py::gil_scoped_release nogil;
    return PYREC_BACKEND::plan_sessions(position.data, reset.data, keep.data, rows.data, lanes, offsets.data,
                                        order.data, n, B, fewest, steps);
}

}  // namespace

void bind_sessions(py::module_& m) { m.def("plan_sessions", &plan_sessions); }

}  // namespace pyrec
