"""Layers: what each computes, its way back, and the parameters and state of what is made of them."""

import copy
import pickle

import numpy as np
import pytest
from helpers import check_network, same_bits

import pyrec_core
from pyrec_core._backend import use_threads
from pyrec_core.kernels.losses import binary_cross_entropy
from pyrec_core.layers import (
    ACTIVATIONS,
    Activation,
    Add,
    Chain,
    Concat,
    Dense,
    Dropout,
    Embedding,
    Layer,
    Source,
    mlp,
)
from pyrec_core.optim import SGD, Adam, Param


def dense(n_in, n_out, seed=0, **options):
    layer = Dense(n_in, n_out, Source(seed), dtype=np.float64, **options)
    if layer.b is not None:
        layer.b.value[:] = np.linspace(-1, 1, n_out)
    return layer


def embedding(n, d, **options):
    return Embedding(n, d, Source(1), dtype=np.float64, **options)


class Centred(Layer):
    """Subtracts the mean of all that it saw in training: a layer with state."""

    state_names = ("mean", "n")

    def __init__(self, width):
        self.scale = Param(np.ones(width))
        self.mean, self.n = np.zeros(width), np.zeros((), np.int64)

    def forward(self, x, *, train=False):
        if train:
            self.n += 1
            self.mean += (x.mean(0) - self.mean) / self.n
        centred = x - self.mean

        def backprop(d_y):
            self.scale.add_grad(np.sum(d_y * centred, axis=0))
            return d_y * self.scale.value

        return centred * self.scale.value, backprop


def input_of(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


IDS = np.array([[1, 3, 1], [0, 1, 4]], np.int32)  # 1 three times
NETWORKS = {
    "dense": (lambda: dense(4, 3), input_of((5, 4))),
    "dense, no bias": (lambda: dense(4, 3, bias=False, init="he"), input_of((5, 4))),
    "dense, 3-D": (lambda: dense(4, 1, init="lecun"), input_of((2, 3, 4))),
    "dense, 1-D": (lambda: dense(4, 3), input_of(4)),
    "dense, nothing": (lambda: dense(4, 3), input_of((0, 4))),
    "embedding": (lambda: embedding(5, 3), IDS),
    "embedding, glorot": (lambda: embedding(5, 3, init="glorot"), IDS[0]),
    "dropout": (lambda: Dropout(0.4, Source(2)), input_of((7, 6))),
    **{name: (lambda name=name: Activation(name), input_of((3, 5))) for name in ACTIVATIONS},
    "elu, alpha": (lambda: Activation("elu", alpha=0.5), input_of((3, 5))),
    "overwritten": (lambda: Chain(dense(5, 4), Activation("tanh", overwrite=True), dense(4, 2)), input_of((3, 5))),
    "chain of none": (Chain, input_of((2, 3))),
    "chain": (
        lambda: Chain(embedding(5, 4, std=1.0), dense(4, 6), Activation("tanh"), Dropout(0.3, Source(3)), dense(6, 2)),
        IDS,
    ),
    "add": (lambda: Add(dense(4, 3), Chain(dense(4, 5), Activation("selu"), dense(5, 3))), input_of((2, 4))),
    "add, ids": (lambda: Chain(Add(embedding(5, 3), embedding(5, 3, init="glorot")), dense(3, 2)), IDS),
    "concat": (lambda: Chain(Concat(dense(4, 1), Chain(), dense(4, 3)), dense(8, 2)), input_of((3, 4))),
    "concat, ids": (lambda: Chain(Concat(embedding(5, 3), embedding(5, 1)), dense(4, 2)), IDS),
    "shared": (lambda: Chain(*[dense(3, 3)] * 2, Activation("tanh")), input_of((4, 3))),
    "mlp": (lambda: mlp(4, (6, 5), Source(4), activation="elu", dropout=0.2, dtype=np.float64), input_of((4, 4))),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_the_way_back_is_the_gradient(name):
    make, x = NETWORKS[name]
    check_network(make(), x.copy(), seed=0)


def test_the_gradient_check_finds_a_wrong_gradient():
    class Wrong(Dense):
        def forward(self, x, *, train=False):
            y, backprop = super().forward(x, train=train)
            return y, lambda d_y: 1.001 * backprop(d_y)

    with pytest.raises(AssertionError):
        check_network(Wrong(3, 2, Source(0), dtype=np.float64), input_of((4, 3)), seed=0)


def test_dense_is_its_formula():
    layer, x = dense(4, 3), input_of((2, 5, 4))
    np.testing.assert_allclose(layer(x), x @ layer.w.value + layer.b.value, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtypes_are_kept(dtype):
    net = Chain(Embedding(9, 4, Source(0), dtype=dtype), mlp(4, (3, 2), Source(0), dropout=0.5, dtype=dtype))
    y, backprop = net.forward(np.arange(9), train=True)
    assert backprop(np.ones_like(y)) is None
    assert {y.dtype, *(p.value.dtype for p in net.params())} == {np.dtype(dtype)}


def test_an_embedding_looks_rows_up_and_takes_row_gradients():
    layer = embedding(5, 3)
    y, backprop = layer.forward(IDS, train=True)
    assert same_bits(y, layer.table.value[IDS])
    d_y = input_of((2, 3, 3))
    backprop(d_y)
    assert layer.table.grad is None  # no table of gradients
    ((ids, rows, _),) = layer.table.rows
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids, IDS.reshape(-1))
    np.testing.assert_array_equal(rows, d_y.reshape(-1, 3))
    before = layer.table.value.copy()
    SGD(learning_rate=1.0).step(layer.params())
    np.testing.assert_array_equal(before[2], layer.table.value[2])
    np.testing.assert_allclose(layer.table.value[1], before[1] - d_y[0, 0] - d_y[0, 2] - d_y[1, 1])


def test_dropout_drops_in_training_only():
    layer, x = Dropout(0.25, Source(0)), np.ones((100, 200), np.float32)
    assert layer(x) is x
    assert layer.source.take("dropout", 0)["first"] == 0  # nothing was drawn
    y, backprop = layer.forward(x, train=True)
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.75)}
    assert y.mean() == pytest.approx(1.0, abs=0.02)
    assert same_bits(backprop(x), y)  # the same elements, drawn again
    other, _ = layer.forward(x, train=True)
    assert not same_bits(other, y)
    assert same_bits(backprop(x), y)
    layer.source.begin(0)
    assert same_bits(layer.forward(x, train=True)[0], y)
    assert Dropout(0.0, Source(0)).forward(x, train=True)[0] is x


