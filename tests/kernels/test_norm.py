"""Normalisation: definitions in float64, differences, many rows, the same bits for any number of threads."""

import numpy as np
import pytest
from helpers import cases, check_gradient, same_bits

from pyrec_core.kernels.norm import (
    batch_norm_backward,
    batch_norm_forward,
    column_moments,
    layer_norm_backward,
    layer_norm_forward,
)

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def inputs(shape, seed, dtype="float64"):
    rng = np.random.default_rng(seed)
    x = rng.normal(1.0, 2.0, size=shape).astype(dtype)
    return x, *rng.normal(size=(2, shape[1])).astype(dtype)


def normalised(x, axis, eps):
    mean, var = x.mean(axis, keepdims=True), x.var(axis, keepdims=True)
    return (x - mean) / np.sqrt(var + eps)


def close(a, b, dtype):
    tolerance = 2e-4 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@dtypes
@cases(ndim=2)
def test_batch_norm_equals_reference(dtype, shape, seed):
    x, gamma, beta = inputs(shape, seed, dtype)
    if not len(x):
        assert batch_norm_forward(x, beta, gamma**2, gamma, beta).shape == shape
        return
    exact = x.astype("f8")
    mean, var = column_moments(x)
    close(mean, exact.mean(0), dtype)
    close(var, exact.var(0), dtype)
    y = batch_norm_forward(x, mean, var, gamma, beta, eps=0.1)
    assert y.dtype == mean.dtype == var.dtype == dtype
    close(y, normalised(exact, 0, 0.1) * gamma + beta, dtype)


@dtypes
@cases(ndim=2)
def test_layer_norm_equals_reference(dtype, shape, seed):
    x, gamma, beta = inputs(shape, seed, dtype)
    y = layer_norm_forward(x, gamma, beta, eps=0.1)
    assert y.dtype == dtype
    if x.size:
        close(y, normalised(x.astype("f8"), 1, 0.1) * gamma + beta, dtype)
    else:
        assert y.shape == shape


@dtypes
@pytest.mark.parametrize("far", [0.0, 1e3])
def test_moments_of_many_rows_keep_their_digits(dtype, far):
    x = (np.random.default_rng(0).normal(size=(30_001, 5)) * [1, 2, 3, 4, 1e-2] + far).astype(dtype)
    mean, var = column_moments(x)
    exact = x.astype("f8")
    np.testing.assert_allclose(mean, exact.mean(0), rtol=1e-6 if dtype == "float32" else 1e-12, atol=1e-6)
    np.testing.assert_allclose(var, exact.var(0), rtol=1e-6 if dtype == "float32" else 1e-11)


@cases(ndim=2)
def test_batch_norm_backward_is_the_gradient(shape, seed):
    shape = min(shape[0], 7), min(shape[1], 5)
    if not shape[0]:
        return
    _, gamma, beta = inputs(shape, seed)
    options = {"eps": 0.1}

    def through_moments(x):
        return batch_norm_forward(x, *column_moments(x), gamma, beta, **options)

    check_gradient(
        through_moments, lambda g, x: batch_norm_backward(g, x, *column_moments(x), gamma, **options)[0], shape, seed
    )
    x, mean, var = inputs(shape, seed)
    var = var**2
    check_gradient(
        lambda x: batch_norm_forward(x, mean, var, gamma, beta, **options),
        lambda g, x: batch_norm_backward(g, x, mean, var, gamma, constants=True, **options)[0],
        shape,
        seed,
    )
    moments = column_moments(x)
    check_gradient(
        lambda gamma: batch_norm_forward(x, *moments, gamma, beta, **options),
        lambda g, gamma: batch_norm_backward(g, x, *moments, gamma, **options)[1],
        shape[1:],
        seed,
    )
    check_gradient(
        lambda beta: batch_norm_forward(x, *moments, gamma, beta, **options),
        lambda g, _: batch_norm_backward(g, x, *moments, gamma, **options)[2],
        shape[1:],
        seed,
    )


