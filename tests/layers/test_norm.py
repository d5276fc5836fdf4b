"""Batch and layer normalisation: definitions, running averages, and the ways back in and outside of training."""

import pickle

import numpy as np
import pytest
from helpers import check_network, same_bits

from pyrec_core._backend import use_threads
from pyrec_core.layers import Activation, BatchNorm, Chain, Dense, Dropout, Layer, LayerNorm, Source, mlp


def input_of(shape, seed=0):
    return np.random.default_rng(seed).normal(2.0, 3.0, size=shape)


def made(kind, width=4, **options):
    """A layer whose scale and shift are not those of the start, and which has seen data."""
    layer = kind(width, dtype=np.float64, **options)
    layer.gamma.value[:], layer.beta.value[:] = np.linspace(0.5, 2, width), np.linspace(-1, 1, width)
    layer.forward(input_of((9, width), 1), train=True)
    return layer


class Frozen(Layer):
    """A layer as it is outside of training, also in training."""

    def __init__(self, layer):
        self.layer = layer

    def forward(self, x, *, train=False):
        return self.layer.forward(x)


NETWORKS = {
    "batch": (lambda: made(BatchNorm), input_of((5, 4))),
    "batch, two rows": (lambda: made(BatchNorm, eps=0.1), input_of((2, 4))),
    "batch, 3-D": (lambda: made(BatchNorm), input_of((2, 3, 4))),
    "batch, not training": (lambda: Frozen(made(BatchNorm)), input_of((5, 4))),
    "batch, not training, one row": (lambda: Frozen(made(BatchNorm)), input_of((1, 4))),
    "batch, not training, nothing": (lambda: Frozen(made(BatchNorm)), input_of((0, 4))),
    "layer": (lambda: made(LayerNorm), input_of((5, 4))),
    "layer, 1-D": (lambda: made(LayerNorm, eps=0.1), input_of(4)),
    "layer, 3-D": (lambda: made(LayerNorm), input_of((2, 3, 4))),
    "layer, nothing": (lambda: made(LayerNorm), input_of((0, 4))),
    "mlp": (
        lambda: mlp(4, (6, 5), Source(0), activation="tanh", dropout=0.2, batch_norm=True, dtype=np.float64),
        input_of((7, 4)),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_way_back_is_the_gradient(name):
    make, x = NETWORKS[name]
    check_network(make(), x.copy(), seed=0)


def test_batch_norm_is_its_definition():
    layer, x = made(BatchNorm, eps=0.01), input_of((3, 5, 4))
    mean, var = layer.mean.copy(), layer.var.copy()
    gamma, beta = layer.gamma.value, layer.beta.value
    np.testing.assert_allclose(layer(x), gamma * (x - mean) / np.sqrt(var + 0.01) + beta, rtol=1e-12)
    assert same_bits(layer.mean, mean)  # only training changes them
    y, _ = layer.forward(x, train=True)
    rows = x.reshape(-1, 4)
    np.testing.assert_allclose(
        y, (gamma * (rows - rows.mean(0)) / np.sqrt(rows.var(0) + 0.01) + beta).reshape(x.shape), rtol=1e-12
    )
    np.testing.assert_allclose(layer.mean, 0.9 * mean + 0.1 * rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(layer.var, 0.9 * var + 0.1 * rows.var(0), rtol=1e-12)


@pytest.mark.parametrize(("momentum", "kept"), [(0.0, 0.0), (0.75, 0.75), (1.0, 1.0)])
def test_momentum_is_the_share_that_is_kept(momentum, kept):
    layer, x = BatchNorm(3, momentum=momentum, dtype=np.float64), input_of((6, 3))
    layer.forward(x, train=True)
    np.testing.assert_allclose(layer.mean, (1 - kept) * x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(layer.var, kept + (1 - kept) * x.var(0), rtol=1e-12)


@pytest.mark.parametrize("kind", [BatchNorm, LayerNorm])
def test_float32_far_from_zero_keeps_its_digits(kind):
    x = input_of((500, 8)).astype("f4") + 1000
    layer = kind(8)
    y, backprop = layer.forward(x, train=True)
    axis = 0 if kind is BatchNorm else 1
    exact = x.astype("f8")
    wanted = (exact - exact.mean(axis, keepdims=True)) / np.sqrt(exact.var(axis, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, wanted, atol=1e-4)
    assert {y.dtype, backprop(y).dtype, *(p.grad.dtype for p in layer.params())} == {np.dtype("f4")}


def test_layer_norm_is_its_definition():
    layer, x = made(LayerNorm, eps=0.01), input_of((3, 5, 4))
    normal = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 0.01)
    np.testing.assert_allclose(layer(x), layer.gamma.value * normal + layer.beta.value, rtol=1e-12)
    assert same_bits(layer.forward(x, train=True)[0], layer(x))


def test_a_constant_column_has_no_direction():
    layer = BatchNorm(2)
    y, backprop = layer.forward(np.full((4, 2), 3.0, "f4"), train=True)
    assert not y.any()
    assert not backprop(np.ones_like(y)).any()


def test_running_averages_are_state():
    net = Chain(Dense(3, 4, Source(0)), BatchNorm(4))
    net.forward(input_of((5, 3)).astype("f4"), train=True)
    assert list(net.state()) == ["1.mean", "1.var"]
    assert list(net.named_params()) == ["0.w", "0.b", "1.gamma", "1.beta"]
    other, x = Chain(Dense(3, 4, Source(0)), BatchNorm(4)), input_of((2, 3)).astype("f4")
    assert not same_bits(other(x), net(x))
    other.load_state(net.state())
    assert same_bits(other(x), net(x))
    assert same_bits(pickle.loads(pickle.dumps(net))(x), net(x))


def test_mlp_puts_batch_norm_before_the_activation():
    net = mlp(3, (5, 2), Source(0), batch_norm=True, dropout=0.1)
    assert [type(layer) for layer in net.layers] == [Dense, BatchNorm, Activation, Dropout] * 2


@pytest.mark.parametrize("kind", [BatchNorm, LayerNorm])
def test_threads_do_not_matter(kind):
    def run():
        layer = kind(33)
        y, backprop = layer.forward(input_of((3000, 33)).astype("f4"), train=True)
        return y, backprop(np.sin(y)), *(p.grad for p in layer.params()), *layer.state().values()

    with use_threads(1):
        one = run()
    for n_threads in (2, 3, 8):
        with use_threads(n_threads):
            assert all(same_bits(a, b) for a, b in zip(one, run(), strict=True))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        *(
            (lambda n=n: made(BatchNorm).forward(input_of((n, 4)), train=True), ValueError,
             rf"x must have at least two rows in training, got shape \({n}, 4\)")
            for n in (0, 1)
        ),
        (lambda: made(BatchNorm)(input_of((2, 3))), ValueError, r"x must have shape \(..., 4\), got \(2, 3\)"),
        (lambda: made(BatchNorm)(np.ones((2, 4), "f4")), TypeError, "x must be float64 like the parameters"),
        (lambda: made(LayerNorm)(input_of((2, 3))), ValueError, r"x must have shape \(..., 4\), got \(2, 3\)"),
        (lambda: made(LayerNorm).forward(input_of((2, 4)))[1](np.ones(4)), ValueError, r"d_y must have shape \(2, 4\)"),
        (lambda: made(BatchNorm).forward(input_of((2, 4)))[1](np.ones(4)), ValueError, r"d_y must have shape \(2, 4\)"),
        (lambda: BatchNorm(0), ValueError, "width must be >= 1, got 0"),
        (lambda: BatchNorm(3, momentum=1.5), ValueError, "momentum must be <= 1.0, got 1.5"),
        (lambda: BatchNorm(3, eps=0.0), ValueError, "eps must be > 0.0, got 0.0"),
        (lambda: LayerNorm(3, eps=-1.0), ValueError, "eps must be > 0.0, got -1.0"),
        (lambda: LayerNorm(3, dtype=int), TypeError, "dtype must be float32 or float64, got int64"),
        (lambda: mlp(3, (2,), Source(0), batch_norm=1), TypeError, "batch_norm must be True or False, got 1"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
