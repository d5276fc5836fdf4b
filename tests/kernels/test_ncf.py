"""The network of neural collaborative filtering: its formula, its gradients, its arguments, and its bits."""

from itertools import pairwise

import numpy as np
import pytest
from helpers import same_bits
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.kernels.ncf import NCFParameters, ncf_backward, ncf_forward

TOWERS = [(3, ()), (0, (4, 3)), (2, (6, 5, 4, 3)), (1, (2, 40, 17)), (5, (70, 33))]


def network(g, tower, dtype=np.float64, seed=0, n_users=6, n_items=7):
    rng = np.random.default_rng(seed)
    d = g + (tower[0] // 2 if tower else 0)

    def draw(*shape):
        return rng.normal(size=shape).astype(dtype)

    weights = [draw(n, m) / np.sqrt(n).astype(dtype) for n, m in pairwise(tower)]
    biases = [np.abs(draw(m)) for m in tower[1:]]  # so that few units are dead
    head = draw(g + (tower[-1] if tower else 0))
    return NCFParameters(draw(n_users, d), draw(n_items, d), weights, biases, head, draw(1))


def pairs(n, seed=0, n_users=6, n_items=7):
    rng = np.random.default_rng(seed)
    return rng.integers(0, n_users, n), rng.integers(0, n_items, n)


def masks_for(params, n, seed=0):
    rng = np.random.default_rng(seed)
    dtype = params.users.dtype
    return [(rng.random((n, len(b))) < 0.7).astype(dtype) / dtype.type(0.7) for b in params.biases]


def by_hand(params, users, items, masks=()):
    """The formula, pair by pair, in float64."""
    logits, layers = [], []
    foot = len(params.weights[0]) if params.weights else 0
    for b, (user, item) in enumerate(zip(users, items, strict=True)):
        p, q = params.users[user].astype(float), params.items[item].astype(float)
        g = len(p) - foot // 2
        z, kept = np.concatenate([p[g:], q[g:]]), []
        for layer, (w, bias) in enumerate(zip(params.weights, params.biases, strict=True)):
            z = np.maximum(0, (z[:, None] * w).sum(axis=0) + bias) * (masks[layer][b] if masks else 1)
            kept.append(z)
        top = z if params.weights else []
        logits.append((params.head * np.concatenate([p[:g] * q[:g], top])).sum() + params.offset[0])
        layers.append(np.concatenate(kept) if kept else [])
    width = sum(len(b) for b in params.biases)
    return np.array(logits, float).reshape(len(users)), np.array(layers, float).reshape(len(users), width)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(n=st.integers(0, 40), case=st.sampled_from(TOWERS), seed=st.integers(0, 99), masked=st.booleans())
def test_forward_is_the_formula(dtype, n, case, seed, masked):
    params, (users, items) = network(*case, dtype, seed), pairs(n, seed)
    masks = masks_for(params, n, seed) if masked else ()
    logits, kept = ncf_forward(params, users, items, masks)
    assert logits.dtype == kept.dtype == dtype
    expected, layers = by_hand(params, users, items, masks)
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if dtype == np.float32 else {"rtol": 1e-11, "atol": 1e-11}
    np.testing.assert_allclose(logits, expected, **tolerance)
    np.testing.assert_allclose(kept, layers, **tolerance)


@pytest.mark.parametrize("case", TOWERS)
@pytest.mark.parametrize("masked", [False, True])
def test_backward_is_the_gradient(case, masked):
    params, (users, items) = network(*case), pairs(9)
    masks = masks_for(params, 9) if masked else ()
    d_logits = np.random.default_rng(1).normal(size=9)
    _, kept = ncf_forward(params, users, items, masks)
    found = ncf_backward(d_logits, kept, params, users, items, masks)

    def value():
        return (by_hand(params, users, items, masks)[0] * d_logits).sum()

    def numeric(array):
        slopes = np.empty_like(array)
        for at in np.ndindex(array.shape):
            before = array[at]
            array[at] = before + 1e-6
            above = value()
            array[at] = before - 1e-6
            slopes[at] = (above - value()) / 2e-6
            array[at] = before
        return slopes

    tables = [np.zeros_like(params.users), np.zeros_like(params.items)]
    for table, ids, rows in zip(tables, (users, items), found[:2], strict=True):
        np.add.at(table, ids, rows)
    ours = [*tables, *found.weights, *found.biases, found.head, found.offset]
    theirs = [params.users, params.items, *params.weights, *params.biases, params.head, params.offset]
    for gradient, array in zip(ours, theirs, strict=True):
        slopes = numeric(array)
        assert np.abs(slopes).max(initial=0) > 0
        assert np.abs(gradient - slopes).max(initial=0) <= 1e-6 * np.abs(slopes).max(initial=1e-9)


@pytest.mark.parametrize("case", TOWERS)
@pytest.mark.parametrize("n", [511, 512, 1300])
def test_float32_is_float64_and_pairs_do_not_depend_on_others(case, n):
    users, items = pairs(n)
    d_logits = np.random.default_rng(1).normal(size=n)
    single, double = network(*case, np.float32), network(*case)
    (logits, kept), (exact, layers) = (ncf_forward(params, users, items) for params in (single, double))
    np.testing.assert_allclose(logits, exact, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(ncf_forward(single, users[500:], items[500:])[0], logits[500:])
    ours = ncf_backward(d_logits.astype("f4"), kept, single, users, items)
    theirs = ncf_backward(d_logits, layers, double, users, items)
    for a, b in zip([*ours.weights, ours.head, ours.users], [*theirs.weights, theirs.head, theirs.users], strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-2, atol=2e-3 * np.abs(b).max(initial=1e-9))


def test_same_bits_for_any_number_of_threads():
    params, (users, items) = network(5, (70, 33, 20), np.float32), pairs(3000)
    d_logits = np.random.default_rng(1).normal(size=3000).astype(np.float32)
    masks = masks_for(params, 3000)

    def both(n_threads):
        logits, kept = ncf_forward(params, users, items, masks, n_threads=n_threads)
        found = ncf_backward(d_logits, kept, params, users, items, masks, n_threads=n_threads)
        return [logits, kept, found.users, found.items, *found.weights, *found.biases, found.head, found.offset]

    wanted = both(1)
    for n_threads in (2, 3, 8):
        assert all(same_bits(a, b) for a, b in zip(both(n_threads), wanted, strict=True))


def test_nan_is_not_hidden():
    params = network(2, (6, 5, 4))
    params.users[3] = np.nan
    logits, _ = ncf_forward(params, [3, 1], [0, 0])
    assert np.isnan(logits).tolist() == [True, False]


def test_bad_arguments_are_refused():
    params, (users, items) = network(2, (6, 5, 4)), pairs(3)
    _, kept = ncf_forward(params, users, items)
    cases = [
        ((params._replace(items=params.items[:, :-1]), users, items), ValueError, r"params.items must have shape"),
        ((params._replace(users=params.users.astype(int)), users, items), TypeError, "params.users must be float32 or"),
        ((params._replace(head=params.head.astype("f4")), users, items), TypeError, "params.head must be float64"),
        ((params._replace(head=params.head[:-1]), users, items), ValueError, r"params.head must have shape \(6,\)"),
        ((params._replace(offset=np.zeros(2)), users, items), ValueError, r"params.offset must have shape \(1,\)"),
        ((params._replace(biases=params.biases[:1]), users, items), ValueError, "params must have a bias"),
        ((params._replace(weights=[params.weights[0][:5], *params.weights[1:]]), users, items), ValueError,
         r"params.weights\[0\] must have an even number of rows, at most 10, got 5"),
        ((params._replace(weights=params.weights[::-1], biases=params.biases[::-1]), users, items), ValueError,
         r"params.weights\[0\] must have an even"),
        ((params, users, items[:2]), ValueError, r"items must be as many as users \(3\), got 2"),
        ((params, [0, 1, 6], items), ValueError, "users must hold user ids in 0..5"),
        ((params, users, [0, -1, 1]), ValueError, "items must hold item ids in 0..6"),
        ((params, users, [0.0, 1.0, 2.0]), TypeError, "items must be integers"),
        ((params, users, items, [np.ones((3, 5))]), ValueError, "masks may have one, for each of 2 weights"),
        ((params, users, items, [np.ones((3, 5)), np.ones((3, 3))]), ValueError, r"masks\[1\] must have shape"),
    ]  # fmt: skip
    for arguments, error, message in cases:
        with pytest.raises(error, match=f"{message}"):
            ncf_forward(*arguments)
    for d_logits, activations, message in ((np.zeros(2), kept, "d_logits"), (np.zeros(3), kept[:, 1:], "kept")):
        with pytest.raises(ValueError, match=f"^{message} must have shape"):
            ncf_backward(d_logits, activations, params, users, items)