def test_parameters_have_stable_names_in_order():
    source = Source(0)
    net = Chain(
        Embedding(7, 4, source), Concat(Dense(4, 2, source, bias=False), Chain(Dense(4, 3, source), Activation("relu")))
    )
    assert list(net.named_params()) == ["0.table", "1.0.w", "1.1.0.w", "1.1.0.b"]
    assert all(a is b for a, b in zip(net.params(), net.named_params().values(), strict=True))

    class Tower(Layer):
        def __init__(self):
            self.width = 3
            self.output = Dense(4, 2, source)
            self.gain = Param(np.ones(1))
            self.hidden = [Dense(4, 4, source), "not a layer", Param(np.ones(2))]

        def forward(self, x, *, train=False):
            raise NotImplementedError

    assert list(Tower().named_params()) == ["output.w", "output.b", "gain", "hidden.0.w", "hidden.0.b", "hidden.2"]


def test_shared_parameters_are_listed_once():
    source = Source(0)
    shared, tied = Dense(3, 3, source), Dense(3, 3, source)
    tied.w = shared.w
    net = Chain(shared, Activation("relu"), shared, tied)
    assert list(net.named_params()) == ["0.w", "0.b", "3.b"]
    assert net.params()[0] is tied.w
    again = copy.deepcopy(net)
    assert again.layers[0] is again.layers[2]
    assert again.layers[3].w is again.layers[0].w
    assert list(again.named_params()) == list(net.named_params())


def test_layers_can_be_pickled():
    net = mlp(3, (4,), Source(0), dropout=0.5)
    x = np.ones((2, 3), np.float32)
    again = pickle.loads(pickle.dumps(net))
    assert same_bits(again(x), net(x))
    assert same_bits(again.forward(x, train=True)[0], net.forward(x, train=True)[0])


