// Lanes as fibres of the calling thread: each runs up to its next barrier, then the next one in order.
#pragma once
#include <ucontext.h>

#include <algorithm>
#include <exception>
#include <map>
#include <span>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "simt.hpp"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PYREC_ASAN
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define PYREC_ASAN
#endif
#ifdef PYREC_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace pyrec::simt {

// A stack as AddressSanitizer has to know it when it is left and entered.
struct Stack {
    const void* bottom = nullptr;
    std::size_t size = 0;
    void* fake = nullptr;
};

// Switches stacks. `from` may be null where it is left for good.
inline void announce_switch([[maybe_unused]] Stack* from, [[maybe_unused]] const Stack& to) {
#ifdef PYREC_ASAN
    __sanitizer_start_switch_fiber(from ? &from->fake : nullptr, to.bottom, to.size);
#endif
}
inline void finish_switch([[maybe_unused]] const Stack& own, [[maybe_unused]] Stack* from) {
#ifdef PYREC_ASAN
    __sanitizer_finish_switch_fiber(own.fake, &from->bottom, &from->size);
#endif
}

constexpr std::size_t kStackBytes = std::size_t{1} << 16;

struct Lane : LaneState {
    Barrier at = Barrier::none;
    std::string_view file;
    int line = 0;
    bool done = false;
    std::unique_ptr<char[]> memory = std::make_unique_for_overwrite<char[]>(kStackBytes);
    Stack stack;
    ucontext_t context;
};

struct Block : BlockState {
    Block(const Config& config, unsigned number, const std::function<void()>& body, std::span<Lane> all)
        : BlockState(config, number), kernel(body), lanes(all) {}
    const std::function<void()>& kernel;
    std::span<Lane> lanes;
    std::exception_ptr failure;
    Stack scheduler_stack;
    ucontext_t scheduler;
};

inline Block& block_of(const Lane& l) { return *static_cast<Block*>(l.block); }

inline void wait_at(Barrier barrier, const char* file, int line) {
    Lane& self = *static_cast<Lane*>(lane);
    Block& block = block_of(self);
    self.at = barrier, self.file = file, self.line = line;
    announce_switch(&self.stack, block.scheduler_stack);
    swapcontext(&self.context, &block.scheduler);
    finish_switch(self.stack, &block.scheduler_stack);
}

inline void lane_main() {
    Lane& self = *static_cast<Lane*>(lane);
    Block& block = block_of(self);
    finish_switch(self.stack, &block.scheduler_stack);
    try {
        block.kernel();
    } catch (...) {  // an exception cannot leave a fibre
        block.failure = std::current_exception();
    }
    self.done = true;
    announce_switch(nullptr, block.scheduler_stack);
    setcontext(&block.scheduler);
}

inline void start(Lane& l, Block& block, unsigned index) {
    l.index = {index}, l.block = &block;
    l.at = Barrier::none, l.done = false;
    l.stack = {l.memory.get(), kStackBytes, nullptr};
    getcontext(&l.context);
    l.context.uc_stack.ss_sp = l.memory.get();
    l.context.uc_stack.ss_size = kStackBytes;
    l.context.uc_link = nullptr;
    makecontext(&l.context, lane_main, 0);
}

inline void resume(Lane& l) {
    Block& block = block_of(l);
    Stack own;
    lane = &l;
    announce_switch(&own, l.stack);
    swapcontext(&block.scheduler, &l.context);
    finish_switch(own, &l.stack);
}

// Lets a warp or block go on if all its lanes wait at this one barrier.
inline bool open(std::span<Lane> group, Barrier barrier) {
    const auto here = [&](const Lane& l) {
        return !l.done && l.at == barrier && l.line == group[0].line && l.file == group[0].file;
    };
    if (!std::ranges::all_of(group, here)) return false;
    for (Lane& l : group) l.at = Barrier::none;
    return true;
}

[[noreturn]] inline void throw_divergent(const Block& block) {
    std::map<std::string, int> where;
    for (const Lane& l : block.lanes)
        ++where[l.done ? "done" : "waiting at " + std::string(l.file) + ":" + std::to_string(l.line)];
    std::ostringstream text;
    text << "divergent barrier in block " << block.index.x << " of " << block.size.x << " threads";
    char separator = ':';
    for (const auto& [place, lanes] : where) text << std::exchange(separator, ',') << ' ' << lanes << ' ' << place;
    throw std::logic_error(text.str());
}

inline void run_block(Block& block, bool reversed) {
    const unsigned n = block.size.x;
    for (unsigned i = 0; i < n; ++i) start(block.lanes[i], block, i);
    for (;;) {
        for (unsigned i = 0; i < n; ++i) {
            Lane& l = block.lanes[reversed ? n - 1 - i : i];
            if (!l.done && l.at == Barrier::none) resume(l);
            if (block.failure) std::rethrow_exception(block.failure);
        }
        if (std::ranges::all_of(block.lanes, &Lane::done)) return;
        bool opened = open(block.lanes, Barrier::block);
        for (unsigned i = 0; i < n; i += kWarp) opened |= open(block.lanes.subspan(i, kWarp), Barrier::warp);
        if (!opened) throw_divergent(block);
    }
}

inline void run(const Config& config, const std::function<void()>& kernel) {
    std::vector<Lane> lanes(config.block);
    for (unsigned b = 0; b < config.grid; ++b) {
        Block block(config, config.reversed ? config.grid - 1 - b : b, kernel, lanes);
        run_block(block, config.reversed);
    }
}

}  // namespace pyrec::simt
