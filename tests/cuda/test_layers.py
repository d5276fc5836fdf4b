"""Layers on devices: made on the CPU, moved, and compared with those that stayed there."""

import copy

import numpy as np
import pytest

from pyrec_core._backend import to_host
from pyrec_core.layers import (
    CIN,
    GRU,
    LSTM,
    RNN,
    Activation,
    Add,
    AttentionPooling,
    Bags,
    BatchNorm,
    BiInteraction,
    Chain,
    Concat,
    Cross,
    CrossWeights,
    Dense,
    Dropout,
    Embedding,
    EmbeddingBag,
    FieldEmbedding,
    FieldPairs,
    Fields,
    FirstOrder,
    Flatten,
    InnerProduct,
    LayerNorm,
    OuterProduct,
    PairwiseSum,
    RowSum,
    Source,
    mlp,
)
from pyrec_core.optim import FTRL, SGD, Adagrad, Adam, Divided

RNG = np.random.default_rng(0)
F8 = {"dtype": np.float64}
ROWS, CUBE = RNG.normal(size=(7, 6)), RNG.normal(size=(5, 4, 6))
IDS = np.array([[1, 3, 1], [0, 1, 5], [4, 3, 3], [2, 2, 2]], np.int32)  # repeated over examples and in one
VALUES = RNG.normal(size=IDS.shape)
OFFSETS = np.array([[0, 2, 3], [3, 3, 6], [6, 10, 12]])  # a field without ids in the second example
SINGLE = Fields(IDS, None, None, IDS)
VALUED = Fields(IDS, VALUES, None, IDS)
SEVERAL = Fields(IDS.reshape(-1), VALUES.reshape(-1), OFFSETS, IDS[:3, :2])
BAGS = Bags(IDS.reshape(-1), np.array([0, 2, 2, 12]), VALUES.reshape(-1))


def table(source):
    return FieldEmbedding(6, 6, source, std=1.0, **F8)


LAYERS = {
    "dense": (ROWS, lambda source: Dense(6, 3, source, **F8)),
    "dense, no bias": (CUBE, lambda source: Dense(6, 3, source, bias=False, **F8)),
    "mlp": (ROWS, lambda source: mlp(6, (5, 4), source, dropout=0.4, batch_norm=True, **F8)),
    "softmax": (ROWS, lambda source: Activation("softmax")),
    "log-softmax": (ROWS, lambda source: Activation("log-softmax")),
    "l2-normalize": (ROWS, lambda source: Activation("l2-normalize")),
    "dropout": (ROWS, lambda source: Dropout(0.3, source)),
    "batch norm": (CUBE, lambda source: BatchNorm(6, **F8)),
    "layer norm": (CUBE, lambda source: LayerNorm(6, **F8)),
    "cross": (ROWS, lambda source: Cross(6, 3, source, **F8)),
    "cross, no layer": (ROWS, lambda source: Cross(6, 0, source, **F8)),
    "cin": (CUBE, lambda source: CIN(4, (4, 6, 3), source, activation="relu", split_half=True, **F8)),
    "gru": (ROWS, lambda source: GRU(6, 4, source, **F8)),
    "gru, reset before": (ROWS, lambda source: GRU(6, 4, source, reset="before", **F8)),
    "lstm": (ROWS, lambda source: LSTM(6, 4, source, **F8)),
    "rnn": (ROWS, lambda source: RNN(6, 4, source, **F8)),
    "pairwise sum": (CUBE, lambda source: PairwiseSum()),
    "bi-interaction": (CUBE, lambda source: BiInteraction()),
    "inner product": (CUBE, lambda source: InnerProduct()),
    "outer product": (CUBE, lambda source: OuterProduct(6, 3, source, **F8)),
    "attention": (CUBE, lambda source: AttentionPooling(6, 5, source, dropout=0.2, **F8)),
    "flatten": (CUBE, lambda source: Flatten()),
    "row sum": (ROWS, lambda source: RowSum()),
    "add and concat": (
        ROWS,
        lambda source: Add(
            Chain(Concat(Dense(6, 2, source, **F8), Dense(6, 3, source, **F8)), Dense(5, 4, source, **F8)),
            Dense(6, 4, source, **F8),
        ),
    ),
    "embedding": (IDS, lambda source: Embedding(6, 3, source, std=1.0, **F8)),
    "bags, mean": (BAGS, lambda source: EmbeddingBag(6, 3, source, std=1.0, **F8)),
    "bags, sum": (BAGS, lambda source: EmbeddingBag(6, 3, source, std=1.0, mode="sum", **F8)),
}
OF_FIELDS = {
    "field embedding": table,
    "field pairs": lambda source: FieldPairs(6, 6, source, std=1.0, **F8),
    "first order": lambda source: FirstOrder(6, **F8),
    "cross weights": lambda source: CrossWeights(6, **F8),
    "a network": lambda source: Add(FirstOrder(6, **F8), CrossWeights(6, **F8), Chain(table(source), PairwiseSum())),
}
for _name, _make in OF_FIELDS.items():
    LAYERS |= {f"{_name}, {kind}": (x, _make) for kind, x in (("ids", SINGLE), ("values", VALUED), ("lists", SEVERAL))}
