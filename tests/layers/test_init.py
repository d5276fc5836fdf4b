"""First values of parameters: their distribution, and that nothing but the seed decides them."""

import numpy as np
import pytest
from helpers import same_bits
from scipy import stats

from pyrec_core._backend import use_threads
from pyrec_core.kernels.random import uniform
from pyrec_core.layers import Source, _init, glorot_uniform, he_normal, lecun_normal, normal

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


@dtypes
@pytest.mark.parametrize(("fan", "total"), [(None, 500), ((1, 5), 6)])
def test_glorot_fills_its_range_evenly(dtype, fan, total):
    w = glorot_uniform((200, 300), Source(0), dtype=dtype, fan=fan)
    limit = np.sqrt(6 / total)
    assert w.dtype == dtype
    assert w.shape == (200, 300)
    assert np.abs(w).max() <= limit * (1 + 1e-7)
    assert stats.kstest(w.reshape(-1), stats.uniform(-limit, 2 * limit).cdf).pvalue > 0.01


@dtypes
@pytest.mark.parametrize(
    ("make", "std"), [(he_normal, np.sqrt(2 / 250)), (lecun_normal, np.sqrt(1 / 250)), (None, 0.3)]
)
def test_normal_values_are_normal(dtype, make, std):
    make = make or (lambda *a, **k: normal(*a, std=std, **k))
    w = make((250, 400), Source(0), dtype=dtype)
    assert w.dtype == dtype
    assert stats.kstest(w.reshape(-1), stats.norm(0, std).cdf).pvalue > 0.01
    pairs = w.reshape(-1, 2).T
    assert abs(np.corrcoef(pairs)[0, 1]) < 0.02
    assert abs(np.corrcoef(np.abs(pairs))[0, 1]) < 0.02


def test_values_are_box_and_mullers():
    u = uniform(4, seed=7, purpose="init")
    wanted = [np.sqrt(-2 * np.log(1 - u[0])) * np.sin(2 * np.pi * u[1]),
              np.sqrt(-2 * np.log(1 - u[2])) * np.cos(2 * np.pi * u[3])]  # fmt: skip
    np.testing.assert_allclose(normal((3,), Source(7), std=1.0, dtype="f8")[1:], wanted, rtol=1e-12)


@pytest.mark.parametrize("make", [glorot_uniform, he_normal])
def test_a_seed_means_the_same_values_anywhere(make, monkeypatch):
    with use_threads(1):
        one = make((37, 11), Source(3))
    with use_threads(3):
        three = make((37, 11), Source(3))
    monkeypatch.setattr(_init, "_BLOCK", 64)
    assert same_bits(one, three)
    assert same_bits(one, make((37, 11), Source(3)))
    assert not same_bits(one, make((37, 11), Source(4)))
    np.testing.assert_allclose(make((37, 11), Source(3), dtype="f8"), one, atol=2e-7)


@pytest.mark.parametrize("make", [glorot_uniform, he_normal])
def test_what_was_taken_before_is_not_taken_again(make):
    source = Source(0)
    first, second = make((5, 3), source), make((5, 3), source)
    assert not np.isin(first, second).any()
    assert make((0, 4), source).shape == (0, 4)
    assert make((1,), source).shape == (1,)
