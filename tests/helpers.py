"""What the kernel tests share: shapes, float64 finite differences, sparse matrices."""

import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

SIZES = st.sampled_from([0, 1, 2, 3, 7, 16, 17, 33, 65])


def cases(ndim):
    """Run a test on shapes of ``ndim`` sides, 0 and 1 included, with a seed."""
    return given(shape=st.tuples(*[SIZES] * ndim), seed=st.integers(0, 2**32 - 1))


def check_gradient(forward, backward, shape, seed, step=1e-6):
    """Compare ``backward(d_out, x)`` with central differences of ``sum(d_out * forward(x))``, in float64."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    d_out = rng.normal(size=forward(x).shape)
    numeric = np.empty_like(x)
    for at in np.ndindex(*shape):
        high, low = x.copy(), x.copy()
        high[at] += step
        low[at] -= step
        numeric[at] = np.sum(d_out * (forward(high) - forward(low))) / (2 * step)
    error = np.abs(backward(d_out, x) - numeric).max(initial=0.0)
    assert error <= 1e-6 * max(1.0, np.abs(numeric).max(initial=0.0))


def check_network(layer, x, seed, step=1e-6):
    """Compare the ways back of a float64 layer, to all parameters and to ``x`` if these are no ids, with differences.

    The layer is asked to train; if it draws random numbers, from sources at the start of their epoch each time.
    """
    rng = np.random.default_rng(seed)
    sources = _sources(layer)

    def forward():
        for source in sources:
            source.begin(0)
        return layer.forward(x, train=True)

    y, backprop = forward()
    d_y = rng.normal(size=y.shape)
    kept = d_y.copy()
    d_x = backprop(d_y)
    assert same_bits(d_y, kept), "the way back must not change what it is given"
    pairs = [(param.value, dense_gradient(param)) for param in layer.params()]
    if x.dtype.kind == "f":
        pairs.append((x, d_x))
    else:
        assert d_x is None
    for values, gradient in pairs:
        assert gradient.shape == values.shape
        numeric = np.empty_like(values)
        for at in np.ndindex(*values.shape):
            value = values[at]
            values[at] = value + step
            high = np.sum(d_y * forward()[0])
            values[at] = value - step
            numeric[at] = (high - np.sum(d_y * forward()[0])) / (2 * step)
            values[at] = value
        error = np.abs(gradient - numeric).max(initial=0.0)
        assert error <= 1e-6 * max(1.0, np.abs(numeric).max(initial=0.0))
    for param in layer.params():
        param.clear()


def _sources(layer):
    inner = [part for _, part in layer._tree() if hasattr(part, "source")]
    return [part.source for part in inner]


def dense_gradient(param):
    """The gradient that a parameter was given, rows and all."""
    whole = np.zeros_like(param.value) if param.grad is None else param.grad.copy()
    for ids, rows, _ in param.rows:
        np.add.at(whole, ids, rows)
    return whole


def random_sparse(rng, n, m, density=0.2, dtype="float32", ones=False):
    """A CSR matrix (n, m) with about ``density`` of its elements set, negative values included."""
    dense = np.where(rng.random((n, m)) < density, 1.0 if ones else rng.normal(size=(n, m)), 0.0)
    return sp.csr_array(dense.astype(dtype))


def same_bits(a, b):
    """Whether two arrays are equal to the last bit (NaN and the sign of zero included)."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
