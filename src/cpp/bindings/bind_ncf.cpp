#include <pybind11/stl.h>

#include <optional>
#include <vector>

#include "array.hpp"
#include "ncf.hpp"

namespace pyrec {
namespace {

#ifndef PYREC_CUDA

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

#else

using PYREC_BACKEND::LayerColumns;
using PYREC_BACKEND::TableRows;

template <class T> using Mask = std::optional<In<T>>;

// The rows of the pairs, of whose columns the first g are multiplied.
template <class T>
TableRows<T> table_rows(const In<T>& users, const In<T>& items, const In<Id>& user, const In<Id>& item, Index g) {
    const auto [n_users, d] = dims<2>("users", users);
    const auto [n_items, d_items] = dims<2>("items", items);
    const auto [B] = dims<1>("user", user);
    require(d_items == d, "users and items must have the same columns");
    require_shape("item", item, {B});
    require(g >= 0 && g <= d, "g must be at most the columns of users");
    return {users.data, items.data, user.data, item.data, B, d, g};
}

// A layer whose output is z, and the columns of kept that are its own.
template <class A, class K, class T>
LayerColumns layer_columns(const A& z, const K& kept, const Mask<T>& mask, Index column) {
    const auto [B, width] = dims<2>("z", z);
    const auto [rows, stride] = dims<2>("kept", kept);
    require(rows == B, "kept must have the rows of z");
    require(column >= 0 && column + width <= stride, "kept must have the columns of the layer");
    if (mask) require_shape("mask", *mask, {B, width});
    return {B, stride, column, width};
}

template <class T> const T* data_of(const Mask<T>& mask) { return mask ? mask->data : nullptr; }

template <class T>
void foot_of(const Exec& ex, Out<T> foot, In<T> users, In<T> items, In<Id> user, In<Id> item, Index g) {
    const TableRows<T> rows = table_rows(users, items, user, item, g);
    require_shape("foot", foot, {rows.B, 2 * (rows.d - g)});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::ncf_foot(ex, foot.data, rows);
}

template <class T>
void layer_forward_of(const Exec& ex, Out<T> z, Out<T> kept, In<T> bias, const Mask<T>& mask, Index column) {
    const LayerColumns at = layer_columns(z, kept, mask, column);
    require_shape("bias", bias, {at.width});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::ncf_layer_forward(ex, z.data, kept.data, bias.data, data_of(mask), at);
}

// How many columns of kept are z_L, whose weights in head follow the g of the products.
template <class T> Index top_of(const In<T>& head, const In<T>& kept, const TableRows<T>& rows) {
    const auto [weights] = dims<1>("head", head);
    const auto [B, stride] = dims<2>("kept", kept);
    require(B == rows.B, "kept must have a row for each pair");
    require(weights >= rows.g && weights - rows.g <= stride, "head must have a weight for each product and column");
    return weights - rows.g;
}

template <class T>
void logits_of(const Exec& ex, Out<T> logits, In<T> kept, In<T> head, In<T> offset, In<T> users, In<T> items,
               In<Id> user, In<Id> item, Index g) {
    const TableRows<T> rows = table_rows(users, items, user, item, g);
    const Index top = top_of(head, kept, rows);
    require_shape("logits", logits, {rows.B});
    require_shape("offset", offset, {1});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::ncf_logits(ex, logits.data, kept.data, head.data, offset.data, rows, kept.shape[1], top);
}

template <class T>
void top_backward_of(const Exec& ex, Out<T> d_z, Out<T> slopes, In<T> d_logits, In<T> head, In<T> kept,
                     const Mask<T>& mask, Index column) {
    const LayerColumns at = layer_columns(d_z, kept, mask, column);
    require_shape("slopes", slopes, {at.B, at.stride});
    require_shape("d_logits", d_logits, {at.B});
    require_shape("head", head, {at.width});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::ncf_top_backward(ex, d_z.data, slopes.data, d_logits.data, head.data, kept.data, data_of(mask), at);
}

template <class T>
void layer_backward_of(const Exec& ex, Out<T> d_z, Out<T> slopes, Out<T> z, In<T> kept, const Mask<T>& mask,
                       Index column) {
    const LayerColumns at = layer_columns(d_z, kept, mask, column);
    require_shape("slopes", slopes, {at.B, at.stride});
    require_shape("z", z, {at.B, at.width});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::ncf_layer_backward(ex, d_z.data, slopes.data, z.data, kept.data, data_of(mask), at);
}

template <class T>
void rows_backward_of(const Exec& ex, Out<T> d_users, Out<T> d_items, In<T> d_logits, In<T> d_foot, In<T> head,
                      In<T> users, In<T> items, In<Id> user, In<Id> item, Index g) {
    const TableRows<T> rows = table_rows(users, items, user, item, g);
    require_shape("d_users", d_users, {rows.B, rows.d});
    require_shape("d_items", d_items, {rows.B, rows.d});
    require_shape("d_logits", d_logits, {rows.B});
    require_shape("d_foot", d_foot, {rows.B, 2 * (rows.d - g)});
    require(dims<1>("head", head)[0] >= g, "head must have a weight for each product");
    py::gil_scoped_release nogil;
    PYREC_BACKEND::ncf_rows_backward(ex, d_users.data, d_items.data, d_logits.data, d_foot.data, head.data, rows);
}

template <class T>
void sums_of(const Exec& ex, Out<T> sums, In<T> slopes, In<T> d_logits, In<T> kept, In<T> head, In<T> users,
             In<T> items, In<Id> user, In<Id> item, Index g) {
    const TableRows<T> rows = table_rows(users, items, user, item, g);
    const Index top = top_of(head, kept, rows), stride = kept.shape[1];
    require_shape("sums", sums, {stride + g + top + 1});
    require_shape("slopes", slopes, {rows.B, stride});
    require_shape("d_logits", d_logits, {rows.B});
    py::gil_scoped_release nogil;
    PYREC_BACKEND::ncf_sums(ex, sums.data, slopes.data, d_logits.data, kept.data, rows, stride, top);
}

#endif

}  // namespace

#ifdef PYREC_CUDA
#define DEFINE(T)                                       \
    m.def("ncf_foot", &foot_of<T>);                     \
    m.def("ncf_layer_forward", &layer_forward_of<T>);   \
    m.def("ncf_logits", &logits_of<T>);                 \
    m.def("ncf_top_backward", &top_backward_of<T>);     \
    m.def("ncf_layer_backward", &layer_backward_of<T>); \
    m.def("ncf_rows_backward", &rows_backward_of<T>);   \
    m.def("ncf_sums", &sums_of<T>);
#else
#define DEFINE(T)                      \
    m.def("ncf_forward", &forward<T>); \
    m.def("ncf_backward", &backward<T>);
#endif
void bind_ncf(py::module_& m) { PYREC_FLOATS(DEFINE) }

}  // namespace pyrec
