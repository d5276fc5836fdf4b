"""Activations, normalised rows and dropout: beside their definitions in float64, and at the extremes."""

import numpy as np
import pytest
from helpers import cases, check_gradient, same_bits

from pyrec_core.kernels import activations
from pyrec_core.kernels.activations import ACTIVATIONS, activation_backward, activation_forward, dropout
from pyrec_core.kernels.random import uniform

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
names = pytest.mark.parametrize("name", ACTIVATIONS)
EXTREMES = np.array([-np.inf, -800.0, -100.0, -90.0, -1e-30, -0.0, 0.0, 1e-30, 90.0, 100.0, 800.0, np.inf])
SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772


def sigmoid(x):
    return np.exp(-np.logaddexp(0.0, -x))


# name: (f, f'), from x
ELEMENTS = {
    "identity": (lambda x: x, np.ones_like),
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
    "tanh": (np.tanh, lambda x: np.cosh(np.minimum(np.abs(x), 700.0)) ** -2),
    "relu": (lambda x: np.where(x > 0, x, 0), lambda x: np.where(x > 0, 1.0, 0.0)),
    "leaky": (lambda x: np.where(x > 0, x, 0.01 * x), lambda x: np.where(x > 0, 1.0, 0.01)),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(-np.abs(x))), lambda x: np.where(x > 0, 1.0, np.exp(-np.abs(x)))),
    "selu": (
        lambda x: SCALE * np.where(x > 0, x, ALPHA * np.expm1(-np.abs(x))),
        lambda x: SCALE * np.where(x > 0, 1.0, ALPHA * np.exp(-np.abs(x))),
    ),
    "softplus": (lambda x: np.logaddexp(0.0, x), sigmoid),
}


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True, initial=-1e300))
    return e / e.sum(-1, keepdims=True)


def length(x):
    return np.sqrt((x**2).sum(-1, keepdims=True))


# name: (function, gradient from (d_y, x), definition)
ROWS = {
    "softmax": (
        activations.softmax_forward,
        lambda d, x, **k: activations.softmax_backward(d, activations.softmax_forward(x), **k),
        softmax,
    ),
    "log_softmax": (
        activations.log_softmax_forward,
        lambda d, x, **k: activations.log_softmax_backward(d, activations.log_softmax_forward(x), **k),
        lambda x: np.log(softmax(x)),
    ),
    "l2_normalize": (
        activations.l2_normalize_forward,
        activations.l2_normalize_backward,
        lambda x: x / length(x),
    ),
}
rows = pytest.mark.parametrize("name", ROWS)


def tolerance(dtype):
    return {"rtol": 2e-6, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-13, "atol": 1e-14}


@dtypes
@names
@cases(ndim=2)
def test_activation_equals_its_definition(name, dtype, shape, seed):
    rng = np.random.default_rng(seed)
    x, d_y = (3 * rng.normal(size=(2, *shape))).astype(dtype)
    f, slope = ELEMENTS[name]
    y = activation_forward(x, name)
    d_x = activation_backward(d_y, y, name)
    assert y.dtype == d_x.dtype == dtype
    np.testing.assert_allclose(y, f(x.astype("f8")), **tolerance(dtype))
    error = np.abs(d_x - d_y * slope(x.astype("f8")))  # 1 - y^2 is as far off as y, of whatever size it is itself
    assert (error <= (1e-6 if dtype == "float32" else 1e-14) * (1 + np.abs(d_y))).all()


@names
@cases(ndim=1)
def test_activation_backward_is_the_gradient(name, shape, seed):
    check_gradient(
        lambda x: activation_forward(x, name),
        lambda d_y, x: activation_backward(d_y, activation_forward(x, name), name),
        shape,
        seed,
    )


@dtypes
@pytest.mark.parametrize(
    ("name", "alpha", "slope"),
    [("sigmoid", None, 0.25), ("tanh", None, 1.0), ("relu", None, 0.0), ("leaky", 0.3, 0.3), ("leaky", None, 0.01),
     ("elu", 0.7, 0.7), ("elu", None, 1.0), ("selu", None, SCALE * ALPHA), ("softplus", None, 0.5),
     ("identity", None, 1.0)],
)  # fmt: skip
def test_slopes_at_zero(name, alpha, slope, dtype):
    y = activation_forward(np.zeros(1, dtype), name, alpha=alpha)
    d_x = activation_backward(np.ones(1, dtype), y, name, alpha=alpha)
    np.testing.assert_allclose(d_x, slope, rtol=1e-6 if dtype == "float32" else 1e-15)


