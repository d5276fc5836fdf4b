"""Optimizers on parameters: row and dense gradients, clipping, schedules, resuming."""

from copy import deepcopy
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from helpers import same_bits
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core import optim
from pyrec_core.optim import FTRL, SGD, Adadelta, Adagrad, Adam, ExponentialDecay, Param, RMSProp, resolve

ALL = [SGD(momentum=0.5), Adagrad(momentum=0.5), RMSProp(), Adadelta(), Adam(), FTRL(l1=0.01)]


def batches(n, rows=8, d=3, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        ids = rng.integers(0, rows, 6)
        yield ids, rng.normal(size=(6, d))


@pytest.mark.parametrize("optimizer", ALL, ids=lambda o: o.rule)
def test_dense_rows_are_the_step_with_the_dense_gradient(optimizer):
    rows, dense = Param(np.ones((8, 3))), Param(np.ones((8, 3)))
    optimizer = type(optimizer)(**{**vars(optimizer), "rows": "dense"})
    for ids, g in batches(5):
        rows.add_rows(ids, g)
        full = np.zeros((8, 3))
        np.add.at(full, ids, g)
        dense.add_grad(full)
        optimizer.step([rows])
        optimizer.step([dense])
    np.testing.assert_allclose(rows.value, dense.value, atol=1e-13)


@pytest.mark.parametrize("optimizer", [SGD(), Adagrad()], ids=lambda o: o.rule)
def test_lazy_rows_of_sgd_and_adagrad_are_the_dense_step(optimizer):
    lazy, dense = Param(np.ones((8, 3))), Param(np.ones((8, 3)))
    for ids, g in batches(5):
        for param in (lazy, dense):
            param.add_rows(ids, g)
        optimizer.step([lazy])
        type(optimizer)(rows="dense").step([dense])
    np.testing.assert_allclose(lazy.value, dense.value, atol=1e-13)


def test_exact_rows_of_adam_have_the_moments_of_the_dense_step():
    exact, dense = Param(np.ones((8, 3))), Param(np.ones((8, 3)))
    for ids, g in [*batches(5), (np.arange(8), np.ones((8, 3)))]:
        for param, rows in ((exact, "exact"), (dense, "dense")):
            param.add_rows(ids, g)
            Adam(rows=rows).step([param])
    np.testing.assert_allclose(exact.state["s0"], dense.state["s0"], atol=1e-13)
    np.testing.assert_allclose(exact.state["s1"], dense.state["s1"], atol=1e-13)


@pytest.mark.parametrize("optimizer", ALL, ids=lambda o: o.rule)
def test_every_optimizer_reaches_the_minimum_of_a_bowl(optimizer):
    centre = np.array([0.3, -0.2, 0.05])
    w = Param(np.zeros(3))
    rate = {"adadelta": 1.0, "rmsprop": 0.01}.get(optimizer.rule, 0.1)
    optimizer = type(optimizer)(**{**vars(optimizer), "learning_rate": rate})
    for _ in range(2000):
        w.add_grad(w.value - centre)
        optimizer.step([w])
    np.testing.assert_allclose(w.value, centre, atol=0.02)


def test_row_and_dense_gradients_of_one_parameter_add_up():
    w = Param(np.zeros((3, 2)))
    w.add_grad(np.ones((3, 2)))
    w.add_grad(np.ones((3, 2)))
    w.add_rows([1], np.full((1, 2), 5.0))
    w.add_rows([1, 0], np.full((2, 2), 1.0))
    SGD(learning_rate=1.0).step([w])
    np.testing.assert_array_equal(w.value, [[-3, -3], [-8, -8], [-2, -2]])
    assert w.grad is None
    assert w.rows == []


def test_rows_of_a_vector_and_of_a_cube():
    bias, cube = Param(np.zeros(4, "f4")), Param(np.zeros((4, 2, 3)))
    bias.add_rows([2, 2], np.array([1, 2], "f4"))
    cube.add_rows([1], np.ones((1, 2, 3)))
    Adagrad(learning_rate=1.0, eps=0.0).step([bias, cube])
    np.testing.assert_array_equal(bias.value, [0, 0, -1, 0])
    assert bias.state["s0"][2] == 9
    np.testing.assert_array_equal(cube.value[1], -np.ones((2, 3)))
    assert not cube.value[[0, 2, 3]].any()


def test_no_gradient_is_no_step():
    w = Param(np.ones((2, 2)))
    w.add_rows([], np.zeros((0, 2)))
    Adam().step([w])
    assert (w.t, w.state) == (0, {})


@given(seed=st.integers(0, 2**32 - 1))
def test_clipping_by_norm_counts_summed_rows_of_all_parameters(seed):
    rng = np.random.default_rng(seed)
    g, rows = rng.normal(size=5), rng.normal(size=(3, 2))
    norm = np.sqrt((g**2).sum() + ((rows[0] + rows[2]) ** 2).sum() + (rows[1] ** 2).sum())
    for limit in (norm / 3, norm * 3):
        a, b = Param(np.zeros(5)), Param(np.zeros((4, 2)))
        a.add_grad(g)
        b.add_rows([3, 1, 3], rows)
        SGD(learning_rate=1.0, clip_norm=float(limit)).step([a, b])
        factor = min(1, limit / norm)
        np.testing.assert_allclose(a.value, -factor * g)
        np.testing.assert_allclose(b.value[3], -factor * (rows[0] + rows[2]))


def test_clipping_by_value():
    w = Param(np.zeros(3))
    w.add_grad(np.array([0.5, -3.0, 7.0]))
    SGD(learning_rate=1.0, clip_value=2.0).step([w])
    np.testing.assert_array_equal(w.value, [-0.5, 2, -2])


@pytest.mark.parametrize("options", [{"clip_norm": 1.0}, {"clip_value": 1.0}])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_is_refused_and_nothing_changes(options, bad):
    if "clip_value" in options and bad == np.inf:
        return  # is clipped
    good, w = Param(np.zeros(2)), Param(np.zeros(2))
    good.add_grad(np.ones(2))
    w.add_grad(np.array([1.0, bad]))
    with pytest.raises(ValueError, match="gradients must be finite, got a norm of"):
        Adam(**options).step([good, w])
    assert not good.value.any()
    assert good.t == w.t == 0


def test_penalties():
    coupled, decoupled = Param(np.full(1, 2.0)), Param(np.full(1, 2.0))
    for param in (coupled, decoupled):
        param.add_grad(np.array([1.0]))
    SGD(learning_rate=0.1, l2=0.5).step([coupled])
    SGD(learning_rate=0.1, weight_decay=0.5).step([decoupled])
    for param in (coupled, decoupled):
        assert param.value[0] == pytest.approx(2 - 0.1 * (1 + 0.5 * 2))


def test_schedules():
    even = ExponentialDecay(learning_rate=0.8, factor=0.25, every=2, staircase=False)
    assert even(2) == pytest.approx(0.4)
    w = Param(np.zeros(1))
    for _ in range(3):
        w.add_grad(np.ones(1))
        SGD(learning_rate=lambda t: 10.0**-t).step([w])
    assert w.value[0] == pytest.approx(-0.111)


@pytest.mark.parametrize("optimizer", ALL, ids=lambda o: o.rule)
def test_a_copied_parameter_goes_on_with_the_same_bits(optimizer):
    w = Param(np.ones((8, 3), "f4"))
    steps = [(ids, g.astype("f4")) for ids, g in batches(6)]
    for ids, g in steps[:3]:
        w.add_rows(ids, g)
        optimizer.step([w])
    again = deepcopy(w)
    for param in (w, again):
        for ids, g in steps[3:]:
            param.add_rows(ids, g)
            optimizer.step([param], n_threads=1 if param is w else 2)
    assert same_bits(w.value, again.value)
    assert all(same_bits(w.state[name], again.state[name]) for name in w.state)
    assert repr(w) == "Param(float32 (8, 3), 6 steps)"


def test_resolve():
    assert resolve("adam") == Adam()
    assert resolve(SGD(momentum=0.9), 0.3) == SGD(momentum=0.9, learning_rate=0.3)
    with pytest.raises(ValueError, match=r"optimizer must be one of 'sgd', .*, got 'lbfgs'"):
        resolve("lbfgs")
    with pytest.raises(FrozenInstanceError):
        Adam().beta1 = 0.5


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda w: w.add_grad(np.ones(2)), ValueError, r"grad must have shape \(3, 2\), got \(2,\)"),
        (lambda w: w.add_grad(np.ones((3, 2), "f4")), TypeError, "grad must be float64, got float32"),
        (lambda w: w.add_rows([3], np.ones((1, 2))), ValueError, "ids must hold row ids in 0..2, got 1 unknown: 3"),
        (lambda w: w.add_rows([[1]], np.ones((1, 2))), ValueError, r"ids must be 1-D, got shape \(1, 1\)"),
        (lambda w: w.add_rows([1], np.ones((2, 2))), ValueError, r"rows must have shape \(1, 2\), got \(2, 2\)"),
        (lambda w: Param([1, 2]), TypeError, "value must be float32 or float64, got int64"),
        (lambda w: SGD(rows="exact").step([w]), ValueError, "rows must be one of 'lazy', 'dense', got 'exact'"),
        (lambda w: SGD(clip_norm=0.0).step([w]), ValueError, "clip_norm must be > 0.0, got 0.0"),
        (lambda w: SGD(learning_rate=-1.0).step([w]), ValueError, "learning_rate must be > 0.0, got -1.0"),
        (lambda w: ExponentialDecay(learning_rate=1.0, every=0)(1), ValueError, "every must be >= 1, got 0"),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    w = Param(np.zeros((3, 2)))
    w.add_grad(np.ones((3, 2)))
    with pytest.raises(error, match=message):
        call(w)


def test_public_names_have_docstrings():
    assert all(getattr(optim, name).__doc__ for name in optim.__all__)
