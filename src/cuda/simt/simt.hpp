// A test double of CUDA: the kernel files compiled by the host compiler, run on the CPU, seen by its sanitizers.
//
// The lanes of a block are fibres that run one at a time, each up to its next barrier. Stream 0 runs lanes and blocks
// in natural order, stream 1 in reversed order: a missing barrier gives wrong results in one of them. A barrier that
// not all lanes reach throws. With PYREC_SIMT_THREADS lanes are threads, so that ThreadSanitizer names the lines of a
// race; there a divergent barrier may hang.
//
// Rules for kernels, most of them because nothing else is defined here:
// - launch only by launch(); one-dimensional grids and blocks, blocks of a multiple of 32 lanes;
// - shared memory only by PYREC_SHARED; it holds NaN until written, and AddressSanitizer knows its ends;
// - every lane reaches every barrier and shuffle (guard the work, not the barrier), with the full mask;
// - only the barriers, shuffles and integer atomics below; pointers and numbers as arguments, by value.
#pragma once
#include <atomic>
#include <bit>
#include <concepts>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "common.hpp"

namespace pyrec::simt {

constexpr unsigned kWarp = 32;

struct Coordinate {
    unsigned x;
};

struct Config {
    unsigned grid, block;
    std::size_t shared_bytes;
    bool reversed;
};

// What the lanes of a block share.
struct BlockState {
    BlockState(const Config& config, unsigned number)
        : index{number},
          size{config.block},
          grid{config.grid},
          shared(std::make_unique_for_overwrite<unsigned char[]>(config.shared_bytes)),
          exchange(std::make_unique<std::uint64_t[]>(std::size_t{2} * config.block)) {
        std::memset(shared.get(), 0xFF, config.shared_bytes);  // NaN in float32 and float64
    }
    Coordinate index, size, grid;
    std::unique_ptr<unsigned char[]> shared;    // a heap block of its own
    std::unique_ptr<std::uint64_t[]> exchange;  // for shuffles, two a lane
};

struct LaneState {
    Coordinate index;
    BlockState* block;
    unsigned shuffles = 0;  // so far
};
inline thread_local LaneState* lane = nullptr;  // the one that runs

enum class Barrier : char { none, warp, block };

// Defined by each of the two variants.
void wait_at(Barrier barrier, const char* file, int line);
void run(const Config& config, const std::function<void()>& kernel);

}  // namespace pyrec::simt

#ifdef PYREC_SIMT_THREADS
#include "threads.hpp"
#else
#include "fibres.hpp"
#endif

namespace pyrec::simt {

template <class T>
concept Word = std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8);

// The value of the lane that source(own number in the warp) names.
template <Word T, class Source> T shuffle(unsigned mask, T value, const char* file, int line, Source source) {
    if (mask != 0xffffffffu) throw std::invalid_argument("shuffles must have the full mask");
    const unsigned own = lane->index.x % kWarp;
    // The two halves take turns: a lane that is at the next shuffle already does not write where others still read.
    const unsigned half = lane->shuffles++ % 2 * lane->block->size.x;
    std::uint64_t* warp = lane->block->exchange.get() + half + (lane->index.x - own);
    std::memcpy(&warp[own], &value, sizeof(T));
    wait_at(Barrier::warp, file, line);
    std::memcpy(&value, &warp[source(own)], sizeof(T));
    return value;
}

inline void check(const Config& c, Index grid) {
    if (grid < 0 || grid > 0x7fffffff) throw std::invalid_argument("a grid has at most 2^31 - 1 blocks");
    if (c.block == 0 || c.block > 1024 || c.block % kWarp != 0)
        throw std::invalid_argument("a block has a multiple of 32 threads, at most 1024");
    if (c.shared_bytes > 48 * 1024) throw std::invalid_argument("a block has at most 48 KB of shared memory");
}

}  // namespace pyrec::simt

namespace pyrec {

template <class... P>
void launch(void (*kernel)(P...), Index grid, int block, std::size_t shared_bytes, CUstream_st* stream,
            std::type_identity_t<P>... args) {
    const bool reversed = std::bit_cast<std::uintptr_t>(stream) == 1;
    const simt::Config config{static_cast<unsigned>(grid), static_cast<unsigned>(block), shared_bytes, reversed};
    simt::check(config, grid);
    simt::run(config, [=] { kernel(args...); });
}

}  // namespace pyrec

// The CUDA language, as far as the rules allow it.
#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define threadIdx (::pyrec::simt::lane->index)
#define blockIdx (::pyrec::simt::lane->block->index)
#define blockDim (::pyrec::simt::lane->block->size)
#define gridDim (::pyrec::simt::lane->block->grid)
#define PYREC_SHARED(T, name) T* const name = reinterpret_cast<T*>(::pyrec::simt::lane->block->shared.get())

inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    pyrec::simt::wait_at(pyrec::simt::Barrier::block, file, line);
}
inline void __syncwarp(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    pyrec::simt::wait_at(pyrec::simt::Barrier::warp, file, line);
}
template <class T>
T __shfl_sync(unsigned mask, T value, int source, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return pyrec::simt::shuffle(mask, value, file, line, [=](unsigned) { return static_cast<unsigned>(source) % 32; });
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return pyrec::simt::shuffle(mask, value, file, line,
                                [=](unsigned own) { return (own ^ static_cast<unsigned>(bits)) % 32; });
}
// Lanes without a lane that far up get their own value.
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, const char* file = __builtin_FILE(),
                   int line = __builtin_LINE()) {
    return pyrec::simt::shuffle(mask, value, file, line, [=](unsigned own) { return own + by < 32 ? own + by : own; });
}
// The integer types for which CUDA has it. Not for floats: the order of their sum would change from run to run.
template <class T>
    requires std::same_as<T, int> || std::same_as<T, unsigned> || std::same_as<T, unsigned long long>
T atomicAdd(T* address, std::type_identity_t<T> value) {
    return std::atomic_ref<T>(*address).fetch_add(value, std::memory_order_relaxed);
}
