// Lists of ids, one a row.
#pragma once
#include "common.hpp"

namespace pyrec {

// Lists of ids, ascending. No list: indptr null. One list for all rows: shared.
struct IdLists {
    const Index* indptr = nullptr;
    const Id* ids = nullptr;
    bool shared = false;
    PYREC_HOST_DEVICE explicit operator bool() const { return indptr != nullptr; }
    PYREC_HOST_DEVICE const Id* begin(Index row) const { return indptr ? ids + indptr[shared ? 0 : row] : nullptr; }
    PYREC_HOST_DEVICE const Id* end(Index row) const { return indptr ? ids + indptr[shared ? 1 : row + 1] : nullptr; }
};

}  // namespace pyrec
