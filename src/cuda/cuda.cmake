# _cuda, where there is a CUDA compiler, and _simt, the same kernels on a test double for machines without a GPU.
# Neither needs a GPU or a driver to build or to import.

set(CUDA_PARTS losses_elements)    # further kernel files of a family

option(PYREC_SIMT "Build _simt, the CUDA kernels on a test double, for tests" OFF)

# Sets <result> to whether nvcc 12 or later works here with the C++ compiler of this build, and if not <reason>.
# A macro, because the language must be enabled at the top level.
macro(find_cuda result reason)
  include(CheckLanguage)
  set(${result} FALSE)
  find_package(CUDAToolkit QUIET)  # knows more places than the search for the compiler: /usr/local/cuda, CUDA_PATH, ...
  if(CUDAToolkit_NVCC_EXECUTABLE AND NOT DEFINED ENV{CUDACXX})
    set(ENV{CUDACXX} ${CUDAToolkit_NVCC_EXECUTABLE})
  endif()
  if(NOT CMAKE_CUDA_HOST_COMPILER AND NOT DEFINED ENV{CUDAHOSTCXX})
    set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
  endif()
  check_language(CUDA)  # compiles a test project apart from this one, so failing breaks nothing here
  if(NOT CMAKE_CUDA_COMPILER)
    set(${reason} "no CUDA compiler was found that works with ${CMAKE_CXX_COMPILER}")
  elseif(NOT TARGET CUDA::cudart_static)
    set(${reason} "the CUDA toolkit has no static runtime library (cudart_static)")
  else()
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
      execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-code OUTPUT_VARIABLE supported)
      string(REGEX MATCHALL "sm_(75|80|90)\n" architectures "${supported}")
      list(TRANSFORM architectures REPLACE "sm_(.+)\n" "\\1-real")
      list(APPEND architectures 90-virtual)  # compiled by the driver for whatever comes later
      set(CMAKE_CUDA_ARCHITECTURES ${architectures} CACHE STRING "GPUs to compile for")
    endif()
    enable_language(CUDA)
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12)
      set(${reason} "CUDA 12 or later is needed for C++20, found ${CMAKE_CUDA_COMPILER_VERSION}")
    else()
      set(${result} TRUE)
    endif()
  endif()
endmacro()

set(has_cuda FALSE)
if(PYREC_CUDA)
  find_cuda(has_cuda why_not)
  if(has_cuda)
    message(STATUS "CUDA module: ${CMAKE_CUDA_COMPILER} ${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}")
  elseif(PYREC_CUDA STREQUAL "AUTO")
    message(STATUS "CUDA module: not built, ${why_not}")
  else()
    message(FATAL_ERROR "PYREC_CUDA=${PYREC_CUDA}, but ${why_not}")
  endif()
endif()

# The shared bindings once more, for device arrays. They see neither CUDA nor the test double: compiled once for both.
if(has_cuda OR PYREC_SIMT)
  add_library(device INTERFACE)
  target_include_directories(device INTERFACE src/cpp/kernels src/cuda/kernels)
  target_compile_definitions(device INTERFACE PYREC_CUDA PYREC_BACKEND=cuda)
  add_library(device_bindings OBJECT src/cpp/bindings/cuda_arrays.cpp ${SHARED_BINDINGS})
  target_link_libraries(device_bindings PRIVATE options device pybind11::pybind11)
endif()

function(add_device_module name common)
  pybind11_add_module(${name} MODULE NO_EXTRAS src/cpp/bindings/module.cpp src/cpp/bindings/${common}.cpp
                      $<TARGET_OBJECTS:device_bindings> ${ARGN})
  target_compile_definitions(${name} PRIVATE PYREC_MODULE=${name})
  write_families(${name} ${common} ${SHARED_FAMILIES})
  target_link_libraries(${name} PRIVATE options device)
  if(NOT PYREC_SANITIZE AND CMAKE_BUILD_TYPE STREQUAL "Release")
    pybind11_strip(${name})
  endif()
  install(TARGETS ${name} LIBRARY DESTINATION pyrec_core)
endfunction()

if(has_cuda)
  set(CUDA_KERNELS ${SHARED_FAMILIES} ${SHARED_PARTS} ${CUDA_PARTS})
  list(TRANSFORM CUDA_KERNELS REPLACE "(.+)" "src/cuda/kernels/\\1.cu")
  add_library(cuda_kernels OBJECT ${CUDA_KERNELS})
  target_link_libraries(cuda_kernels PRIVATE device)
  target_compile_options(cuda_kernels PRIVATE -std=c++20 --expt-relaxed-constexpr)
  if(NOT CMAKE_CXX_COMPILER_FRONTEND_VARIANT STREQUAL "MSVC")
    target_compile_options(cuda_kernels PRIVATE -Xcompiler=-Wall,-Wextra,-Wshadow)
    if(PYREC_WERROR)
      target_compile_options(cuda_kernels PRIVATE --Werror=all-warnings -Xcompiler=-Werror)
    endif()
  endif()
  set_target_properties(cuda_kernels PROPERTIES CUDA_VISIBILITY_PRESET hidden)

  add_device_module(_cuda device $<TARGET_OBJECTS:cuda_kernels>)
  set_target_properties(_cuda PROPERTIES LINKER_LANGUAGE CXX)
  target_link_libraries(_cuda PRIVATE CUDA::cudart_static)
  # Our copy of the CUDA runtime must not mix with another one in the process.
  target_link_options(_cuda PRIVATE "LINKER:--exclude-libs,ALL")
endif()

if(PYREC_SIMT)
  foreach(kernels ${SHARED_FAMILIES} ${SHARED_PARTS} ${CUDA_PARTS})
    # By #include, as a file has one language in a build, and this one has CUDA.
    file(CONFIGURE OUTPUT _simt.d/${kernels}.cpp CONTENT "#define PYREC_SIMT\n#include \"${kernels}.cu\"\n")
    list(APPEND SIMT_KERNELS ${CMAKE_CURRENT_BINARY_DIR}/_simt.d/${kernels}.cpp)
  endforeach()
  add_device_module(_simt simt ${SIMT_KERNELS})
  target_include_directories(_simt PRIVATE src/cuda/simt)
  if(PYREC_SANITIZE STREQUAL "thread")
    target_compile_definitions(_simt PRIVATE PYREC_SIMT_THREADS)
  endif()
endif()