@dtypes
@names
def test_activation_at_extremes(name, dtype):
    x = EXTREMES.astype(dtype)
    f, slope = ELEMENTS[name]
    y = activation_forward(x, name)
    d_x = activation_backward(np.ones_like(x), y, name)
    np.testing.assert_allclose(y, f(x.astype("f8")), rtol=1e-6, atol=2e-38)
    np.testing.assert_allclose(d_x, slope(x.astype("f8")), rtol=1e-6, atol=1.5e-7)


@dtypes
@names
def test_nan_goes_through_alone(name, dtype):
    x = np.linspace(-2, 2, 37).astype(dtype)
    whole = activation_forward(x, name)
    x[5] = x[36] = np.nan
    y = activation_forward(x, name)
    assert np.isnan(y).nonzero()[0].tolist() == [5, 36]
    assert same_bits(np.delete(y, [5, 36]), np.delete(whole, [5, 36]))
    d_y = np.ones_like(whole)
    d_y[7] = np.nan
    d_x = activation_backward(d_y, np.ones_like(whole), name)
    assert np.isnan(d_x).nonzero()[0].tolist() == [7]


def test_selu_keeps_mean_and_variance():
    u = uniform(2_000_000, seed=0, purpose="noise").reshape(2, -1)
    x = np.sqrt(-2 * np.log1p(-u[0])) * [np.cos(2 * np.pi * u[1]), np.sin(2 * np.pi * u[1])]
    y = activation_forward(x.astype("f4"), "selu").astype("f8")
    assert abs(y.mean()) < 0.005
    assert abs(y.var() - 1.0) < 0.005


@dtypes
@rows
@cases(ndim=3)
def test_rows_equal_their_definition(name, dtype, shape, seed):
    x = (2 * np.random.default_rng(seed).normal(size=shape)).astype(dtype)
    f, _, definition = ROWS[name]
    y = f(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, definition(x.astype("f8")), **tolerance(dtype))


@rows
@cases(ndim=2)
def test_row_backward_is_the_gradient(name, shape, seed):
    f, backward, _ = ROWS[name]
    if shape == (1, 1) and name == "l2_normalize":
        return  # of one element: a step function
    check_gradient(f, backward, shape, seed)


@dtypes
def test_softmax_at_extremes(dtype):
    x = np.array(
        [[800.0, -800.0, 799.0], [-800.0, -800.0, -801.0], [-np.inf, 1.0, 1.0], [-np.inf] * 3, [np.nan, 0.0, 1.0],
         [np.inf, 0.0, 1.0]], dtype,
    )  # fmt: skip
    y, log_y = activations.softmax_forward(x), activations.log_softmax_forward(x)
    p, q = 1 / (1 + np.exp(-1)), 1 / (2 + np.exp(-1))
    wanted = [[p, 0, 1 - p], [q, q, 1 - 2 * q], [0, 0.5, 0.5], [0, 0, 0]]
    np.testing.assert_allclose(y[:4], wanted, rtol=1e-6, atol=1e-37)
    np.testing.assert_allclose(log_y[0], np.log(p) - [0.0, 1600.0, 1.0], rtol=1e-6)
    assert (log_y[3] == -np.inf).all()
    assert np.isnan(y[4:]).any(axis=1).all()
    assert np.isnan(log_y[4:]).any(axis=1).all()
    assert np.isnan(y[4]).all()
    d_y = np.ones_like(x[:4])
    np.testing.assert_allclose(activations.softmax_backward(d_y, y[:4]), 0.0, atol=1e-6)  # the sum of a row is fixed
    np.testing.assert_allclose(activations.log_softmax_backward(d_y, log_y[:4]), 1 - 3 * y[:4], atol=1e-6)


@dtypes
def test_vectors_without_direction_become_zero(dtype):
    x = np.array([[0.0, 0.0], [1e-13, 0.0], [3.0, 4.0], [3e18, 4e18], [3e-10, 4e-10]], dtype)
    y = activations.l2_normalize_forward(x)
    np.testing.assert_allclose(y, [[0, 0], [0, 0], [0.6, 0.8], [0.6, 0.8], [0.6, 0.8]], rtol=1e-6)
    d_x = activations.l2_normalize_backward(np.ones_like(x), x)
    assert (d_x[:2] == 0).all()
    np.testing.assert_allclose(d_x[2], [0.2 * 0.8 / 5, -0.2 * 0.6 / 5], rtol=1e-5)


