#include "parallel.hpp"

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <sys/mman.h>
#endif

namespace pyrec {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kStopInterval = std::chrono::milliseconds(50);

// One parallel loop. Held by shared_ptr: a worker that comes late finds no chunk left and touches nothing else.
struct Job {
    const Chunk* f;
    Index chunks;
    std::atomic<Index> next{0}, left;
    std::atomic<int> seats;  // workers that may still join
    std::atomic<bool> cancelled{false};
    std::mutex error_mutex;
    std::exception_ptr error;

    Job(const Chunk* f_, Index chunks_, int seats_) : f(f_), chunks(chunks_), left(chunks_), seats(seats_) {}

    void fail(std::exception_ptr e) {
        std::lock_guard lock(error_mutex);
        if (!error) error = std::move(e);
        cancelled = true;
    }

    // Claims chunks until none is left. After a failure chunks are only counted down.
    template <class Between> void work(Between between) {
        for (Index c; (c = next.fetch_add(1)) < chunks;) {
            if (!cancelled.load(std::memory_order_relaxed)) {
                try {
                    (*f)(c);
                    between();
                } catch (...) {
                    fail(std::current_exception());
                }
            }
            if (left.fetch_sub(1) == 1) left.notify_all();
        }
    }
};

void pause_cpu() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

class Pool {
  public:
    // Offers the job to `workers` threads. False if another job is running: the caller then works alone.
    bool offer(const std::shared_ptr<Job>& job, int workers) {
        std::lock_guard lock(mutex_);
        if (job_) return false;
        while (started_ < workers) {
            std::thread([this] { run(); }).detach();
            ++started_;
        }
        job_ = job;
        ticket_.fetch_add(1);
        ticket_.notify_all();
        return true;
    }

    void withdraw() {
        std::lock_guard lock(mutex_);
        job_.reset();
    }

  private:
    std::shared_ptr<Job> current() {
        std::lock_guard lock(mutex_);
        return job_;
    }

    void run() {
        unsigned seen = 0;
        for (;;) {
            for (int spin = 0; spin < 2000 && ticket_.load(std::memory_order_acquire) == seen; ++spin) pause_cpu();
            ticket_.wait(seen);
            seen = ticket_.load();
            if (auto job = current(); job && job->seats.fetch_sub(1) > 0) job->work([] {});
        }
    }

    std::mutex mutex_;
    std::shared_ptr<Job> job_;
    int started_ = 0;
    std::atomic<unsigned> ticket_{0};
};

// Never destroyed: detached workers may outlive static destruction. A forked child has no workers, so it starts anew.
std::atomic<Pool*> g_pool{nullptr};

Pool& pool() {
    static std::once_flag once;
    std::call_once(once, [] {
        g_pool = new Pool;
#if defined(__unix__) || defined(__APPLE__)
        pthread_atfork(nullptr, nullptr, [] { g_pool = new Pool; });
#endif
    });
    return *g_pool.load();
}

}  // namespace

void run_chunks(const Exec& ex, Index chunks, const Chunk& f) {
    if (chunks <= 0) return;
    const int helpers = static_cast<int>(std::min<Index>(ex.threads, chunks)) - 1;
    const auto job = std::make_shared<Job>(&f, chunks, helpers);
    const bool offered = helpers > 0 && pool().offer(job, helpers);
    auto asked = Clock::now();
    job->work([&] {
        if (!ex.stop || Clock::now() - asked < kStopInterval) return;
        if (ex.stop()) throw Interrupted{};
        asked = Clock::now();
    });
    for (Index left; (left = job->left.load()) > 0;) job->left.wait(left);
    if (offered) pool().withdraw();
    if (job->error) std::rethrow_exception(job->error);
}

namespace {

// A stack of blocks. A request goes into the first block with room after the last taken one; blocks stay.
class Arena {
  public:
    ~Arena() {
        for (auto& b : blocks_) release(b);
    }

    void* take(std::size_t bytes) {
        bytes = rounded(bytes);
        while (at_ < blocks_.size() && blocks_[at_].size - blocks_[at_].used < bytes) {
            if (blocks_[at_].used == 0) {  // too small and empty: replace it by a larger one
                release(blocks_[at_]);
                blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(at_));
            } else {
                ++at_;
            }
        }
        if (at_ == blocks_.size()) blocks_.push_back(allocate(std::max<std::size_t>(bytes, std::size_t{1} << 20)));
        void* p = blocks_[at_].memory + blocks_[at_].used;
        blocks_[at_].used += bytes;
        return p;
    }

    void give(std::size_t bytes) {
        while (blocks_[at_].used == 0) --at_;
        auto& b = blocks_[at_];
        b.used -= rounded(bytes);
        if (b.used == 0 && b.size > kKeep) {
            release(b);
            blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(at_));
            if (at_ > 0) --at_;
        }
    }

  private:
    struct Block {
        char* memory;
        std::size_t size, used;
    };

    static constexpr std::size_t kKeep = std::size_t{256} << 20;  // larger blocks go back to the system at once

    static std::size_t rounded(std::size_t bytes) { return (std::max<std::size_t>(bytes, 1) + 63) / 64 * 64; }

    static Block allocate(std::size_t bytes) {
        constexpr std::size_t huge = std::size_t{2} << 20;
        const bool large = bytes >= huge;
        const std::size_t size = large ? (bytes + huge - 1) / huge * huge : bytes;
        void* p = ::operator new(size, std::align_val_t{large ? huge : 64});
#if defined(__linux__)
        if (large) madvise(p, size, MADV_HUGEPAGE);
#endif
        return {static_cast<char*>(p), size, 0};
    }

    static void release(Block& b) {
        ::operator delete(b.memory, std::align_val_t{b.size >= (std::size_t{2} << 20) ? std::size_t{2} << 20 : 64});
    }

    std::vector<Block> blocks_;
    std::size_t at_ = 0;
};

thread_local Arena t_arena;

}  // namespace

void* scratch_take(std::size_t bytes) { return t_arena.take(bytes); }
void scratch_give(std::size_t bytes) { t_arena.give(bytes); }

}  // namespace pyrec
