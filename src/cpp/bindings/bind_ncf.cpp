#include <pybind11/stl.h>

#include <vector>

#include "array.hpp"
#include "ncf.hpp"

namespace pyrec {
namespace {

using PYREC_BACKEND::PairNetwork;
using PYREC_BACKEND::TowerLayer;

// The arrays of a network, checked, in the order in which both functions are given them.
template <class T> struct Network {
    std::vector<TowerLayer<T>> layers;
    PairNetwork<T> net;
    Index kept = 0, params = 0;

    Network(const In<T>& users, const In<T>& items, const In<Id>& user, const In<Id>& item,
            const std::vector<In<T>>& weights, const std::vector<In<T>>& biases, const std::vector<In<T>>& masks,
            const In<T>& head, const In<T>& offset) {
        const auto [n_users, d] = dims<2>("users", users);
        const auto [n_items, d_items] = dims<2>("items", items);
        const auto [B] = dims<1>("user", user);
        require(d_items == d, "users and items must have the same columns");
        require_shape("item", item, {B});
        require_ids("user", user.data, B, n_users);
        require_ids("item", item.data, B, n_items);
        require(biases.size() == weights.size(), "biases must be as many as weights");
        require(masks.empty() || masks.size() == weights.size(), "masks must be as many as weights, or none");
        Index width = 0, foot = 0;
        for (std::size_t l = 0; l < weights.size(); ++l) {
            const auto [in, out] = dims<2>("weights", weights[l]);
            if (l == 0) width = foot = in;
            require(in == width, "weights must have a row for each column of those before");
            require_shape("biases", biases[l], {out});
            if (!masks.empty()) require_shape("masks", masks[l], {B, out});
            layers.push_back({weights[l].data, biases[l].data, masks.empty() ? nullptr : masks[l].data, in, out});
            width = out, kept += out, params += (in + 1) * out;
        }
        const Index g = d - foot / 2;
        require(foot % 2 == 0 && g >= 0, "the first weights must have an even number of rows, at most 2 d");
        require_shape("head", head, {g + width});
        require_shape("offset", offset, {1});
        params += g + width + 1;
        net = {
            users.data,  items.data, user.data, item.data, layers.data(), static_cast<Index>(layers.size()), head.data,
            offset.data, B,          d,         g};
    }
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;
};

template <class T>
void forward(const Exec& ex, Out<T> logits, Out<T> kept, In<T> users, In<T> items, In<Id> user, In<Id> item,
             const std::vector<In<T>>& weights, const std::vector<In<T>>& biases, const std::vector<In<T>>& masks,
             In<T> head, In<T> offset) {
    const Network<T> made(users, items, user, item, weights, biases, masks, head, offset);
    require_shape("logits", logits, {made.net.B});
    require_shape("kept", kept, {made.net.B, made.kept});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::ncf_forward(ex, logits.data, kept.data, made.net);
}

template <class T>
void backward(const Exec& ex, Out<T> d_users, Out<T> d_items, Out<T> d_params, In<T> d_logits, In<T> kept, In<T> users,
              In<T> items, In<Id> user, In<Id> item, const std::vector<In<T>>& weights,
              const std::vector<In<T>>& biases, const std::vector<In<T>>& masks, In<T> head, In<T> offset) {
    const Network<T> made(users, items, user, item, weights, biases, masks, head, offset);
    const Index B = made.net.B, d = made.net.d;
    require_shape("d_users", d_users, {B, d});
    require_shape("d_items", d_items, {B, d});
    require_shape("d_params", d_params, {made.params});
    require_shape("d_logits", d_logits, {B});
    require_shape("kept", kept, {B, made.kept});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::ncf_backward(ex, d_users.data, d_items.data, d_params.data, d_logits.data, kept.data, made.net);
}

}  // namespace

#define DEFINE(T)                      \
    m.def("ncf_forward", &forward<T>); \
    m.def("ncf_backward", &backward<T>);
void bind_ncf(py::module_& m) { PYREC_FLOATS(DEFINE) }

}  // namespace pyrec
