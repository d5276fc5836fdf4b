"""math.hpp over the bit patterns of float32: every 251st, or all of them with PYREC_MATH_STRIDE=1 (make exhaustive)."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pyrec_core._backend import cpu, default_threads

STRIDE = int(os.environ.get("PYREC_MATH_STRIDE", "251"))
CHUNK = 1 << 15  # numbers at a time: their float64 arrays stay in cache
SMALLEST_NORMAL = 2.0**-126


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1.0 + e)


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0.0)


# name: float64 reference, domain, largest error in units of the last place, whether denormal results may be 0
FUNCTIONS = {
    "exp": (np.exp, -np.inf, np.inf, 1.1, False),
    "exp_flushed": (np.exp, -np.inf, 88.0, 1.1, True),
    "expm1_nonpositive": (np.expm1, -np.inf, 0.0, 1.1, False),
    "log": (np.log, -np.inf, np.inf, 1.0, False),
    "log1p": (np.log1p, -np.inf, np.inf, 1.7, False),
    "log1p_unit": (np.log1p, 0.0, 1.0, 1.7, False),
    "sigmoid": (sigmoid, -np.inf, np.inf, 2.6, True),
    "softplus": (softplus, -np.inf, np.inf, 2.0, True),
    "tanh": (np.tanh, -np.inf, np.inf, 2.8, False),
}


def native(name, x):
    out = np.empty_like(x)
    cpu().math_map(1, out, x, name)
    return out


def worst_error(name, x):
    """The largest error among numbers x in ulp; NaN, infinity and denormals are asserted on the way."""
    reference, low, high, _, flushed = FUNCTIONS[name]
    x = x[~((x < low) | (x > high))]  # NaN stays
    got = native(name, x)
    with np.errstate(all="ignore"):
        want = reference(x.astype(np.float64))
        rounded = want.astype(np.float32)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
        infinite = np.isinf(rounded) | np.isinf(got)
        np.testing.assert_array_equal(got[infinite], rounded[infinite])
        error = np.abs(got - want) / np.spacing(np.abs(rounded))
    if flushed:
        error[(np.abs(want) < SMALLEST_NORMAL) & (got == 0)] = 0.0
    return error[~infinite & ~np.isnan(want)].max(initial=0.0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_is_right_to_the_last_places(name, simd_level):
    step = CHUNK * STRIDE

    def worst_of(start):
        bits = np.arange(start, min(start + step, 2**32), STRIDE, dtype=np.uint64).astype(np.uint32)
        return worst_error(name, bits.view(np.float32))

    with ThreadPoolExecutor(default_threads()) as pool:
        worst = max(pool.map(worst_of, range(0, 2**32, step)))
    print(f"{simd_level} {name}: {worst:.3f} ulp at most, every {STRIDE}th float32")
    assert worst <= FUNCTIONS[name][3]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_around_the_edges(name):
    edges = np.array(
        [0.0, -0.0, 1.0, -1.0, 0.5, 2**-149, 2**-126, 88.0, 88.7, 88.8, -87.3, -87.4, -103.9, -104.0, 0.41421356,
         16777216.0, 3.4e38, np.inf, -np.inf, np.nan], np.float32
    )  # fmt: skip
    near = [np.nextafter(edges, np.float32(to)) for to in (-np.inf, np.inf)]
    assert worst_error(name, np.concatenate([edges, -edges, *near])) <= FUNCTIONS[name][3]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float64_equals_numpy(name):
    reference, low, high, _, _ = FUNCTIONS[name]
    x = np.concatenate([np.linspace(-40.0, 40.0, 1001), [np.inf, -np.inf, np.nan, 1e-300, -1e-300]])
    x = x[~((x < low) | (x > high))]
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(native(name, x), reference(x), rtol=1e-14, atol=0)


def test_unknown_function_is_refused():
    with pytest.raises(ValueError, match="no such function: cosh"):
        native("cosh", np.zeros(1))