def test_state_is_saved_and_loaded():
    net, x = Chain(Centred(3), Chain(Centred(3))), input_of((4, 3))
    net.forward(x, train=True)
    saved = net.state()
    assert list(saved) == ["0.mean", "0.n", "1.0.mean", "1.0.n"]
    y = net(x)
    net.forward(2 * x, train=True)
    assert saved["0.n"] == 1  # a copy
    other = Chain(Centred(3), Chain(Centred(3)))
    assert not same_bits(other(x), y)
    other.load_state(saved)
    assert same_bits(other(x), y)
    other.forward(x, train=True)
    assert saved["0.n"] == 1
    assert Chain(dense(3, 2)).state() == {}


def test_a_state_that_does_not_fit_changes_nothing():
    net = Chain(Centred(3))
    good = net.state()
    with pytest.raises(ValueError, match=r"arrays must be named \['0.mean', '0.n'\], got \['0.mean'\]"):
        net.load_state({"0.mean": np.ones(3)})
    with pytest.raises(ValueError, match=r"0.n must have shape \(\), got \(1,\)"):
        net.load_state({"0.mean": np.ones(3), "0.n": np.ones(1, np.int64)})
    with pytest.raises(TypeError, match=r"0.n must be int64, got float64"):
        net.load_state({"0.mean": np.ones(3), "0.n": np.ones(())})
    assert all(same_bits(a, b) for a, b in zip(net.state().values(), good.values(), strict=True))


@pytest.mark.parametrize(
    ("activation", "init"),
    [("relu", "he"), ("elu", "he"), ("selu", "lecun"), ("tanh", "glorot"), ("sigmoid", "glorot")],
)
def test_mlp_starts_as_its_activation_wants(activation, init):
    net, source = mlp(3, (5, 2), Source(1), activation=activation, dropout=0.1), Source(1)
    assert [type(layer) for layer in net.layers] == [Dense, Activation, Dropout] * 2
    wanted = [Dense(3, 5, source, init=init), Dense(5, 2, source, init=init)]
    assert all(same_bits(a.w.value, b.w.value) for a, b in zip(net.layers[::3], wanted, strict=True))
    assert [layer.name for layer in net.layers[1::3]] == [activation] * 2
    assert len(mlp(3, (5, 2), Source(1)).layers) == 4  # no dropout


def test_outputs_of_an_mlp_outlive_later_ones():
    net, x = mlp(4, (6, 5), Source(1), activation="tanh", batch_norm=True, dtype=np.float64), input_of((7, 4))
    other, before = input_of((7, 4), seed=1), x.copy()
    y, backprop = net.forward(x, train=False)
    kept = y.copy()
    alone = backprop(np.ones_like(y)), [p.grad for p in net.params()]
    for p in net.params():
        p.clear()
    y, backprop = net.forward(x, train=False)
    net.forward(other, train=False)[1](np.ones_like(y))
    for p in net.params():
        p.clear()
    assert same_bits(x, before)
    assert same_bits(y, kept)
    assert same_bits(backprop(np.ones_like(y)), alone[0])
    assert all(same_bits(p.grad, grad) for p, grad in zip(net.params(), alone[1], strict=True))


def test_descriptions():
    net = Chain(Dense(2, 3, Source(0), bias=False), Activation("elu", alpha=0.5), Dropout(0.1, Source(0)))
    wanted = "Chain(0: Dense(w: Param(float32 (2, 3), 0 steps)), 1: Activation('elu', alpha=0.5), 2: Dropout(0.1))"
    assert repr(net) == wanted
    assert repr(Activation("relu", overwrite=True)) == "Activation('relu')"
    assert pyrec_core.layers.Chain is Chain


