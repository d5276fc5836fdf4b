#include "random.hpp"

namespace pyrec::cpu {
template <class T> void random_uniform(const Exec& ex, T* out, Index n, const Stream& stream, std::uint64_t first) {
    parallel_for(ex, n, 16384, [=](Index i) {
        out[i] = unit_interval<T>(random_bits(stream, first + static_cast<std::uint64_t>(i)));
    });
}

void random_integers(const Exec& ex, Index* out, Index n, std::uint64_t high, const Stream& stream,
                     std::uint64_t first) {
    parallel_for(ex, n, 16384, [=](Index i) {
        const std::uint64_t bits = random_bits(stream, first + static_cast<std::uint64_t>(i));
        __extension__ using Wide = unsigned __int128;
        out[i] = static_cast<Index>(Wide{bits} * high >> 64);
    });
}

#define INSTANTIATE(T) template void random_uniform(const Exec&, T*, Index, const Stream&, std::uint64_t);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
