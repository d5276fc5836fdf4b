"""Ranks of relevant items on devices."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from devices import check_equals_cpu
from helpers import random_sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrec_core import PyrecWarning
from pyrec_core.kernels import ranking as K

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
each_policy = pytest.mark.parametrize("ties", K.TIES)


def draw(seed, n, n_items, share, excluded):
    rng = np.random.default_rng(seed)
    relevant = random_sparse(rng, n, n_items, share)
    return rng, relevant, random_sparse(rng, n, n_items, 0.3) if excluded else None


@dtypes
@each_policy
@settings(max_examples=10)
@given(
    shape=st.sampled_from([(0, 3), (1, 0), (1, 1), (3, 5), (4, 100), (1, 300)]),
    share=st.sampled_from([0.0, 0.02, 0.2]),
    excluded=st.booleans(),
    depth=st.sampled_from([None, 1, 20]),
    seed=st.integers(0, 2**32 - 1),
)
def test_ranks_in_scores_equal_cpu(devices, dtype, ties, shape, share, excluded, depth, seed):
    rng, relevant, exclude = draw(seed, *shape, share, excluded)
    scores = rng.integers(-3, 4, shape).astype(dtype)  # with many ties
    how = {"relevant": relevant, "exclude": exclude, "ties": ties, "depth": depth}
    check_equals_cpu(devices, K.ranks_in_scores, scores, **how, rtol=1e-15)


@dtypes
@each_policy
def test_special_scores(devices, dtype, ties):
    rng = np.random.default_rng(5)
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, np.finfo(dtype).tiny / 4, np.finfo(dtype).max], dtype)
    scores = rng.choice(special, (3, 300))
    how = {"relevant": random_sparse(rng, 3, 300, 0.05), "exclude": random_sparse(rng, 3, 300, 0.3), "ties": ties}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PyrecWarning)
        for depth in (None, 30):
            check_equals_cpu(devices, K.ranks_in_scores, scores, **how, depth=depth, rtol=1e-15)


def test_nan_are_counted_but_excluded_ones_are_not(devices):
    scores = np.array([[np.nan, 1.0, np.nan, np.nan, 2.0], [np.nan] * 5, [1.0, np.nan, 2.0, 3.0, 4.0]])
    relevant = sp.csr_array([[0, 1.0, 0, 1, 0], [0, 0, 0, 0, 0], [1.0, 0, 1, 0, 1]])
    exclude = sp.csr_array([[1.0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0]])
    with pytest.warns(PyrecWarning, match="^3 scores are NaN"):
        want = K.ranks_in_scores(scores, relevant, exclude)
    for device in devices:
        with device as on, pytest.warns(PyrecWarning, match="^3 scores are NaN"):
            got, _ = on(K.ranks_in_scores, scores, relevant, exclude)
        assert got.tolist() == want.tolist() == [2, 4, np.inf, 3, 1]


@dtypes
@each_policy
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("block", [1, 2, 100])
def test_ranks_in_factors_equal_cpu(devices, monkeypatch, dtype, ties, biased, block):
    n, n_items, d = 5, 90, 4
    rng, relevant, exclude = draw(block, n, n_items, 0.1, True)
    users, items, bias = (rng.integers(-3, 4, shape).astype(dtype) for shape in ((n, d), (n_items, d), n_items))
    monkeypatch.setattr(K, "_SCORE_BYTES", block * n_items * users.itemsize)
    how = {"item_bias": bias if biased else None, "ties": ties, "rtol": 1e-15}
    for some in (None, exclude):
        check_equals_cpu(devices, K.ranks_in_factors, users, items, relevant=relevant, exclude=some, **how)
        check_equals_cpu(devices, K.ranks_in_factors, users, items, relevant=relevant, exclude=some, depth=5, **how)


def test_host_and_device_arrays_do_not_mix(devices):
    x = np.ones((3, 2))
    for device in devices:
        with device as on, pytest.raises(TypeError, match="must all be NumPy arrays or all CuPy arrays"):
            K.ranks_in_factors(on.put(x), x, sp.eye_array(3))
