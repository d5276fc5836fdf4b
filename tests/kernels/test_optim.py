"""Optimizer steps: against their formulas, sparse against dense, and the first steps by hand."""

import numpy as np
import pytest
from helpers import SIZES, same_bits
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.kernels.optim import RULES, coalesce, dense_step_, row_step_, state_names, sum_of_squares

SEED = st.integers(0, 2**32 - 1)
MOMENTA = [(0.0, False), (0.8, False), (0.8, True)]
KINDS = [(rule, *momentum) for rule in RULES for momentum in MOMENTA if not (rule == "ftrl" and momentum[0])]


def reference(rule, w, s, g, t, lr, momentum=0.0, nesterov=False, eps=1e-6, eps_inside=False, beta1=0.9, beta2=0.999,
              l1=0.0, l2=0.0, decay=0.0):  # fmt: skip
    """One step written from the formulas, in float64: returns weights and states."""
    w, s = w.astype("f8"), {name: a.astype("f8") for name, a in s.items()}
    if rule == "ftrl":
        n = s["s1"] + g**2
        z = s["s0"] + g - (np.sqrt(n) - np.sqrt(s["s1"])) / lr * w
        w = np.where(np.abs(z) <= l1, 0, -(z - np.sign(z) * l1) / ((beta1 + np.sqrt(n)) / lr + l2))
        return w, {"s0": z, "s1": n}
    g = g + l2 * w
    w = w - lr * decay * w
    if rule == "sgd":
        u = -lr * g
    elif rule == "adagrad":
        s["s0"] = s["s0"] + g**2
        u = -lr * g / np.sqrt(s["s0"] + eps)
    elif rule == "rmsprop":
        s["s0"] = beta1 * s["s0"] + (1 - beta1) * g**2
        u = -lr * g / np.sqrt(s["s0"] + eps)
    elif rule == "adadelta":
        s["s0"] = beta1 * s["s0"] + (1 - beta1) * g**2
        d = np.sqrt(s["s1"] + eps) / np.sqrt(s["s0"] + eps) * g
        s["s1"] = beta1 * s["s1"] + (1 - beta1) * d**2
        u = -lr * d
    else:
        s["s0"] = beta1 * s["s0"] + (1 - beta1) * g
        s["s1"] = beta2 * s["s1"] + (1 - beta2) * g**2
        m, v = s["s0"] / (1 - beta1**t), s["s1"] / (1 - beta2**t)
        u = -lr * m / (np.sqrt(v + eps) if eps_inside else np.sqrt(v) + eps)
    if momentum:
        s["velocity"] = momentum * s["velocity"] + u
        u = momentum * s["velocity"] + u if nesterov else s["velocity"]
    return w + u, s


def zeros(rule, shape, dtype, momentum=0.0, track_rows=False):
    names = state_names(rule, momentum=momentum, track_rows=track_rows)
    return {name: np.zeros(shape[:1], "i8") if name == "touched" else np.zeros(shape, dtype) for name in names}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rule", "momentum", "nesterov"), KINDS)
@given(shape=st.tuples(SIZES, SIZES), seed=SEED)
def test_dense_step_equals_its_formula(dtype, rule, momentum, nesterov, shape, seed):
    rng = np.random.default_rng(seed)
    options = {"momentum": momentum, "nesterov": nesterov, "l2": 0.01, "beta1": 0.7, "beta2": 0.9}
    options |= {"l1": 0.3} if rule == "ftrl" else {"decay": 0.1, "eps_inside": bool(seed % 2)}
    w, states = rng.normal(size=shape).astype(dtype), zeros(rule, shape, dtype, momentum)
    wanted, kept = w.astype("f8"), {name: a.astype("f8") for name, a in states.items()}
    for t in (1, 2, 3):
        g = rng.normal(size=shape).astype(dtype)
        dense_step_(w, states, g, rule=rule, learning_rate=0.1, t=t, **options)
        wanted, kept = reference(rule, wanted, kept, g.astype("f8"), t, 0.1, **options)
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-13}
    np.testing.assert_allclose(w, wanted, **tolerance)
    for name in states:
        np.testing.assert_allclose(states[name], kept[name], **tolerance)


