"""Layers on fields and bags of ids: embeddings and first-order weights, their definitions and their ways back."""

import numpy as np
import pytest
from helpers import check_network, same_bits

from pyrec_core.layers import (
    Add,
    Bags,
    BiInteraction,
    Chain,
    Dense,
    EmbeddingBag,
    FieldEmbedding,
    FieldPairs,
    Fields,
    FirstOrder,
    Flatten,
    Layer,
    RowSum,
    Source,
)
from pyrec_core.optim import SGD

IDS = np.array([[1, 3, 1], [0, 1, 5], [4, 3, 3]], np.int32)  # 1 three times, twice in one example
VALUES = np.random.default_rng(0).normal(size=IDS.shape)


class OnFields(Layer):
    """Gives ids their values before a layer that takes `Fields`."""

    def __init__(self, layer, values):
        self.layer, self.values = layer, values

    def forward(self, x, *, train=False):
        return self.layer.forward(Fields(x, self.values), train=train)


class OnBags(OnFields):
    """The same for a layer that takes `Bags`."""

    def forward(self, x, *, train=False):
        return self.layer.forward(Bags(x, [0, 2, 2, len(x)], self.values), train=train)


def bag(**options):
    return EmbeddingBag(6, 3, Source(0), dtype=np.float64, **options)


def embedding(n_rows=6, d=4, **options):
    return FieldEmbedding(n_rows, d, Source(0), dtype=np.float64, **options)


def first_order(n_rows=6, dtype=np.float64):
    layer = FirstOrder(n_rows, dtype=dtype)
    layer.w.value[:], layer.b.value[:] = np.linspace(-1, 1, n_rows), 0.5
    return layer


LAYERS = {
    "embedding": lambda: embedding(std=1.0),
    "embedding, zero rows": lambda: embedding(zero_rows=[1, 5]),
    "pairs": lambda: FieldPairs(6, 4, Source(0), std=1.0, dtype=np.float64),
    "first order": first_order,
    "a network": lambda: Add(
        first_order(), Chain(embedding(), Flatten(), Dense(12, 3, Source(1), dtype=np.float64), RowSum())
    ),
}


