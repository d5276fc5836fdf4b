// Lists of ids, and the order of scored items, on a device.
#pragma once
#include <cmath>

#include "lists.hpp"

#if defined(PYREC_SIMT) || defined(__CUDACC__)
namespace pyrec::cuda {

// Higher score first, then smaller id; NaN after every number.
template <class T> __device__ bool better(T a, Id a_item, T b, Id b_item) {
    if (a > b) return true;
    if (a < b) return false;
    const bool a_nan = std::isnan(a), b_nan = std::isnan(b);
    return a_nan != b_nan ? b_nan : a_item < b_item;
}

// The first of an ascending list that is not below an id.
__device__ inline const Id* lower_bound(const Id* begin, const Id* end, Index id) {
    while (begin < end) {
        const Id* middle = begin + (end - begin) / 2;
        if (*middle < id)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

// Whether an ascending list holds an id.
__device__ inline bool holds(const Id* begin, const Id* end, Id id) {
    const Id* at = lower_bound(begin, end, id);
    return at < end && *at == id;
}

}  // namespace pyrec::cuda
#endif
