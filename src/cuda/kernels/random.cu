#include "random.cuh"

namespace pyrec::cuda {
namespace {

template <class T> __global__ void uniform(T* out, Index n, Stream stream, std::uint64_t first) {
    fill(out, n, stream, first, [](std::uint64_t bits) { return unit_interval<T>(bits); });
}

template <class T> __global__ void uniform_at(T* out, const Index* position, Index n, Stream stream) {
    grid_stride(
        n, [=](Index i) { out[i] = unit_interval<T>(random_bits(stream, static_cast<std::uint64_t>(position[i]))); });
}

__global__ void integers(Index* out, Index n, std::uint64_t high, Stream stream, std::uint64_t first) {
    fill(out, n, stream, first, [=](std::uint64_t bits) { return static_cast<Index>(high_product(bits, high)); });
}

}  // namespace

template <class T> void random_uniform(const Exec& ex, T* out, Index n, const Stream& stream, std::uint64_t first) {
    launch(uniform<T>, stream_grid(n), kBlock, 0, ex.stream, out, n, stream, first);
}

template <class T>
void random_uniform_at(const Exec& ex, T* out, const Index* position, Index n, const Stream& stream) {
    launch(uniform_at<T>, grid_for(n), kBlock, 0, ex.stream, out, position, n, stream);
}

void random_integers(const Exec& ex, Index* out, Index n, std::uint64_t high, const Stream& stream,
                     std::uint64_t first) {
    launch(integers, stream_grid(n), kBlock, 0, ex.stream, out, n, high, stream, first);
}

#define INSTANTIATE(T)                                                                  \
    template void random_uniform(const Exec&, T*, Index, const Stream&, std::uint64_t); \
    template void random_uniform_at(const Exec&, T*, const Index*, Index, const Stream&);
PYREC_FLOATS(INSTANTIATE)

}  // namespace pyrec::cuda
