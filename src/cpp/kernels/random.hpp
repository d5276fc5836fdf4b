// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
//
// A draw is a function of (seed, purpose, epoch, example, draw): no state, so any thread or device may ask for any part
// of a stream and gets the same numbers.
#pragma once
#include "common.hpp"

namespace pyrec {

// What a stream is for; the Python names are in kernels/random.py. Numbers are part of the format: append only.
struct Stream {
    std::uint64_t seed;
    std::uint32_t purpose;  // below 2^8
    std::uint32_t epoch;    // below 2^24
};

struct Words {
    std::uint32_t word[4];
};

PYREC_HOST_DEVICE inline Words philox(std::uint32_t k0, std::uint32_t k1, Words c) {
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t{0xD2511F53u} * c.word[0], b = std::uint64_t{0xCD9E8D57u} * c.word[2];
        c = Words{{static_cast<std::uint32_t>(b >> 32) ^ c.word[1] ^ k0, static_cast<std::uint32_t>(b),
                   static_cast<std::uint32_t>(a >> 32) ^ c.word[3] ^ k1, static_cast<std::uint32_t>(a)}};
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    return c;
}

// Four words of the stream: block `block` of the draws that belong to `example`.
PYREC_HOST_DEVICE inline Words random_words(const Stream& s, std::uint64_t example, std::uint32_t block) {
    const auto lo = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
    const auto hi = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
    return philox(lo(s.seed), hi(s.seed), Words{{block, lo(example), hi(example), s.purpose << 24 | s.epoch}});
}

// Element i of a stream is one half of the words of example i / 2.
PYREC_HOST_DEVICE inline std::uint64_t half_of(const Words& w, int half) {
    return std::uint64_t{w.word[2 * half + 1]} << 32 | w.word[2 * half];
}
PYREC_HOST_DEVICE inline std::uint64_t random_bits(const Stream& s, std::uint64_t i) {
    return half_of(random_words(s, i / 2, 0), static_cast<int>(i % 2));
}

// f(k, element first + k of the stream) for k in [begin, end), each example made once.
template <class F>
PYREC_HOST_DEVICE inline void for_random_bits(const Stream& s, std::uint64_t first, Index begin, Index end, F f) {
    for (Index k = begin; k < end;) {
        const std::uint64_t i = first + static_cast<std::uint64_t>(k);
        const Words w = random_words(s, i / 2, 0);
        for (int half = static_cast<int>(i % 2); half < 2 && k < end; ++half, ++k) f(k, half_of(w, half));
    }
}

// The higher half of a product: of random bits and n, uniform in [0, n) but for a bias of at most n / 2^64.
PYREC_HOST_DEVICE inline std::uint64_t high_product(std::uint64_t a, std::uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>(Wide{a} * b >> 64);
}

// In [0, 1), from 64 random bits, of which the highest 53 or 24 are used.
template <class T> PYREC_HOST_DEVICE inline T unit_interval(std::uint64_t bits) {
    if constexpr (sizeof(T) == 4)
        return static_cast<T>(bits >> 40) * T(0x1p-24);
    else
        return static_cast<T>(bits >> 11) * T(0x1p-53);
}

namespace PYREC_BACKEND {

// out (n): element first + i of the stream, two words each. Uniform in [0, 1).
template <class T> void random_uniform(const Exec& ex, T* out, Index n, const Stream& stream, std::uint64_t first);
// out (n): the elements of the stream at these positions, in any order.
template <class T> void random_uniform_at(const Exec& ex, T* out, const Index* position, Index n, const Stream& stream);
// Uniform in [0, high), by multiplication: a bias of at most high / 2^64.
void random_integers(const Exec& ex, Index* out, Index n, std::uint64_t high, const Stream& stream,
                     std::uint64_t first);

}  // namespace PYREC_BACKEND
}  // namespace pyrec
