"""Fields with several ids in an example, and crosses: their definitions and their ways back."""

import numpy as np
import pytest
from helpers import check_network, same_bits

from pyrec_core.layers import CrossWeights, FieldEmbedding, FieldPairs, Fields, FirstOrder, Layer, Source
from pyrec_core.optim import SGD

# Three examples of three fields: the second field has 2, 0 and 3 ids, with a repetition
IDS = np.array([1, 3, 1, 5, 0, 5, 4, 2, 2, 3, 3], np.int32)
OFFSETS = np.array([[0, 1, 3, 4], [4, 5, 5, 6], [6, 7, 10, 11]])
VALUES = np.random.default_rng(0).normal(size=IDS.shape)
LAYERS = {
    "embedding": lambda dtype="f8": FieldEmbedding(6, 3, Source(0), std=1.0, dtype=dtype),
    "pairs": lambda dtype="f8": FieldPairs(6, 3, Source(0), std=1.0, dtype=dtype),
    "first order": lambda dtype="f8": _first_order(dtype),
}
each_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


def _first_order(dtype):
    layer = FirstOrder(6, dtype=dtype)
    layer.w.value[:] = np.linspace(-1, 1, 6)
    return layer


class On(Layer):
    """Gives ids to a layer as a part of `Fields`."""

    def __init__(self, layer, make):
        self.layer, self.make = layer, make

    def forward(self, x, *, train=False):
        return self.layer.forward(self.make(x), train=train)


@each_layer
@pytest.mark.parametrize("values", [None, VALUES], ids=["no values", "values"])
def test_the_way_back_is_the_gradient(make, values):
    check_network(On(make(), lambda ids: Fields(ids, values, OFFSETS)), IDS, seed=0)
    nothing = Fields(IDS, values, OFFSETS).take(np.arange(0))
    check_network(On(make(), lambda ids: nothing._replace(ids=ids)), IDS[:0], seed=0)


def test_the_way_back_of_crosses_is_the_gradient():
    crosses = np.array([[1, 3], [0, 0], [4, 1]], np.int32)
    layer = CrossWeights(5, dtype="f8")
    layer.w.value[:] = np.arange(5.0)
    check_network(On(layer, lambda ids: Fields(np.zeros((3, 1), int), None, None, ids)), crosses, seed=0)
    assert layer(Fields(crosses, None, crosses=crosses))[:, 0].tolist() == [4.0, 0.0, 5.0]


@pytest.mark.parametrize("values", [None, VALUES], ids=["no values", "values"])
def test_a_field_is_the_sum_of_its_ids(values):
    embedding, weights = LAYERS["embedding"](), LAYERS["first order"]()
    x = Fields(IDS, values, OFFSETS)
    rows = embedding.table.value[IDS] * (1.0 if values is None else values[:, None])
    linear = weights.w.value[IDS] * (1.0 if values is None else values)
    for b, offsets in enumerate(OFFSETS):
        for j in range(3):
            wanted = rows[offsets[j] : offsets[j + 1]].sum(axis=0)
            np.testing.assert_allclose(embedding(x)[b, j], wanted, rtol=1e-13)
        np.testing.assert_allclose(weights(x)[b], linear[offsets[0] : offsets[-1]].sum(), rtol=1e-13)


@each_layer
@pytest.mark.parametrize("values", [False, True])
def test_one_id_in_each_field_is_an_ordinary_field(make, values):
    ids = np.array([[1, 3, 1], [0, 1, 5], [4, 3, 3]])
    values = np.random.default_rng(1).normal(size=ids.shape).astype("f4") if values else None
    offsets = np.arange(4) + 3 * np.arange(3)[:, None]
    flat = Fields(ids.reshape(-1), None if values is None else values.reshape(-1), offsets)
    changed = []
    for x in (Fields(ids, values), flat):
        layer = make("f4")
        y, backprop = layer.forward(x, train=True)
        backprop(np.cos(np.arange(y.size, dtype="f4")).reshape(y.shape))
        SGD(learning_rate=1.0).step(layer.params())
        changed.append((y, layer.params()[0].value))
    for one, other in zip(*changed, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@each_layer
def test_taken_examples_are_those_of_the_whole(make):
    layer, x = make(), Fields(IDS, VALUES, OFFSETS, np.arange(6).reshape(3, 2))
    whole = layer(x)
    for rows in ([2, 0], [1], [1, 1, 2, 0], []):
        taken = x.take(np.array(rows, int))
        assert same_bits(layer(taken), whole[rows])
        assert taken.n_examples == len(rows)
        np.testing.assert_array_equal(taken.crosses, x.crosses[rows])


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (Fields(IDS[:, None], None, OFFSETS), ValueError, r"ids must be 1-D, got shape \(11, 1\)"),
        (Fields(IDS, None, OFFSETS[0]), ValueError, r"offsets must have shape \(B, m \+ 1\), got \(4,\)"),
        (Fields(IDS[:-1], None, OFFSETS), ValueError, "offsets must be 1-D and rise from 0 to 10"),
        (Fields(IDS, None, OFFSETS[::-1]), ValueError, "offsets must begin in each row where the row before ends"),
        (Fields(IDS + 1, None, OFFSETS), ValueError, r"ids must hold row ids in 0..5, got 2 unknown: 6, 6"),
        (Fields(IDS, VALUES[1:], OFFSETS), ValueError, r"must have shape \(11,\), got \(10,\)"),
    ],
)
@each_layer
def test_bad_input_is_refused(make, x, error, message):
    with pytest.raises(error, match=message):
        make()(x)


def test_bad_crosses_are_refused():
    ids = np.zeros((2, 1), int)
    with pytest.raises(ValueError, match="crosses must be 2-D, got none"):
        CrossWeights(3)(Fields(ids, None))
    with pytest.raises(ValueError, match=r"crosses must be 2-D, got shape \(2,\)"):
        CrossWeights(3)(Fields(ids, None, crosses=ids[:, 0]))
    with pytest.raises(ValueError, match=r"ids must hold row ids in 0\.\.2, got 2 unknown: 3, 3"):
        CrossWeights(3)(Fields(ids, None, crosses=ids + 3))
