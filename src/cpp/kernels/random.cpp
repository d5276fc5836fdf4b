#include "random.hpp"

namespace pyrec::cpu {
template <class T> void random_uniform(const Exec& ex, T* out, Index n, const Stream& stream, std::uint64_t first) {
    parallel_ranges(ex, n, 16384, [=](Index begin, Index end) {
        for_random_bits(stream, first, begin, end,
                        [=](Index k, std::uint64_t bits) { out[k] = unit_interval<T>(bits); });
    });
}

void random_integers(const Exec& ex, Index* out, Index n, std::uint64_t high, const Stream& stream,
                     std::uint64_t first) {
    __extension__ using Wide = unsigned __int128;
    parallel_ranges(ex, n, 16384, [=](Index begin, Index end) {
        for_random_bits(stream, first, begin, end,
                        [=](Index k, std::uint64_t bits) { out[k] = static_cast<Index>(Wide{bits} * high >> 64); });
    });
}

#define INSTANTIATE(T) template void random_uniform(const Exec&, T*, Index, const Stream&, std::uint64_t);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
