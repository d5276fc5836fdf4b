// _detect: the instruction sets of this CPU. Compiled for the baseline, imported before any other module.
#include <pybind11/pybind11.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace {

#if defined(__x86_64__)
using Word = unsigned int;

struct Leaf {
    Word eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Leaf cpuid(Word leaf) {
    Leaf r;
    if (!__get_cpuid_count(leaf, 0, &r.eax, &r.ebx, &r.ecx, &r.edx)) return {};
    return r;
}

constexpr bool has_all(Word word, std::initializer_list<int> bits) {
    for (int bit : bits)
        if (!(word >> bit & 1)) return false;
    return true;
}

// The registers that the system saves when it switches threads.
Word saved_state() {
    Word low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}
#endif

// The highest x86-64 level that CPU and system support, 0 on other processors. Asked of the CPU itself, since
// __builtin_cpu_supports knows the levels in new compilers only, and needs a library that clang-cl does not link.
int simd_level() {
#if defined(__x86_64__)
    const Leaf basic = cpuid(1), more = cpuid(7), extended = cpuid(0x80000001);
    const bool v2 = has_all(basic.ecx, {0, 9, 13, 19, 20, 23})  // SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT
                    && has_all(extended.ecx, {0});              // LAHF
    if (!v2) return 1;
    const bool v3 = has_all(basic.ecx, {12, 22, 27, 28, 29})  // FMA, MOVBE, OSXSAVE, AVX, F16C
                    && has_all(more.ebx, {3, 5, 8})           // BMI1, AVX2, BMI2
                    && has_all(extended.ecx, {5})             // LZCNT
                    && has_all(saved_state(), {1, 2});        // XMM, YMM
    if (!v3) return 2;
    const bool v4 = has_all(more.ebx, {16, 17, 28, 30, 31})  // AVX-512 F, DQ, CD, BW, VL
                    && has_all(saved_state(), {5, 6, 7});    // masks, ZMM
    return v4 ? 4 : 3;
#else
    return 0;
#endif
}

}  // namespace

PYBIND11_MODULE(_detect, m, pybind11::mod_gil_not_used()) { m.def("simd_level", &simd_level); }
