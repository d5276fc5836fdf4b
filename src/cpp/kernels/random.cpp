#include "random.hpp"

namespace pyrec::cpu {

template <class T> void random_uniform(const Exec& ex, T* out, Index n, const Stream& stream, std::uint64_t first) {
    parallel_ranges(ex, n, 16384, [=](Index begin, Index end) {
        for_random_bits(stream, first, begin, end,
                        [=](Index k, std::uint64_t bits) { out[k] = unit_interval<T>(bits); });
    });
}

template <class T>
void random_uniform_at(const Exec& ex, T* out, const Index* position, Index n, const Stream& stream) {
    parallel_for(ex, n, 16384, [=](Index i) {
        out[i] = unit_interval<T>(random_bits(stream, static_cast<std::uint64_t>(position[i])));
    });
}

void random_integers(const Exec& ex, Index* out, Index n, std::uint64_t high, const Stream& stream,
                     std::uint64_t first) {
    parallel_ranges(ex, n, 16384, [=](Index begin, Index end) {
        for_random_bits(stream, first, begin, end,
                        [=](Index k, std::uint64_t bits) { out[k] = static_cast<Index>(high_product(bits, high)); });
    });
}

#define INSTANTIATE(T)                                                                  \
    template void random_uniform(const Exec&, T*, Index, const Stream&, std::uint64_t); \
    template void random_uniform_at(const Exec&, T*, const Index*, Index, const Stream&);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cpu