@pytest.mark.parametrize("values", [None, VALUES], ids=["no values", "values"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_way_back_is_the_gradient(name, values):
    check_network(OnFields(LAYERS[name](), values), IDS, seed=0)
    empty = None if values is None else values[:0]
    check_network(OnFields(LAYERS[name](), empty), IDS[:0], seed=0)


@pytest.mark.parametrize("values", [None, VALUES.reshape(-1)], ids=["no weights", "weights"])
@pytest.mark.parametrize("mode", ["mean", "sum"])
def test_the_way_back_of_bags_is_the_gradient(mode, values):
    layer = bag(mode=mode, std=1.0)
    check_network(OnBags(layer, values), IDS.reshape(-1), seed=0)
    first, none, last = layer(Bags(IDS.reshape(-1), np.array([0, 2, 2, 9]), values))
    rows = layer.table.value[IDS.reshape(-1)] * (1 if values is None else values[:, None])
    np.testing.assert_allclose(first, rows[:2].sum(0) / (2 if mode == "mean" else 1), rtol=1e-13)
    np.testing.assert_allclose(last, rows[2:].sum(0) / (7 if mode == "mean" else 1), rtol=1e-13)
    assert not none.any()


@pytest.mark.parametrize("values", [None, VALUES], ids=["no values", "values"])
def test_pairs_are_an_embedding_and_bi_interaction(values):
    one, other = FieldPairs(6, 4, Source(0)), Chain(FieldEmbedding(6, 4, Source(0)), BiInteraction())
    x = Fields(IDS, None if values is None else values.astype("f4"))
    y, backprop = one.forward(x, train=True)
    wanted, other_backprop = other.forward(x, train=True)
    np.testing.assert_allclose(y, wanted, rtol=1e-5)
    d_y = np.cos(np.arange(y.size, dtype="f4")).reshape(y.shape)
    backprop(d_y)
    other_backprop(d_y)
    for layer in (one, other):
        SGD(learning_rate=1.0).step(layer.params())
    np.testing.assert_allclose(one.table.value, other.params()[0].value, rtol=1e-5, atol=1e-8)


def test_an_embedding_is_the_rows_times_the_values():
    layer = embedding(std=1.0)
    assert same_bits(layer(Fields(IDS, None)), layer.table.value[IDS])
    np.testing.assert_allclose(layer(Fields(IDS, VALUES)), layer.table.value[IDS] * VALUES[:, :, None], rtol=1e-15)
    assert layer.table.value.std() == pytest.approx(1.0, abs=0.4)
    assert np.abs(embedding(std=0.01).table.value).max() < 0.06


def test_zero_rows_start_at_zero_and_the_others_as_without():
    table, wanted = embedding(zero_rows=np.array([1, 5])).table.value, embedding().table.value.copy()
    wanted[[1, 5]] = 0.0
    assert same_bits(table, wanted)


def test_first_order_is_its_definition():
    layer = first_order()
    np.testing.assert_allclose(layer(Fields(IDS, None))[:, 0], layer.w.value[IDS].sum(1) + 0.5, rtol=1e-14)
    np.testing.assert_allclose(layer(Fields(IDS, VALUES))[:, 0], (layer.w.value[IDS] * VALUES).sum(1) + 0.5, rtol=1e-14)
    assert not FirstOrder(3).w.value.any()
    assert not FirstOrder(3).b.value.any()


@pytest.mark.parametrize(
    "make", [lambda dtype: FieldEmbedding(6, 4, Source(0), dtype=dtype), lambda dtype: first_order(dtype=dtype)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_are_rows_and_keep_the_dtype(make, dtype):
    layer = make(dtype)
    y, backprop = layer.forward(Fields(IDS.astype(np.int64), VALUES.astype(dtype)), train=True)
    assert y.dtype == dtype
    assert backprop(np.ones_like(y)) is None
    table = layer.params()[0]
    assert table.grad is None
    ((ids, rows, _),) = table.rows
    np.testing.assert_array_equal(np.unique(ids), np.unique(IDS))
    assert rows.dtype == dtype
    before = table.value.copy()
    SGD(learning_rate=1.0).step(layer.params())
    assert same_bits(before[2], table.value[2])  # no example has it
    assert (before[[0, 1, 3, 4, 5]] != table.value[[0, 1, 3, 4, 5]]).all()


def test_examples_are_taken():
    one, other = Fields(IDS, VALUES).take(np.array([2, 0])), Fields(IDS, None).take([1])
    np.testing.assert_array_equal(one.ids, IDS[[2, 0]])
    np.testing.assert_array_equal(one.values, VALUES[[2, 0]])
    np.testing.assert_array_equal(other.ids, IDS[[1]])
    assert other.values is None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: embedding()(IDS), TypeError, "x must be Fields, got ndarray"),
        (lambda: embedding()(Fields(IDS[0], None)), ValueError, r"ids must be 2-D, got shape \(3,\)"),
        (lambda: embedding()(Fields(VALUES, None)), TypeError, "ids must be integers, got float64"),
        (lambda: embedding(5)(Fields(IDS, None)), ValueError, r"ids must hold row ids in 0..4, got 1 unknown: 5"),
        (lambda: first_order()(Fields(IDS - 1, None)), ValueError, r"ids must hold row ids in 0..5, got 1 unknown: -1"),
        (lambda: first_order()(Fields(IDS, VALUES[:2])), ValueError, r"values must have shape \(3, 3\), got \(2, 3\)"),
        (lambda: embedding()(Fields(IDS, VALUES.astype("f4"))), TypeError, "values must be float64, got float32"),
        (lambda: embedding(zero_rows=[6]), ValueError, r"zero_rows must hold row ids in 0..5, got 1 unknown: 6"),
        (lambda: embedding(0), ValueError, "n_rows must be >= 1, got 0"),
        (lambda: embedding(d=0), ValueError, "d must be >= 1, got 0"),
        (lambda: embedding(std=-1.0), ValueError, "std must be >= 0.0, got -1.0"),
        (lambda: FirstOrder(0), ValueError, "n_rows must be >= 1, got 0"),
        (lambda: FirstOrder(3, dtype=int), TypeError, "dtype must be float32 or float64, got int64"),
        (
            lambda: embedding().forward(Fields(IDS, None))[1](np.ones((3, 3))),
            ValueError,
            r"d_y must have shape \(3, 3, 4\), got \(3, 3\)",
        ),
        (
            lambda: first_order().forward(Fields(IDS, None))[1](np.ones(3)),
            ValueError,
            r"d_y must have shape \(3, 1\), got \(3,\)",
        ),
        (
            lambda: FieldPairs(6, 2, Source(0)).forward(Fields(IDS, None))[1](np.ones((3, 1), "f4")),
            ValueError,
            r"d_y must have shape \(3, 2\), got \(3, 1\)",
        ),
        (lambda: bag()(IDS), TypeError, "x must be Bags, got ndarray"),
        (lambda: bag()(Bags([0, 6], [0, 2])), ValueError, "ids must hold row ids in 0..5, got 1 unknown: 6"),
        (lambda: bag()(Bags([0, 1], [0, 1])), ValueError, "offsets must be 1-D and rise from 0 to 2"),
        (lambda: bag().forward(Bags([0], [0, 1]))[1](np.ones(3)), ValueError, r"d_y must have shape \(1, 3\)"),
        (lambda: bag(mode="max"), ValueError, "mode must be one of 'sum', 'mean', got 'max'"),
        (lambda: Flatten()(np.ones((2, 3))), ValueError, r"x must be 3-D, got shape \(2, 3\)"),
        (lambda: Flatten()(IDS), TypeError, "x must be float32 or float64, got int32"),
        (lambda: RowSum()(np.ones(3)), ValueError, r"x must be 2-D, got shape \(3,\)"),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
