// One module: _cpu_v2, _cpu_v3, _cpu_v4 (or _cpu) and _cuda. The build names it and lists its families.
#include "array.hpp"
#include "families.hpp"

#define DECLARE(family) void bind_##family(py::module_& m);
#define BIND(family) bind_##family(m);

namespace pyrec {
PYREC_FAMILIES(DECLARE)
}

PYBIND11_MODULE(PYREC_MODULE, m, py::mod_gil_not_used()) {
    using namespace pyrec;
#ifndef PYREC_CUDA
    // The error that the signal handler raised is set already.
    py::register_local_exception_translator([](std::exception_ptr p) {
        try {
            if (p) std::rethrow_exception(p);
        } catch (const Interrupted&) {}
    });
#endif
    PYREC_FAMILIES(BIND)
}
