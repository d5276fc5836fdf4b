// Lanes as threads, for ThreadSanitizer: nothing but the kernel's own barriers orders what they do.
#pragma once
#include <algorithm>
#include <barrier>
#include <deque>
#include <thread>
#include <vector>

#include "simt.hpp"

namespace pyrec::simt {

constexpr unsigned kResident = 2;  // blocks at a time, so that races between blocks are seen as well

struct Block : BlockState {
    Block(const Config& config, unsigned number) : BlockState(config, number), whole(config.block) {
        for (unsigned i = 0; i < config.block; i += kWarp) warps.emplace_back(kWarp);
    }
    std::barrier<> whole;
    std::deque<std::barrier<>> warps;
};

inline void wait_at(Barrier barrier, const char*, int) {
    Block& block = *static_cast<Block*>(lane->block);
    (barrier == Barrier::block ? block.whole : block.warps[lane->index.x / kWarp]).arrive_and_wait();
}

inline void run(const Config& config, const std::function<void()>& kernel) {
    for (unsigned first = 0; first < config.grid; first += kResident) {
        std::deque<Block> blocks;
        std::vector<std::jthread> threads;  // joined before the blocks go
        for (unsigned b = first; b < std::min(first + kResident, config.grid); ++b) {
            blocks.emplace_back(config, b);
            for (unsigned i = 0; i < config.block; ++i)
                threads.emplace_back([&kernel, &block = blocks.back(), i] {
                    LaneState own{{i}, &block};
                    lane = &own;
                    kernel();
                });
        }
    }
}

}  // namespace pyrec::simt