@pytest.mark.parametrize(
    ("rule", "options", "step"),
    [("adam", {"eps": 1e-8}, -0.1), ("adagrad", {}, -0.1), ("rmsprop", {}, -0.3162),
     ("adadelta", {"beta1": 0.95}, -0.00447), ("sgd", {}, -0.03)],
)  # fmt: skip
def test_first_step_for_a_gradient_of_three_tenths(rule, options, step):
    w = np.zeros(1)
    lr = 1.0 if rule == "adadelta" else 0.1
    dense_step_(w, zeros(rule, (1,), "f8"), np.array([0.3]), rule=rule, learning_rate=lr, **options)
    assert w[0] == pytest.approx(step, rel=2e-3)


@pytest.mark.parametrize("lazy", [True, False])
def test_lazy_adam_and_dense_adam_differ_as_they_should(lazy):
    w, states = np.zeros((1, 1)), zeros("adam", (1, 1), "f8")
    for t, g in enumerate([1, 0, 0, 0.5, 0, -2], start=1):
        how = {"rule": "adam", "learning_rate": 0.1, "eps": 1e-8, "t": t}
        if not lazy:
            dense_step_(w, states, np.full((1, 1), float(g)), **how)
        elif g:
            row_step_(w, states, np.zeros(1, "i4"), np.full((1, 1), float(g)), **how)
    assert w[0, 0] == pytest.approx(-0.1559 if lazy else -0.3139, abs=5e-5)


@given(n=st.sampled_from([0, 1, 5, 40]), d=st.sampled_from([0, 1, 3, 17]), seed=SEED)
def test_tracked_rows_have_the_moments_of_the_dense_step(n, d, seed):
    rng = np.random.default_rng(seed)
    shape = (7, d)
    lazy, dense = np.zeros(shape), np.zeros(shape)
    tracked, moments = zeros("adam", shape, "f8", track_rows=True), zeros("adam", shape, "f8")
    how = {"rule": "adam", "learning_rate": 0.1, "beta1": 0.5, "beta2": 0.8}
    for t in (1, 2, 3, 4):
        ids = rng.integers(0, 7, n) if t < 4 else np.arange(7)  # at last all rows, which brings them up to date
        g = rng.normal(size=(len(ids), d))
        full = np.zeros(shape)
        np.add.at(full, ids, g)
        row_step_(lazy, tracked, ids, g, t=t, **how)
        dense_step_(dense, moments, full, t=t, **how)
    np.testing.assert_allclose(tracked["s0"], moments["s0"], atol=1e-12)
    np.testing.assert_allclose(tracked["s1"], moments["s1"], atol=1e-12)
    np.testing.assert_array_equal(tracked["touched"], np.full(7, 4))


@pytest.mark.parametrize("rule", RULES)
@given(n=st.sampled_from([0, 1, 2, 9, 100]), d=st.sampled_from([0, 1, 3, 17]), seed=SEED)
def test_row_step_is_the_dense_step_on_the_touched_rows(rule, n, d, seed):
    rng = np.random.default_rng(seed)
    rows = 12
    ids, g = rng.integers(0, rows, n), rng.normal(size=(n, d))
    w = rng.normal(size=(rows, d))
    full = np.zeros((rows, d))
    np.add.at(full, ids, g)
    sparse, dense = w.copy(), w.copy()
    sparse_states, dense_states = (zeros(rule, w.shape, "f8") for _ in range(2))
    row_step_(sparse, sparse_states, ids, g, rule=rule, learning_rate=0.1)
    dense_step_(dense, dense_states, full, rule=rule, learning_rate=0.1)
    hit = np.isin(np.arange(rows), ids)
    np.testing.assert_allclose(sparse[hit], dense[hit], atol=1e-13)
    np.testing.assert_array_equal(sparse[~hit], w[~hit])
    if rule in ("sgd", "adagrad"):
        np.testing.assert_allclose(sparse, dense, atol=1e-13)
    for name, state in sparse_states.items():
        np.testing.assert_allclose(state[hit], dense_states[name][hit], atol=1e-13)
        assert not state[~hit].any()


