// _detect: the instruction sets of this CPU. Compiled for the baseline, imported before any other module.
#include <pybind11/pybind11.h>

namespace {

// The highest x86-64 level that CPU and system support, 0 on other processors.
int simd_level() {
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4")) return 4;
    if (__builtin_cpu_supports("x86-64-v3")) return 3;
    if (__builtin_cpu_supports("x86-64-v2")) return 2;
    return 1;
#else
    return 0;
#endif
}

}  // namespace

PYBIND11_MODULE(_detect, m, pybind11::mod_gil_not_used()) { m.def("simd_level", &simd_level); }