def learn_xor(n_threads):
    """Two ids whose parity is the answer, and noise beside them; returns the losses."""
    source, rng = Source(3), np.random.default_rng(0)
    ids = rng.integers(0, 10, (400, 2), dtype=np.int32)
    y = ((ids[:, 0] + ids[:, 1]) % 2).astype(np.float32)[:, None]
    table = Embedding(10, 4, source, std=0.5)
    tower = Chain(mlp(8, (16,), source, dropout=0.1), Dense(16, 1, source))
    params, optimizer, losses = [*table.params(), *tower.params()], Adam(learning_rate=0.01), []
    with use_threads(n_threads):
        for epoch in range(30):
            source.begin(epoch)
            for at in range(0, len(ids), 50):
                vectors, to_table = table.forward(ids[at : at + 50], train=True)
                logits, back = tower.forward(vectors.reshape(-1, 8), train=True)
                _, d_logits = binary_cross_entropy(logits, y[at : at + 50])
                to_table(back(d_logits).reshape(vectors.shape))
                optimizer.step(params)
            logits = tower(table(ids).reshape(-1, 8))
            losses.append(binary_cross_entropy(logits, y)[0])
    return losses


def test_a_network_learns_parity_the_same_for_any_number_of_threads():
    losses = learn_xor(1)
    assert losses[0] > 0.6  # no linear model gets below log 2
    assert losses[-1] < 0.05
    assert losses == learn_xor(3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Embedding(0, 2, Source(0)), ValueError, "n must be >= 1, got 0"),
        (lambda: Embedding(2, 0, Source(0)), ValueError, "d must be >= 1, got 0"),
        (lambda: Embedding(2, 2, Source(0), init="he"), ValueError, "init must be one of 'normal', 'glorot', got 'he'"),
        (lambda: Embedding(2, 2, Source(0), std=-1.0), ValueError, "std must be >= 0.0, got -1.0"),
        (lambda: embedding(5, 2)([5, 0]), ValueError, r"x must hold row ids in 0..4, got 1 unknown: 5"),
        (lambda: embedding(5, 2)([-1]), ValueError, "x must hold row ids in 0..4, got 1 unknown: -1"),
        (lambda: embedding(5, 2)([0.0]), TypeError, "x must be integers, got float64"),
        (lambda: embedding(5, 2).forward([0])[1](np.ones((2, 2))), ValueError, r"d_y must have shape \(1, 2\)"),
        (lambda: Dense(2, 2, Source(0), init="zero"), ValueError, "init must be one of 'glorot', 'he', 'lecun'"),
        (lambda: Dense(2, 2, Source(0), bias=1), TypeError, "bias must be True or False, got 1"),
        (lambda: Dense(2, 2, Source(0), dtype=int), TypeError, "dtype must be float32 or float64, got int64"),
        (lambda: Embedding(2, 2, Source(0), dtype=int), TypeError, "dtype must be float32 or float64, got int64"),
        (lambda: dense(2, 2)(np.ones((3, 3))), ValueError, r"x must have shape \(..., 2\), got \(3, 3\)"),
        (lambda: dense(2, 2)(np.float64(1)), ValueError, r"x must have shape \(..., 2\), got \(\)"),
        (lambda: dense(2, 2)(np.ones((3, 2), "f4")), TypeError, "x must be float64 like the parameters, got float32"),
        (lambda: dense(2, 2).forward(np.ones((3, 2)))[1](np.ones((3, 3))), ValueError, r"d_y must have shape \(3, 2\)"),
        (lambda: Activation("swish"), ValueError, "name must be one of 'identity', .*, got 'swish'"),
        (lambda: Activation("softmax", alpha=1.0), ValueError, "alpha must be None for 'softmax'.*, got 1.0"),
        (lambda: Activation("elu", alpha=-1.0), ValueError, "alpha must be >= 0.0, got -1.0"),
        (lambda: Dropout(1.0, Source(0)), ValueError, "rate must be < 1, got 1.0"),
        (lambda: Dropout(-0.5, Source(0)), ValueError, "rate must be >= 0.0, got -0.5"),
        (lambda: Chain(np.tanh), TypeError, "layers must be layers, got ufunc"),
        (lambda: Add(), ValueError, "layers must be at least one, got none"),
        (lambda: Add(dense(2, 2), dense(2, 1))(np.ones((3, 2))), ValueError, r"one shape, got \(3, 2\), \(3, 1\)"),
        (
            lambda: Concat(embedding(2, 2), Chain(embedding(2, 2), Reshaped()))([0, 1]),
            ValueError,
            r"differ in the last axis only, got shapes \(2, 2\), \(4,\)",
        ),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


class Reshaped(Layer):
    def forward(self, x, *, train=False):
        return x.reshape(-1), lambda d_y: d_y.reshape(x.shape)
