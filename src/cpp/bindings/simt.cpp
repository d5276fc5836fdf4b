// _simt: the CUDA kernels on memory of the CPU, run by the test double in src/cuda/simt. Its streams are orders of
// lanes.
#include "array.hpp"

namespace pyrec {

void bind_simt(py::module_& m) {
    m.attr("natural") = 0;
    m.attr("reversed") = 1;
    m.def("cuda_status", [] { return ""; });  // it can be used
}

}  // namespace pyrec
