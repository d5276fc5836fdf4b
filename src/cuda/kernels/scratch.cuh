// Device memory for the length of a call. Kernel files only.
#pragma once
#include "launch.cuh"

#if defined(PYREC_SIMT) || defined(__CUDACC__)
#include <new>
#include <string>

namespace pyrec {

// An allocation that failed: in Python a MemoryError that says what, and begins as CuPy's do.
class OutOfMemory : public std::bad_alloc {
  public:
    explicit OutOfMemory(std::size_t bytes)
        : text_("Out of memory allocating " + std::to_string(bytes) + " bytes of a kernel's scratch memory") {}
    const char* what() const noexcept override { return text_.c_str(); }

  private:
    std::string text_;
};

#ifdef PYREC_SIMT
// A heap block of its own, whose ends AddressSanitizer knows; NaN in float32 and float64 until written.
struct StreamMemory {
    static void* take(std::size_t bytes, CUstream_st*) {
        if (bytes >> 40) throw OutOfMemory(bytes);  // more than any device has
        void* const memory = ::operator new(bytes);
        std::memset(memory, 0xFF, bytes);
        return memory;
    }
    static void give_back(void* memory, CUstream_st*) { ::operator delete(memory); }
};
#else
// From the device's memory pool, in the order of the stream: taking and giving back wait for nothing.
struct StreamMemory {
    static void* take(std::size_t bytes, CUstream_st* stream) {
        constexpr std::uint64_t enough = std::uint64_t{64} << 20;
        int device = 0;
        cudaMemPool_t pool{};
        std::uint64_t kept = 0;
        check(cudaGetDevice(&device), bytes);
        check(cudaDeviceGetDefaultMemPool(&pool, device), bytes);
        check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &kept), bytes);
        if (kept < enough) {  // otherwise each synchronisation would give all back to the driver
            kept = enough;
            check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &kept), bytes);
        }
        void* memory = nullptr;
        check(cudaMallocFromPoolAsync(&memory, bytes, pool, stream), bytes);
        return memory;
    }
    static void give_back(void* memory, CUstream_st* stream) { cudaFreeAsync(memory, stream); }

  private:
    static void check(cudaError_t error, std::size_t bytes) {
        if (error == cudaSuccess) return;
        cudaGetLastError();  // reported here, so not once more by whoever asks next
        if (error == cudaErrorMemoryAllocation) throw OutOfMemory(bytes);
        throw std::runtime_error(std::string("CUDA memory: ") + cudaGetErrorString(error));
    }
};
#endif

// n elements without values, for the kernels that are launched while it lives.
template <class T> class Scratch {
  public:
    Scratch(const Exec& ex, Index n) : stream_(ex.stream) {
        if (n > 0) data_ = static_cast<T*>(StreamMemory::take(static_cast<std::size_t>(n) * sizeof(T), stream_));
    }
    ~Scratch() {
        if (data_) StreamMemory::give_back(data_, stream_);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    T* data() const { return data_; }

  private:
    CUstream_st* stream_;
    T* data_ = nullptr;
};

}  // namespace pyrec
#endif