@cases(ndim=2)
def test_layer_norm_backward_is_the_gradient(shape, seed):
    shape = min(shape[0], 7), min(shape[1], 5)
    x, gamma, beta = inputs(shape, seed)
    options = {"eps": 0.1}
    check_gradient(
        lambda x: layer_norm_forward(x, gamma, beta, **options),
        lambda g, x: layer_norm_backward(g, x, gamma, **options)[0],
        shape,
        seed,
    )
    check_gradient(
        lambda gamma: layer_norm_forward(x, gamma, beta, **options),
        lambda g, gamma: layer_norm_backward(g, x, gamma, **options)[1],
        shape[1:],
        seed,
    )
    check_gradient(
        lambda beta: layer_norm_forward(x, gamma, beta, **options),
        lambda g, _: layer_norm_backward(g, x, gamma, **options)[2],
        shape[1:],
        seed,
    )


@dtypes
def test_gradients_of_many_rows_are_sums(dtype):
    x, gamma, _ = inputs((5000, 7), 0, dtype)
    d_y = inputs((5000, 7), 1, dtype)[0]
    h, g = normalised(x.astype("f8"), 0, 1e-5), d_y.astype("f8")
    _, d_gamma, d_beta = batch_norm_backward(d_y, x, *column_moments(x), gamma)
    np.testing.assert_allclose(d_beta, g.sum(0), rtol=1e-5)
    np.testing.assert_allclose(d_gamma, (g * h).sum(0), rtol=1e-5, atol=1e-2)
    _, d_gamma, d_beta = layer_norm_backward(d_y, x, gamma)
    np.testing.assert_allclose(d_beta, g.sum(0), rtol=1e-5)
    np.testing.assert_allclose(d_gamma, (g * normalised(x.astype("f8"), 1, 1e-5)).sum(0), rtol=1e-5, atol=1e-2)


@dtypes
def test_threads_do_not_matter(dtype):
    x, gamma, beta = inputs((3001, 37), 0, dtype)

    def run(n):
        moments = column_moments(x, n_threads=n)
        return [
            *moments, batch_norm_forward(x, *moments, gamma, beta, n_threads=n),
            *batch_norm_backward(np.sin(x), x, *moments, gamma, n_threads=n),
            layer_norm_forward(x, gamma, beta, n_threads=n), *layer_norm_backward(np.sin(x), x, gamma, n_threads=n),
        ]  # fmt: skip

    one = run(1)
    for n_threads in (2, 3, 8):
        assert all(same_bits(a, b) for a, b in zip(one, run(n_threads), strict=True))


X, A = np.ones((3, 2)), np.ones(2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: column_moments(X[0]), ValueError, r"x must be 2-D, got shape \(2,\)"),
        (lambda: column_moments(X[:0]), ValueError, r"x must have at least one row, got shape \(0, 2\)"),
        (lambda: column_moments(X.astype(int)), TypeError, "x must be float32 or float64, got int64"),
        (lambda: batch_norm_forward(X, A, A, A, A[:1]), ValueError, r"beta must have shape \(2,\), got \(1,\)"),
        (lambda: batch_norm_forward(X, A, A.astype("f4"), A, A), TypeError, "var must be float64, got float32"),
        (lambda: batch_norm_forward(X, A, A, A, A, eps=0.0), ValueError, "eps must be > 0.0, got 0.0"),
        (lambda: batch_norm_backward(X[:1], X, A, A, A), ValueError, r"d_y must have shape \(3, 2\), got \(1, 2\)"),
        (lambda: batch_norm_backward(X, X, A, A, X), ValueError, r"gamma must have shape \(2,\), got \(3, 2\)"),
        (lambda: batch_norm_backward(X, X, A, A, A, constants=1), TypeError, "constants must be True or False, got 1"),
        (lambda: layer_norm_forward(X, A, X), ValueError, r"beta must have shape \(2,\), got \(3, 2\)"),
        (lambda: layer_norm_backward(X, X, A, eps=-1.0), ValueError, "eps must be > 0.0, got -1.0"),
        (lambda: layer_norm_forward(X, A, A, n_threads=0), ValueError, "n_threads must be >= 1, got 0"),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
