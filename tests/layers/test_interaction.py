"""Layers that cross fields: each against its definition written with loops, and its way back."""

from itertools import combinations

import numpy as np
import pytest
from helpers import check_network, same_bits

from pyrec_core._backend import use_threads
from pyrec_core.layers import (
    CIN,
    AttentionPooling,
    BiInteraction,
    Chain,
    Cross,
    Dense,
    Dropout,
    Flatten,
    InnerProduct,
    OuterProduct,
    PairwiseSum,
    RowSum,
    Source,
)


def input_of(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def with_biases(layer):
    """The layer with all parameters that start at 0 at other values."""
    for seed, param in enumerate(layer.params()):
        if not param.value.any():
            param.value[:] = input_of(param.value.shape, seed)
    return layer


def cin(maps, n_fields=3, **options):
    return with_biases(CIN(n_fields, maps, Source(0), dtype=np.float64, **options))


def cross(width, n_layers):
    return with_biases(Cross(width, n_layers, Source(0), dtype=np.float64))


def attention(d, **options):
    return with_biases(AttentionPooling(d, 4, Source(0), dtype=np.float64, **options))


def outer(d, n_out):
    return OuterProduct(d, n_out, Source(0), dtype=np.float64)


X = input_of((4, 3, 5))
NETWORKS = {
    "pairwise sum": (PairwiseSum, X),
    "bi-interaction": (BiInteraction, X),
    "inner product": (InnerProduct, X),
    "inner product, one field": (InnerProduct, X[:, :1]),
    "outer product": (lambda: outer(5, 3), X),
    "attention": (lambda: attention(5), X),
    "attention, dropout": (lambda: attention(5, dropout=0.4), X),
    "attention, one field": (lambda: attention(5), X[:, :1]),
    "flatten": (Flatten, X),
    "row sum": (RowSum, X[0]),
    "cin": (lambda: cin((4, 2, 3)), X),
    "cin, relu": (lambda: cin((4, 2, 3), activation="relu"), X),
    "cin, one layer": (lambda: cin((3,)), X),
    "cin, halves": (lambda: cin((4, 2, 3), split_half=True), X),
    "cin, halves, relu": (lambda: cin((6, 4), split_half=True, activation="relu"), X),
    "cross": (lambda: cross(5, 3), X[0]),
    "cross, no layer": (lambda: cross(5, 0), X[0]),
    "a network": (
        lambda: Chain(BiInteraction(), Dropout(0.3, Source(1)), Dense(5, 4, Source(2), dtype=np.float64), RowSum()), X,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_the_way_back_is_the_gradient(name):
    make, x = NETWORKS[name]
    check_network(make(), x.copy(), seed=0)
    check_network(make(), x[:0].copy(), seed=0)


def test_pairs_are_their_definitions():
    pairs = list(combinations(range(3), 2))
    products = np.stack([X[:, i] * X[:, j] for i, j in pairs], axis=1)
    np.testing.assert_allclose(PairwiseSum()(X), products.sum((1, 2))[:, None], rtol=1e-12)
    np.testing.assert_allclose(BiInteraction()(X), products.sum(1), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(InnerProduct()(X), products.sum(2), rtol=1e-12, atol=1e-14)


def test_an_outer_product_is_its_definition():
    layer = outer(5, 3)
    for x, y in zip(X, layer(X), strict=True):
        s = x.sum(0)
        np.testing.assert_allclose(y, [s @ w @ s for w in layer.w.value], rtol=1e-12)


def test_attention_pooling_is_its_definition():
    layer = attention(5)
    w, b, h = (p.value for p in layer.params())
    for x, y in zip(X, layer(X), strict=True):
        products = [x[i] * x[j] for i, j in combinations(range(3), 2)]
        scores = np.exp([np.maximum(p @ w + b, 0) @ h[:, 0] for p in products])
        wanted = sum(a * p for a, p in zip(scores / scores.sum(), products, strict=True))
        np.testing.assert_allclose(y, wanted, rtol=1e-12)


def test_attention_drops_its_output_in_training_only():
    layer, plain = attention(5, dropout=0.5), attention(5)
    y, _ = layer.forward(X, train=True)
    assert same_bits(layer(X), plain(X))
    kept = y != 0
    assert 0 < kept.sum() < kept.size
    np.testing.assert_allclose(y[kept], 2 * plain(X)[kept])


def reference_cin(layer, x, maps, relu, split):
    hidden, outputs = x, []
    for k, size in enumerate(maps):
        products = np.einsum("bhd,bid->bhid", hidden, x)
        a = np.einsum("ohi,bhid->bod", layer.w[k].value, products) + layer.b[k].value[:, None]
        a = np.maximum(a, 0) if relu else a
        last = k == len(maps) - 1
        half = size // 2 if split and not last else size
        outputs.append(a[:, :half].sum(2))
        hidden = a[:, half:] if split else a
    return np.concatenate(outputs, axis=1)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(("split", "maps"), [(False, (4, 3, 5)), (True, (4, 6, 5)), (False, (2,)), (True, (3,))])
def test_cin_is_its_definition(relu, split, maps):
    layer = cin(maps, activation="relu" if relu else "identity", split_half=split)
    wanted = reference_cin(layer, X, maps, relu, split)
    np.testing.assert_allclose(layer(X), wanted, rtol=1e-10, atol=1e-11)
    assert layer.n_out == wanted.shape[1]


@pytest.mark.parametrize("n_layers", [0, 1, 4])
def test_cross_is_its_definition(n_layers):
    layer, x = cross(6, n_layers), input_of((5, 6))
    wanted = x
    for w, b in zip(layer.w.value, layer.b.value, strict=True):
        wanted = x * (wanted @ w)[:, None] + b + wanted
    np.testing.assert_allclose(layer(x), wanted, rtol=1e-11, atol=1e-11)


def in_float32():
    source, x = Source(0), input_of((300, 6, 8)).astype("f4")
    layers = [PairwiseSum(), BiInteraction(), InnerProduct(), OuterProduct(8, 5, source),
              AttentionPooling(8, 4, source, dropout=0.2), CIN(6, (8, 4), source, split_half=True),
              Chain(Flatten(), Cross(48, 2, source))]  # fmt: skip
    for layer in layers:
        y, backprop = layer.forward(x, train=True)
        yield from (y, backprop(np.cos(np.arange(y.size, dtype="f4")).reshape(y.shape)))
        yield from (p.grad for p in layer.params())


def test_float32_stays_and_threads_do_not_matter():
    runs = []
    for n_threads in (1, 2, 3, 8):
        with use_threads(n_threads):
            runs.append(list(in_float32()))
    assert {a.dtype for a in runs[0]} == {np.dtype("f4")}
    assert all(same_bits(a, b) for other in runs[1:] for a, b in zip(runs[0], other, strict=True))


def test_parameters_have_names():
    assert list(attention(5, dropout=0.1).named_params()) == ["attention.0.w", "attention.0.b", "attention.2.w"]
    assert list(cin((2, 3)).named_params()) == ["w.0", "w.1", "b.0", "b.1"]
    assert list(cross(3, 2).named_params()) == ["w", "b"]
    assert [p.value.shape for p in cross(3, 2).params()] == [(2, 3), (2, 3)]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        *(
            (lambda layer=layer: layer()(X[0]), ValueError, r"x must be 3-D, got shape \(3, 5\)")
            for layer in (
                PairwiseSum,
                BiInteraction,
                InnerProduct,
                lambda: outer(5, 2),
                lambda: attention(5),
                lambda: cin((2,)),
            )
        ),
        (lambda: PairwiseSum()(X.astype(int)), TypeError, "x must be float32 or float64, got int64"),
        (lambda: PairwiseSum().forward(X)[1](np.ones(4)), ValueError, r"d_y must have shape \(4, 1\), got \(4,\)"),
        (lambda: BiInteraction().forward(X)[1](np.ones(4)), ValueError, r"d_y must have shape \(4, 5\), got \(4,\)"),
        (lambda: InnerProduct().forward(X)[1](np.ones(4)), ValueError, r"d_y must have shape \(4, 3\), got \(4,\)"),
        (lambda: outer(4, 2)(X), ValueError, r"x must have shape \(4, 3, 4\), got \(4, 3, 5\)"),
        (lambda: outer(5, 2)(X.astype("f4")), TypeError, "x must be float64, got float32"),
        (lambda: outer(0, 2), ValueError, "d must be >= 1, got 0"),
        (lambda: outer(2, 0), ValueError, "n_out must be >= 1, got 0"),
        (lambda: attention(4)(X), ValueError, r"x must have shape \(4, 3, 4\), got \(4, 3, 5\)"),
        (lambda: attention(5).forward(X)[1](np.ones(4)), ValueError, r"d_y must have shape \(4, 5\), got \(4,\)"),
        (lambda: attention(5, dropout=1.0), ValueError, "rate must be < 1, got 1.0"),
        (lambda: AttentionPooling(2, 0, Source(0)), ValueError, "attention_dim must be >= 1, got 0"),
        (lambda: cin((2,))(X[:, :2]), ValueError, r"x must have shape \(4, 3, 5\), got \(4, 2, 5\)"),
        (lambda: cin((2,))(X.astype("f4")), TypeError, "x must be float64, got float32"),
        (lambda: cin(()), ValueError, "maps must name at least one layer, got none"),
        (lambda: cin((2, 0)), ValueError, r"maps\[1\] must be >= 1, got 0"),
        (lambda: cin((3, 2), split_half=True), ValueError, "maps must be even in all layers but the last .*, got 3"),
        (lambda: cin((2,), activation="tanh"), ValueError, "activation must be one of 'identity', 'relu', got 'tanh'"),
        (lambda: cin((2,), split_half=1), TypeError, "split_half must be True or False, got 1"),
        (lambda: CIN(0, (2,), Source(0)), ValueError, "n_fields must be >= 1, got 0"),
        (lambda: cross(4, 2)(X[0]), ValueError, r"x must have shape \(..., 4\), got \(3, 5\)"),
        (lambda: cross(5, 2)(X), ValueError, r"x must be 2-D, got shape \(4, 3, 5\)"),
        (lambda: cross(5, -1), ValueError, "n_layers must be >= 0, got -1"),
        (lambda: cross(0, 1), ValueError, "width must be >= 1, got 0"),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
