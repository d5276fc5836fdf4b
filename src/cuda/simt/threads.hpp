// Lanes as threads, for ThreadSanitizer: nothing but the kernel's own barriers orders what they do.
#pragma once
#include <semaphore.h>

#include <algorithm>
#include <barrier>
#include <deque>
#include <mutex>
#include <thread>

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

// Threads that stay from launch to launch, as to begin and end one is slow here. Each waits for a semaphore of its own,
// so that what one has done is ordered before what another begins only if the kernel says so.
class Crew {
  public:
    Crew() { sem_init(&done_, 0, 0); }
    ~Crew() {
        task_ = nullptr;
        for (Member& member : members_) sem_post(&member.begin);
        for (Member& member : members_) member.thread.join();
    }
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;

    // task(i) for each i below n, all at the same time
    void run(unsigned n, const std::function<void(unsigned)>& task) {
        const std::lock_guard one_at_a_time(mutex_);
        task_ = &task;
        while (members_.size() < n) {
            Member& member = members_.emplace_back();
            sem_init(&member.begin, 0, 0);
            member.thread = std::thread([this, &member, i = static_cast<unsigned>(members_.size()) - 1] {
                for (;;) {
                    wait(member.begin);
                    if (!task_) return;
                    (*task_)(i);
                    sem_post(&done_);
                }
            });
        }
        for (unsigned i = 0; i < n; ++i) sem_post(&members_[i].begin);
        for (unsigned i = 0; i < n; ++i) wait(done_);
    }

  private:
    struct Member {
        sem_t begin;
        std::thread thread;
    };
    static void wait(sem_t& semaphore) {
        while (sem_wait(&semaphore) != 0) {}  // a signal ends the wait
    }
    std::mutex mutex_;
    const std::function<void(unsigned)>* task_ = nullptr;
    std::deque<Member> members_;
    sem_t done_;
};

inline void run(const Config& config, const std::function<void()>& kernel) {
    static Crew crew;
    for (unsigned first = 0; first < config.grid; first += kResident) {
        std::deque<Block> blocks;
        for (unsigned b = first; b < std::min(first + kResident, config.grid); ++b) blocks.emplace_back(config, b);
        crew.run(static_cast<unsigned>(blocks.size()) * config.block, [&](unsigned i) {
            LaneState own{{i % config.block}, &blocks[i / config.block]};
            lane = &own;
            kernel();
        });
    }
}

}  // namespace pyrec::simt