OPTIMIZERS = {
    "sgd": SGD(learning_rate=0.1, momentum=0.5),
    "adam": Adam(learning_rate=0.1, l2=0.01, rows="exact"),
    "clipped": Adagrad(learning_rate=0.1, clip_norm=0.5, clip_value=0.4, rows="dense"),
    "ftrl": FTRL(learning_rate=0.1, l1=0.01),
}


def gradient(p):
    """The gradient of a parameter as a whole."""
    whole = np.zeros_like(p.value) if p.grad is None else p.grad.copy()
    for ids, rows, _ in p.rows:
        for place, row in zip(to_host(ids).tolist(), rows, strict=True):  # an id may come several times
            whole[place] += row
    return whole


def trained(layer, source, x, d_y, optimizer):
    """What comes of two steps of training: outputs, gradients, new parameters, what the layer and the rules keep."""
    seen = []
    for epoch in (0, 1):
        source.begin(epoch)
        y, backprop = layer.forward(x, train=True)
        seen += [y.copy(), backprop(d_y), *map(gradient, layer.params())]
        optimizer.step(layer.params())
    seen += [array for p in layer.params() for array in (p.value, *p.state.values())]
    return [*seen, *(getattr(part, name) for _, part in layer._tree() for name in getattr(part, "state_names", ()))]


def check(devices, make, x, optimizer):
    source = Source(3)
    layer = make(source)
    d_y = np.random.default_rng(1).normal(size=layer(x).shape)
    before = copy.deepcopy((layer, source))
    want = trained(layer, source, x, d_y, optimizer)
    for device in devices:
        with device as on:
            ours, source = copy.deepcopy(before)
            ours.to("cuda")
            got = trained(ours, source, on.put(x), on.put(d_y), optimizer)
            for g, w in zip(got, want, strict=True):
                if w is None:
                    assert g is None
                    continue
                np.testing.assert_allclose(on.get(g), w, rtol=1e-10, atol=1e-10)
            ours.to("cpu")
            np.testing.assert_allclose(ours(x), layer(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_learns_the_same(devices, name):
    x, make = LAYERS[name]
    check(devices, make, x, SGD(learning_rate=0.1))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", ["add and concat", "a network, ids", "first order, lists", "bags, mean"])
def test_all_optimizers_step_the_same(devices, name, optimizer):
    x, make = LAYERS[name]
    check(devices, make, x, OPTIMIZERS[optimizer])


def test_divided_optimizers_step_on_the_device(devices):
    def make(source):
        return Chain(Dense(6, 4, source, **F8), Dense(4, 1, source, **F8))

    class Both:
        """The first layer by one optimizer, the rest by another."""

        def step(self, params):
            params = list(params)
            Divided(SGD(learning_rate=0.1), (Adam(), params[:2])).step(params)

    check(devices, make, ROWS, Both())


@pytest.mark.parametrize("x", [SINGLE, VALUED, SEVERAL], ids=["ids", "values", "lists"])
def test_examples_are_taken_on_the_device(devices, x):
    rows = np.array([2, 0, 2])
    want = x.take(rows)
    for device in devices:
        with device as on:
            got = on.get(on.put(x).take(on.put(rows)))
            for g, w in zip(got, want, strict=True):
                assert (g is None and w is None) or np.array_equal(g, w)
            empty = on.get(on.put(x).take(on.put(rows[:0])))
            assert empty.n_examples == 0


def test_layers_refuse_arrays_from_elsewhere(devices):
    layer, fields = Dense(6, 3, Source(0), **F8), table(Source(0))
    for device in devices:
        with device as on:
            layer.to("cpu")
            with pytest.raises(TypeError, match="must all be NumPy arrays or all CuPy arrays, got both"):
                layer(on.put(ROWS))
            layer.to("cuda")
            with pytest.raises(TypeError, match="must all be NumPy arrays or all CuPy arrays, got both"):
                layer(ROWS)
            with pytest.raises(TypeError, match="must all be NumPy arrays or all CuPy arrays, got both"):
                fields(on.put(SINGLE))
    layer.to("cpu")