def test_the_square_of_the_sum_counts_and_not_the_last_duplicate():
    w, states = np.zeros((1, 1)), zeros("adagrad", (1, 1), "f8")
    row_step_(w, states, np.zeros(2, "i4"), np.array([[1.0], [2.0]]), rule="adagrad", learning_rate=1.0)
    assert states["s0"][0, 0] == 9


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(n=SIZES, d=SIZES, top=st.sampled_from([1, 3, 2000, 2**22, 2**31 - 2]), seed=SEED)
def test_coalesce_sums_the_rows_of_an_id_in_their_order(dtype, n, d, top, seed):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, top, n)
    ids[: n // 2] = ids[n - n // 2 :]
    rows = rng.normal(size=(n, d)).astype(dtype)
    unique, sums = coalesce(ids, rows)
    np.testing.assert_array_equal(unique, np.unique(ids))
    for one, total in zip(unique, sums, strict=True):
        wanted = np.zeros(d, dtype)
        for row in rows[ids == one]:
            wanted = wanted + row
        np.testing.assert_array_equal(total, wanted)


@pytest.mark.parametrize("n", [0, 1, 5000, 20011])
def test_sum_of_squares(n):
    a = np.random.default_rng(n).normal(size=n)
    assert sum_of_squares(a) == pytest.approx(float(np.sum(a * a)), rel=1e-13)
    assert sum_of_squares(a.astype("f4")) == pytest.approx(float(np.sum(a * a)), rel=1e-6)
    if n:
        a[n // 2] = np.nan
        assert np.isnan(sum_of_squares(a))


def test_steps_have_the_same_bits_for_any_number_of_threads():
    rng = np.random.default_rng(0)
    ids, g = (rng.zipf(1.3, 30000) % 5000).astype("i4"), rng.normal(size=(30000, 10)).astype("f4")
    found = []
    for n_threads in (1, 2, 3, 8):
        w, states = np.ones((5000, 10), "f4"), zeros("adam", (5000, 10), "f4", 0.5)
        how = {"rule": "adam", "learning_rate": 0.1, "momentum": 0.5, "n_threads": n_threads}
        row_step_(w, states, ids, g, **how)
        dense_step_(w, states, g[:5000], t=2, **how)
        found.append((w, *states.values(), np.array(sum_of_squares(g, n_threads=n_threads))))
    for other in found[1:]:
        assert all(same_bits(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"weights": np.zeros((3, 2), int)}, TypeError, "weights must be float32 or float64, got int64"),
        ({"weights": np.zeros((2, 3)).T}, ValueError, "weights must be C-contiguous and writeable"),
        ({"weights": np.zeros(3)}, ValueError, r"weights must be 2-D, got shape \(3,\)"),
        ({"states": {}}, ValueError, r"states must hold \('s0',\) for adagrad, got \(\)"),
        ({"states": {"s0": np.zeros((3, 2), "f4")}}, TypeError, "states.'s0'. must be a float64 array, got float32"),
        ({"states": {"s0": np.zeros((2, 2))}}, ValueError, "states.'s0'. must be .* of shape .3, 2., got shape .2, 2."),
        ({"ids": [0, 3]}, ValueError, "ids must hold row ids in 0..2, got 1 unknown: 3"),
        ({"grad": np.zeros((2, 3))}, ValueError, r"grad must have shape \(2, 2\), got \(2, 3\)"),
        ({"rule": "adam2"}, ValueError, "rule must be one of 'sgd', .*, got 'adam2'"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be > 0.0, got 0.0"),
        ({"rule": "sgd", "momentum": 1.0, "states": {"velocity": np.zeros((3, 2))}}, ValueError, "momentum must be <"),
        ({"beta2": 1.0}, ValueError, "beta2 must be < 1, got 1.0"),
        ({"l2": -1.0}, ValueError, "l2 must be >= 0.0, got -1.0"),
        ({"t": 0}, ValueError, "t must be >= 1, got 0"),
        ({"states": {"s0": np.zeros((3, 2)), "touched": np.zeros(3, int)}}, ValueError, "'touched' for adam only"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(change, error, message):
    arguments = {"weights": np.zeros((3, 2)), "states": {"s0": np.zeros((3, 2))}, "ids": [0, 1],
                 "grad": np.zeros((2, 2)), "rule": "adagrad", "learning_rate": 0.1, **change}  # fmt: skip
    with pytest.raises(error, match=message):
        row_step_(**arguments)
