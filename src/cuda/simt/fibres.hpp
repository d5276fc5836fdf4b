// Lanes as fibres of the calling thread: each runs up to its next barrier, then the next one in order.
#pragma once
#include <ucontext.h>

#include <algorithm>
#include <deque>
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

struct Fibre {
    std::unique_ptr<char[]> memory = std::make_unique_for_overwrite<char[]>(kStackBytes);
    Stack stack;
    ucontext_t context;
};

struct Lane : LaneState {
    Fibre* fibre = nullptr;  // on whose stack it waits
    Barrier at = Barrier::none;
    std::string_view file;
    int line = 0;
    bool done = false;
};

struct Block : BlockState {
    Block(const Config& config, unsigned number, const std::function<void()>& body)
        : BlockState(config, number), kernel(body), reversed(config.reversed), lanes(config.block) {
        for (unsigned i = 0; i < config.block; ++i) lanes[i].index = {i}, lanes[i].block = this;
    }
    Lane& in_order(unsigned i) { return lanes[reversed ? size.x - 1 - i : i]; }

    const std::function<void()>& kernel;
    const bool reversed;
    std::vector<Lane> lanes;
    unsigned begun = 0;        // lanes, in order
    std::vector<Fibre*> idle;  // fibres that no lane waits on
    std::exception_ptr failure;
    Stack scheduler_stack;
    ucontext_t scheduler;
};

inline Block& block_of(const LaneState& l) { return *static_cast<Block*>(l.block); }

inline void wait_at(Barrier barrier, const char* file, int line) {
    Lane& self = *static_cast<Lane*>(lane);
    Block& block = block_of(self);
    self.at = barrier, self.file = file, self.line = line;
    announce_switch(&self.fibre->stack, block.scheduler_stack);
    swapcontext(&self.fibre->context, &block.scheduler);
    finish_switch(self.fibre->stack, &block.scheduler_stack);
}

// A fibre runs one lane after the other. Once a lane has to wait, other fibres begin the lanes after it.
inline void fibre_main() {
    Block& block = block_of(*lane);
    Fibre& own = *static_cast<Lane*>(lane)->fibre;
    finish_switch(own.stack, &block.scheduler_stack);
    try {
        while (block.begun < block.size.x) {
            Lane& next = block.in_order(block.begun++);
            next.fibre = &own;
            lane = &next;
            block.kernel();
            next.done = true;
        }
    } catch (...) {  // an exception cannot leave a fibre
        block.failure = std::current_exception();
    }
    block.idle.push_back(&own);
    announce_switch(nullptr, block.scheduler_stack);
    setcontext(&block.scheduler);
}

inline void start(Fibre& f) {
    f.stack = {f.memory.get(), kStackBytes, nullptr};
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.memory.get();
    f.context.uc_stack.ss_size = kStackBytes;
    f.context.uc_link = nullptr;
    makecontext(&f.context, fibre_main, 0);
}

// Runs `l`, and what its fibre goes on with, up to where one of them waits.
inline void resume(Lane& l) {
    Block& block = block_of(l);
    Fibre& f = *l.fibre;
    Stack own;
    lane = &l;
    announce_switch(&own, f.stack);
    swapcontext(&block.scheduler, &f.context);
    finish_switch(own, &f.stack);
    if (block.failure) std::rethrow_exception(block.failure);
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

// `fibres` grows to as many as the block needs at a time.
inline void run_block(Block& block, std::deque<Fibre>& fibres) {
    const unsigned n = block.size.x;
    for (Fibre& f : fibres) block.idle.push_back(&f);
    while (block.begun < n) {
        if (block.idle.empty()) block.idle.push_back(&fibres.emplace_back());
        Lane& first = block.in_order(block.begun);
        first.fibre = block.idle.back();
        block.idle.pop_back();
        start(*first.fibre);
        resume(first);
    }
    while (!std::ranges::all_of(block.lanes, &Lane::done)) {
        bool opened = open(block.lanes, Barrier::block);
        for (unsigned i = 0; i < n; i += kWarp) opened |= open(std::span(block.lanes).subspan(i, kWarp), Barrier::warp);
        if (!opened) throw_divergent(block);
        for (unsigned i = 0; i < n; ++i)
            if (Lane& l = block.in_order(i); !l.done && l.at == Barrier::none) resume(l);
    }
}

inline void run(const Config& config, const std::function<void()>& kernel) {
    thread_local std::deque<Fibre> fibres;  // kept from launch to launch: AddressSanitizer makes new memory costly
    for (unsigned b = 0; b < config.grid; ++b) {
        Block block(config, config.reversed ? config.grid - 1 - b : b, kernel);
        run_block(block, fibres);
    }
}

}  // namespace pyrec::simt
