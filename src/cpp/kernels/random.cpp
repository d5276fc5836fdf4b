#include "random.hpp"

namespace pyrec::cpu {
namespace {

// Element i of a stream has words 2 (i mod 2) and 2 (i mod 2) + 1 of example i / 2.
std::uint64_t bits_of(const Stream& stream, std::uint64_t i) {
    const Words w = random_words(stream, i / 2, 0);
    const std::uint32_t* half = w.word + 2 * (i % 2);
    return std::uint64_t{half[1]} << 32 | half[0];
}

}  // namespace

template <class T> void random_uniform(const Exec& ex, T* out, Index n, const Stream& stream, std::uint64_t first) {
    parallel_for(ex, n, 16384,
                 [=](Index i) { out[i] = unit_interval<T>(bits_of(stream, first + static_cast<std::uint64_t>(i))); });
}

template <class T>
void random_uniform_at(const Exec& ex, T* out, const Index* position, Index n, const Stream& stream) {
    parallel_for(ex, n, 16384,
                 [=](Index i) { out[i] = unit_interval<T>(bits_of(stream, static_cast<std::uint64_t>(position[i]))); });
}

void random_integers(const Exec& ex, Index* out, Index n, std::uint64_t high, const Stream& stream,
                     std::uint64_t first) {
    parallel_for(ex, n, 16384, [=](Index i) {
        const std::uint64_t bits = bits_of(stream, first + static_cast<std::uint64_t>(i));
        __extension__ using Wide = unsigned __int128;
        out[i] = static_cast<Index>(Wide{bits} * high >> 64);
    });
}

#define INSTANTIATE(T)                                                                  \
    template void random_uniform(const Exec&, T*, Index, const Stream&, std::uint64_t); \
    template void random_uniform_at(const Exec&, T*, const Index*, Index, const Stream&);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
