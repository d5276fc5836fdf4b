// Kernels right and wrong on purpose, to test the test double of a GPU. Usage: planted <kernel> <stream>; prints
// results.
#include <cstdio>
#include <exception>
#include <map>
#include <vector>

#include "interaction.cu"
#undef INSTANTIATE
#include "interaction_attention.cu"
#undef INSTANTIATE
#include "interaction_inner.cu"

using namespace pyrec;

namespace {

constexpr unsigned kFull = 0xffffffffu;
constexpr int kLanes = 64;
constexpr Index kBlocks = 3;

// out[i] = x[i - 1] within a block, through shared memory.
template <bool synchronised> __global__ void neighbour(float* out, const float* x, int overrun) {
    PYREC_SHARED(float, shared);
    const unsigned t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    shared[static_cast<int>(t) + overrun] = x[i];
    if (synchronised) __syncthreads();
    out[i] = t == 0 ? 0.0f : shared[t - 1];
}

__global__ void out_of_global_bounds(float* out, const float* x) {
    grid_stride(kBlocks * kLanes + 1, [=](Index i) { out[i] = x[i % kLanes]; });
}

// Every thread takes several elements.
__global__ void doubled(float* out, const float* x) {
    grid_stride(kBlocks * kLanes, [=](Index i) { out[i] = 2 * x[i]; });
}

// The first thread of each block writes to one place.
__global__ void blocks_race(float* out, const float* x) {
    if (threadIdx.x == 0) out[0] = x[blockIdx.x];
}

__global__ void early_return(float* out, const float* x) {
    if (threadIdx.x >= 7) return;
    __syncthreads();
    out[threadIdx.x] = x[threadIdx.x];
}

__global__ void two_places(float* out, const float* x) {
    if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
    out[threadIdx.x] = x[threadIdx.x];
}

__global__ void half_a_warp(float* out, const float* x) {
    if (threadIdx.x % 32 < 16) out[threadIdx.x] = __shfl_xor_sync(kFull, x[threadIdx.x], 1);
}

__global__ void half_a_mask(float* out, const float* x) {
    out[threadIdx.x] = __shfl_xor_sync(0xffffu, x[threadIdx.x], 1);
}

// Sums of each warp by exchange and by shifts, the warp's last element, and the number of all threads.
__global__ void warp_sums(float* out, const float* x, int* count) {
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    float by_exchange = x[i];
    double by_shift = x[i];
    for (int bit = 16; bit > 0; bit /= 2) by_exchange += __shfl_xor_sync(kFull, by_exchange, bit);
    for (unsigned by = 16; by > 0; by /= 2) by_shift += __shfl_down_sync(kFull, by_shift, by);
    const float last = __shfl_sync(kFull, x[i], 31);
    __syncwarp();
    atomicAdd(count, 1);
    float* mine = out + i / 32 * 3;
    if (threadIdx.x % 32 == 0) mine[0] = by_exchange, mine[1] = static_cast<float>(by_shift), mine[2] = last;
}

}  // namespace

int main(int, char** argv) try {
    const std::string name = argv[1];
    CUstream_st* stream = reinterpret_cast<CUstream_st*>(std::stoul(argv[2]));
    const Index n = kBlocks * kLanes;
    std::vector<float> x(n), out(n, -1);
    for (Index i = 0; i < n; ++i) x[static_cast<std::size_t>(i)] = static_cast<float>(i);
    const std::size_t bytes = kLanes * sizeof(float);
    const std::map<std::string, void (*)(float*, const float*)> plain = {
        {"out_of_global_bounds", out_of_global_bounds},
        {"early_return", early_return},
        {"two_places", two_places},
        {"half_a_warp", half_a_warp},
        {"half_a_mask", half_a_mask},
    };
    if (name == "neighbour") {
        launch(neighbour<true>, kBlocks, kLanes, bytes, stream, out.data(), x.data(), 0);
    } else if (name == "missing_barrier") {
        launch(neighbour<false>, kBlocks, kLanes, bytes, stream, out.data(), x.data(), 0);
    } else if (name == "out_of_shared_bounds") {
        launch(neighbour<true>, kBlocks, kLanes, bytes, stream, out.data(), x.data(), 1);
    } else if (name == "doubled") {
        launch(doubled, 1, 32, 0, stream, out.data(), x.data());
    } else if (name == "blocks_race") {
        launch(doubled, 2, kLanes, 0, stream, out.data(), x.data());  // the threads are there already
        launch(blocks_race, 2, kLanes, 0, stream, out.data(), x.data());
    } else if (name == "odd_block") {
        launch(doubled, 1, 33, 0, stream, out.data(), x.data());
    } else if (name == "empty_grid") {
        launch(doubled, 0, 32, 0, stream, out.data(), x.data());
    } else if (name == "warp_sums") {
        int count = 0;
        launch(warp_sums, kBlocks, kLanes, 0, stream, out.data(), x.data(), &count);
        out.resize(static_cast<std::size_t>(n / 32 * 3));
        out.push_back(static_cast<float>(count));
    } else if (name == "families") {  // several blocks each; D is no multiple of a warp
        const Index B = 40, F = 3, D = 21;
        std::vector<float> emb(B * F * D, 1), d_emb(emb);
        out.assign(B * D, 0);
        cuda::bi_interaction_forward<float>({stream}, out.data(), emb.data(), B, F, D);
        cuda::bi_interaction_backward<float>({stream}, d_emb.data(), out.data(), emb.data(), B, F, D);
        out.insert(out.end(), d_emb.begin(), d_emb.end());
        std::vector<float> products(B * F);
        cuda::inner_products_forward<float>({stream}, products.data(), emb.data(), B, F, D);
        out.insert(out.end(), products.begin(), products.end());
        cuda::inner_products_backward<float>({stream}, d_emb.data(), products.data(), emb.data(), B, F, D);
        out.insert(out.end(), d_emb.begin(), d_emb.end());
        const Index few = 5, A = 7, runs = 2;
        std::vector<float> w(A * D, 0.5f), b(A), pooled(few * D), log_sum(few), d_w(w), d_b(b), d_h(b);
        std::vector<double> sums(runs * A * (D + 2));
        const cuda::PairScore<float> score{w.data(), b.data(), b.data(), A, D};
        cuda::attention_pooling_forward<float>({stream}, pooled.data(), log_sum.data(), emb.data(), score, few, F);
        cuda::attention_pooling_backward<float>({stream}, d_emb.data(), d_w.data(), d_b.data(), d_h.data(), sums.data(),
                                                emb.data(), pooled.data(), log_sum.data(), emb.data(), score, few, F,
                                                runs);
        out.insert(out.end(), pooled.begin(), pooled.end());
        out.insert(out.end(), d_emb.begin(), d_emb.begin() + few * F * D);
    } else {
        launch(plain.at(name), 1, kLanes, 0, stream, out.data(), x.data());
    }
    for (const float value : out) std::printf("%g\n", static_cast<double>(value));
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
}