@dtypes
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_dropout_keeps_what_its_draws_say(dtype, rate):
    x = np.random.default_rng(0).normal(size=(300, 501)).astype(dtype)
    where = {"seed": 5, "purpose": "dropout", "epoch": 2, "first": 3}
    y = dropout(x, rate, **where)
    kept = uniform(x.size, **where, dtype=np.float32).astype("f8").reshape(x.shape) >= rate
    np.testing.assert_array_equal(y != 0, kept)
    np.testing.assert_allclose(y, np.where(kept, x / (1 - rate), 0), rtol=2e-7)
    assert abs(kept.mean() - (1 - rate)) < 4 * np.sqrt(rate * (1 - rate) / x.size) + 1e-12


@pytest.mark.parametrize("cut", [0, 1, 2, 16_383, 16_384, 16_385, 20_001])
def test_dropout_in_pieces_is_dropout_of_the_whole(cut):
    x = np.ones(20_001, "f4")
    whole = dropout(x, 0.3, seed=1, first=7)
    pieces = dropout(x[:cut], 0.3, seed=1, first=7), dropout(x[cut:], 0.3, seed=1, first=7 + cut)
    assert same_bits(np.concatenate(pieces), whole)
    assert not same_bits(dropout(x, 0.3, seed=1, epoch=1, first=7), whole)


def test_dropped_elements_are_zero_whatever_they_were():
    y = dropout(np.full(1000, np.nan), 0.5, seed=0)
    assert 400 < (y == 0).sum() < 600
    assert (np.isnan(y) | (y == 0)).all()


def calls(x):
    """Every function of this family on an array (n, d), by name: of an array and keywords."""
    d_y = x[::-1].copy()
    for name in ACTIVATIONS:
        y = activation_forward(x, name)
        yield name, lambda a, name=name, **k: activation_forward(a, name, **k), x
        yield f"d {name}", lambda a, y=y, name=name, **k: activation_backward(a, y, name, **k), d_y
    for name, (f, backward, _) in ROWS.items():
        yield name, f, x
        yield f"d {name}", lambda a, backward=backward, **k: backward(a, x, **k), d_y
    yield "dropout", lambda a, **k: dropout(a, 0.4, seed=3, first=1, **k), x


@dtypes
def test_same_bits_for_any_number_of_threads_and_in_place(dtype):
    x = (2 * np.random.default_rng(0).normal(size=(1003, 67))).astype(dtype)
    x[3, 3], x[5] = -np.inf, 0.0
    for name, f, argument in calls(x):
        one = f(argument, n_threads=1)
        assert all(same_bits(one, f(argument, n_threads=n)) for n in (2, 3, 8)), name
        given = argument.copy()
        assert f(given, overwrite=True) is given
        assert same_bits(given, one), name


def test_any_shape_and_layout():
    x = np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1)
    for name, f, argument in calls(x):
        y = f(argument)
        assert y.shape == x.shape
        assert same_bits(y, f(argument.copy(order="C"))), name
    assert activation_forward(np.float64(2.0), "relu").shape == ()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: activation_forward(x, "swish"), ValueError, r"name must be one of 'identity', .*, got 'swish'"),
        (lambda x: activation_forward(x, None), TypeError, "name must be one of"),
        (lambda x: activation_forward(x, "relu", alpha=0.1), ValueError, "alpha must be None for 'relu'.*, got 0.1"),
        (lambda x: activation_forward(x, "leaky", alpha=-0.1), ValueError, "alpha must be >= 0.0, got -0.1"),
        (lambda x: activation_forward(x.astype(int), "relu"), TypeError, "x must be float32 or float64, got int64"),
        (lambda x: activation_forward(x[:, ::2], "relu", overwrite=True), ValueError, "x must be C-contiguous"),
        (lambda x: activation_backward(x, x[:1], "relu"), ValueError, r"y must have shape \(2, 4\), got \(1, 4\)"),
        (lambda x: activation_backward(x, x.astype("f4"), "relu"), TypeError, "y must be float64, got float32"),
        (lambda x: activations.softmax_forward(x[0, 0]), ValueError, "x must have at least one dimension"),
        (lambda x: activations.softmax_backward(x, x.T), ValueError, r"y must have shape \(2, 4\), got \(4, 2\)"),
        (lambda x: activations.l2_normalize_backward(x, x.T), ValueError, r"x must have shape \(2, 4\)"),
        (lambda x: dropout(x, 1.0, seed=0), ValueError, "rate must be < 1, got 1.0"),
        (lambda x: dropout(x, -0.1, seed=0), ValueError, "rate must be >= 0.0, got -0.1"),
        (lambda x: dropout(x, 0.5, seed=-1), ValueError, "seed must be >= 0, got -1"),
        (lambda x: dropout(x, 0.5, seed=0, purpose="rain"), ValueError, "purpose must be one of"),
        (lambda x: dropout(x, 0.5, seed=0, n_threads=0), ValueError, "n_threads must be >= 1, got 0"),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(np.ones((2, 4)))
