#include "array.hpp"
#include "sampling.hpp"

namespace pyrec {
namespace {

#ifndef PYREC_CUDA
void alias_table(Out<double> threshold, Out<Id> alias, In<double> weights) {
    const Index n = weights.size();
    require_shape("threshold", threshold, {n});
    require_shape("alias", alias, {n});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::alias_table(threshold.data, alias.data, weights.data, n);
}
#endif

void sample_alias(const Exec& ex, Out<Id> out, In<double> threshold, In<Id> alias, std::uint64_t seed,
                  std::uint32_t purpose, std::uint32_t epoch, std::uint64_t first) {
    const Index n = threshold.size();
    require(n >= 1, "threshold must not be empty");
    require_shape("alias", alias, {n});
    require_ids("alias", alias.data, n, n);
    const Stream stream = stream_of(seed, purpose, epoch);
    py::gil_scoped_release nogil;
    PYREC_BACKEND::sample_alias(ex, out.data, out.size(), threshold.data, alias.data, n, stream, first);
}

}  // namespace

void bind_sampling(py::module_& m) {
#ifndef PYREC_CUDA
    m.def("alias_table", &alias_table);
#endif
    m.def("sample_alias", &sample_alias);
}

}  // namespace pyrec
