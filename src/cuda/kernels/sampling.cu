#include "sampling.hpp"

#include "random.cuh"

namespace pyrec::cuda {
namespace {

__global__ void draw(Id* out, Index m, const double* threshold, const Id* alias, Index n, Stream stream,
                     std::uint64_t first) {
    fill(out, m, stream, first, [=](std::uint64_t bits) {
        const std::uint64_t count = static_cast<std::uint64_t>(n), i = high_product(bits, count);
        const double u = unit_interval<double>(bits * count);  // of the lower half of the product
        return u < threshold[i] ? static_cast<Id>(i) : alias[i];
    });
}

}  // namespace

void sample_alias(const Exec& ex, Id* out, Index m, const double* threshold, const Id* alias, Index n,
                  const Stream& stream, std::uint64_t first) {
    launch(draw, stream_grid(m), kBlock, 0, ex.stream, out, m, threshold, alias, n, stream, first);
}

}  // namespace pyrec::cuda
