// What the CUDA bindings share: whether there is a device, and if not, why.
#include <cuda_runtime_api.h>

#include "array.hpp"

namespace pyrec {

namespace {

std::string version_text(int version) {  // CUDA's 13020 is 13.2
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

int device_count() {
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

// Empty if CUDA can be used, else why not.
std::string cuda_status() {
    int count = 0, driver = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && count > 0) return "";
    cudaDriverGetVersion(&driver);
    if (driver == 0) return "no NVIDIA driver was found (libcuda.so.1 does not load)";
    if (error == cudaErrorInsufficientDriver)
        return "the NVIDIA driver supports CUDA " + version_text(driver) + ", this build needs CUDA " +
               version_text(CUDART_VERSION);
    if (error == cudaSuccess || error == cudaErrorNoDevice) return "the NVIDIA driver shows no GPU to this process";
    return std::string("CUDA does not start: ") + cudaGetErrorString(error);
}

}  // namespace

void bind_device(py::module_& m) {
    m.def("device_count", &device_count);
    m.def("cuda_status", &cuda_status);
}

}  // namespace pyrec
