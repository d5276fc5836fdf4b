#include "sessions.hpp"

#include <algorithm>

#include "reduce.cuh"

namespace pyrec::cuda {
namespace {

// Of the lanes for which something holds: how many come before this thread's in its block, and how many there are.
struct Counted {
    int before, all;
};

// All threads of the block come here; there is a barrier before the result and one after it is made. `shared` has an
// element a warp.
__device__ inline Counted count_lanes(bool holds, int* shared) {
    const int own = holds, lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
    int up_to = own;
    for (int by = 1; by < kWarp; by *= 2) {
        const int below = __shfl_sync(0xffffffff, up_to, lane - by);
        up_to += lane >= by ? below : 0;
    }
    if (lane == kWarp - 1) shared[warp] = up_to;
    __syncthreads();
    Counted counted{up_to - own, 0};
    for (int w = 0; w < static_cast<int>(blockDim.x) / kWarp; ++w) {
        counted.before += w < warp ? shared[w] : 0;
        counted.all += shared[w];
    }
    __syncthreads();
    return counted;
}

// Whether what is carried over can be right. The same for all threads.
__device__ inline bool is_state(const Lanes& lanes, const Queue& queue, Index B, int* shared) {
    const Index count = *lanes.count, next = *lanes.next, events = queue.offsets[queue.sessions];
    bool good = count >= 0 && count <= B && next >= 0 && next <= queue.n;
    if (good)
        for_elements(
            count, [&](Index l) { good &= lanes.at[l] >= 0 && lanes.at[l] < lanes.end[l] && lanes.end[l] <= events; });
    return block_reduce(good ? 0 : 1, Max{}, shared) == 0;
}

// The events of the k-th session of the queue. False, and none, where they are not two or more.
__device__ inline bool begin_session(const Queue& queue, Index k, Index& at, Index& end) {
    const Index session = queue.order[k];
    if (session >= 0 && session < queue.sessions) {
        at = queue.offsets[session], end = queue.offsets[session + 1];
        if (at >= 0 && end - at >= 2 && end <= queue.offsets[queue.sessions]) return true;
    }
    at = end = 0;
    return false;
}

// A single block, as each step depends on the one before; its threads share the lanes. Of the lanes whose session is
// over the first `left` get another: how many of them come before a lane says which one, and how far a lane moves up.
__global__ void plan(Index* position, bool* reset, bool* keep, Index* rows, Lanes lanes, Queue queue, Index B,
                     Index fewest, Index steps) {
    PYREC_SHARED(int, shared);
    const bool is_first = threadIdx.x == 0;
    if (!is_state(lanes, queue, B, shared)) {
        if (is_first) rows[0] = kBadState;
        return;
    }
    Index count = *lanes.count, next = *lanes.next, done = 0, lanes_at_start = 0;
    bool good = true;
    for (; done < steps; ++done) {
        const bool begins = next == 0;
        const Index left = queue.n - next, before = begins ? std::min(B, left) : count;
        Index over = 0;
        for (Index from = 0; from < before; from += blockDim.x) {
            const Index l = from + threadIdx.x;
            const bool there = l < before;
            Index at = 0, end = 0;
            if (there && !begins) at = lanes.at[l], end = lanes.end[l];
            const bool ends = there && end - at < 2;
            const Counted ended = count_lanes(ends, shared);  // lanes are written after all of these have been read
            const Index earlier = over + ended.before;
            over += ended.all;
            if (!there) continue;
            const bool stays = !ends || earlier < left;
            keep[l] = stays;
            if (!stays) continue;
            if (ends) good &= begin_session(queue, next + earlier, at, end);
            const Index to = l - std::max(earlier - left, Index{0});
            lanes.at[to] = at, lanes.end[to] = end, reset[to] = ends;
        }
        const Index refilled = std::min(over, left);
        count = before - (over - refilled), next += refilled;
        if (count == 0 || count < fewest) {
            count = 0, next = queue.n;
            break;
        }
        __syncthreads();
        for_elements(count, [&](Index l) { position[l] = lanes.at[l]++; });  // by the thread that reads it next
        if (done == 0) lanes_at_start = before;
        if (is_first) rows[done + 1] = count;
        position += count, reset += count, keep += before;
    }
    for_elements(steps - done, [&](Index s) { rows[done + 1 + s] = 0; });
    good = block_reduce(good ? 0 : 1, Max{}, shared) == 0;
    if (is_first) *lanes.count = count, *lanes.next = next, rows[0] = good ? lanes_at_start : kBadOrder;
}

}  // namespace

void plan_sessions(const Exec& ex, Index* position, bool* reset, bool* keep, Index* rows, const Lanes& lanes,
                   const Queue& queue, Index B, Index fewest, Index steps) {
    const int threads = static_cast<int>(std::min<Index>((B + kWarp - 1) / kWarp * kWarp, kBlock));
    launch(plan, 1, threads, kWarpsOfBlock * sizeof(int), ex.stream, position, reset, keep, rows, lanes, queue, B,
           fewest, steps);
}

}  // namespace pyrec::cuda
