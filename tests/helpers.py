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


def random_sparse(rng, n, m, density=0.2, dtype="float32", ones=False):
    """A CSR matrix (n, m) with about ``density`` of its elements set, negative values included."""
    dense = np.where(rng.random((n, m)) < density, 1.0 if ones else rng.normal(size=(n, m)), 0.0)
    return sp.csr_array(dense.astype(dtype))


def same_bits(a, b):
    """Whether two arrays are equal to the last bit (NaN and the sign of zero included)."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
