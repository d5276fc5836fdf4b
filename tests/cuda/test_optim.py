"""Optimizer steps on devices."""

import numpy as np
import pytest
from devices import check_equals_cpu
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core import _backend
from pyrec_core.kernels._groups import grouped
from pyrec_core.kernels.optim import RULES, coalesce, dense_step_, row_step_, state_names, sum_of_squares

DTYPES = ("float32", "float64")
OPTIONS = {"l1": 0.01, "l2": 0.1, "decay": 0.02, "beta1": 0.8, "beta2": 0.9}
MOMENTA = [{}, {"momentum": 0.8}, {"momentum": 0.8, "nesterov": True}]
KINDS = [(rule, momentum) for rule in RULES for momentum in MOMENTA if rule != "ftrl" or not momentum]


def states_of(rng, rule, w, momentum=0.0, track_rows=False):
    """States as after some steps."""
    names = state_names(rule, momentum=momentum, track_rows=track_rows)
    return {
        name: rng.integers(0, 6, len(w)) if name == "touched" else rng.random(w.shape).astype(w.dtype) for name in names
    }


def grouped_ids(rng, n, rows):
    """Ids of which one is frequent, as the value of a field with few of them."""
    return np.where(rng.random(n) < 0.3, rows - 1, rng.integers(0, rows, n)).astype(np.int32)


@pytest.mark.parametrize("rule", RULES)
def test_distinct_rows_need_no_sort(devices, rule):
    rng = np.random.default_rng(1)
    w, g, ids = rng.normal(size=(90, 5)), rng.normal(size=(40, 5)), np.arange(3, 83, 2, dtype=np.int32)
    states, options = states_of(rng, rule, w), {"rule": rule, "learning_rate": 0.1, "t": 9}
    check_equals_cpu(devices, row_step_, w, states, ids, g, distinct=True, **options)
    with pytest.raises(ValueError, match=r"ids must ascend without repeats where distinct=True, got .3, 7, 7"):
        row_step_(w, states, ids // 4 * 4 + 3, g, distinct=True, **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rule", "momentum"), KINDS)
@given(n=st.sampled_from([0, 1, 33, 700]), seed=st.integers(0, 2**32 - 1))
def test_dense_step_equals_cpu(devices, dtype, rule, momentum, n, seed):
    rng = np.random.default_rng(seed)
    w, g = rng.normal(size=(2, n)).astype(dtype)
    states = states_of(rng, rule, w, momentum.get("momentum", 0.0))
    options = {"rule": rule, "learning_rate": 0.1, "t": 3, **OPTIONS, **momentum}
    check_equals_cpu(devices, dense_step_, w, states, g, **options)
    if rule == "adam":
        check_equals_cpu(devices, dense_step_, w, states, g, eps_inside=True, **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rule", "momentum"), KINDS)
@pytest.mark.parametrize("shape", [(1, 1, 0), (1, 3, 1), (7, 1, 300), (40, 5, 33), (5, 300, 90)])
def test_row_step_equals_cpu(devices, dtype, rule, momentum, shape):
    rows, d, n = shape
    rng = np.random.default_rng(d)
    w, g = rng.normal(size=(rows, d)).astype(dtype), rng.normal(size=(n, d)).astype(dtype)
    ids = grouped_ids(rng, n, rows)
    for track_rows in {False, rule == "adam"}:
        states = states_of(rng, rule, w, momentum.get("momentum", 0.0), track_rows)
        check_equals_cpu(
            devices, row_step_, w, states, ids, g, rule=rule, learning_rate=0.1, t=9, **OPTIONS, **momentum
        )


@pytest.mark.parametrize("dtype", DTYPES)
@given(
    n=st.sampled_from([0, 1, 2, 65, 300]), d=st.sampled_from([0, 1, 3, 16, 33]), rows=st.sampled_from([1, 2, 50]),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_coalesce_equals_cpu(devices, dtype, n, d, rows, seed):
    rng = np.random.default_rng(seed)
    check_equals_cpu(devices, coalesce, grouped_ids(rng, n, rows), rng.normal(size=(n, d)).astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 700), (9000,)])
def test_sum_of_squares_equals_cpu(devices, dtype, shape):
    a = np.random.default_rng(0).normal(size=shape).astype(dtype)
    check_equals_cpu(devices, sum_of_squares, a, rtol=1e-12)
    if a.size:
        a.flat[-1] = np.inf
        check_equals_cpu(devices, sum_of_squares, a)


def test_bad_arguments_are_refused_on_devices_too(devices):
    w, g, ids = np.ones((2, 3)), np.ones((1, 3)), np.array([2])
    step = {"rule": "adagrad", "learning_rate": 0.1}
    for device in devices:
        with device as on:
            with pytest.raises(TypeError, match="must all be NumPy arrays or all CuPy arrays"):
                dense_step_(on.put(w), {"s0": w}, on.put(w), **step)
            with pytest.raises(TypeError, match=r"states\['s0'\] must be a float64 array, got float32"):
                dense_step_(on.put(w), {"s0": on.put(w.astype("f4"))}, on.put(w), **step)
            with pytest.raises(ValueError, match=r"ids must hold row ids in 0..1, got 1 unknown: 2"):
                row_step_(on.put(w), {"s0": on.put(w)}, on.put(ids), on.put(g), **step)


def test_groups_that_do_not_fit_are_refused(devices):
    for device in devices:
        with device as on:
            rows, groups = on.put(np.ones((3, 2))), grouped(on.put(np.array([4, 1, 4], np.int32)))
            for bad in (groups[:2], list(groups), groups._replace(starts=groups.starts[1:]), (*groups[:2], rows)):
                with pytest.raises(TypeError, match="incompatible function arguments"):
                    _backend.cuda().coalesce(0, on.put(np.ones((2, 2))), bad, rows)
            with pytest.raises(ValueError, match="sums has the wrong shape"):
                _backend.cuda().coalesce(0, on.put(np.ones((3, 2))), groups, rows)
