"""The fused heads: an output layer with its loss, beside the same written out."""

import numpy as np
import pytest
from helpers import same_bits
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.kernels import losses

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
LOSSES = {
    "cross-entropy": losses.softmax_cross_entropy,
    "bpr": losses.bpr,
    "top1": losses.top1,
    "top1-max": losses.top1_max,
    "bpr-max": losses.bpr_max,
}


def layer(rng, n_rows, n_items, d, dtype, scale=1.0):
    return (
        (scale * rng.normal(size=(n_rows, d))).astype(dtype),
        rng.normal(size=(n_items, d)).astype(dtype),
        rng.normal(size=n_items).astype(dtype),
    )


def full_reference(hidden, weight, bias, target, divisor=None):
    hidden, weight = hidden.astype("f8"), weight.astype("f8")
    scores = hidden @ weight.T + (0.0 if bias is None else bias)
    log_p = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    rows = np.arange(len(target))
    d_scores = np.exp(log_p)
    d_scores[rows, target] -= 1.0
    divisor = divisor or max(len(target), 1)
    d_scores /= divisor
    return -log_p[rows, target].sum() / divisor, d_scores @ weight, d_scores.T @ hidden, d_scores.sum(0)


def close(got, want, dtype):
    tolerance = 1e-4 if dtype == "float32" else 1e-11
    scale = max(np.abs(want).max(initial=0.0), 1e-30)
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * scale)


@dtypes
@given(
    n_rows=st.sampled_from([0, 1, 2, 13, 14, 15, 40, 100]),
    n_items=st.sampled_from([1, 2, 31, 33, 255, 256, 257, 600, 1500]),
    d=st.sampled_from([1, 3, 16, 17, 32, 50, 100]),
    with_bias=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_full_softmax_equals_its_definition(dtype, n_rows, n_items, d, with_bias, seed):
    rng = np.random.default_rng(seed)
    hidden, weight, bias = layer(rng, n_rows, n_items, d, dtype)
    bias = bias if with_bias else None
    target = rng.integers(0, n_items, n_rows)
    loss, d_hidden, d_weight, d_bias = losses.full_softmax(hidden, weight, bias, target)
    want = full_reference(hidden, weight, bias, target)
    assert loss == pytest.approx(want[0], rel=1e-4 if dtype == "float32" else 1e-11, abs=1e-6)
    close(d_hidden, want[1], dtype)
    close(d_weight, want[2], dtype)
    if with_bias:
        close(d_bias, want[3], dtype)
    else:
        assert d_bias is None


def test_full_softmax_gradients_are_those_of_the_loss():
    rng = np.random.default_rng(0)
    arrays = list(layer(rng, 5, 9, 4, "float64"))
    target = np.array([8, 0, 3, 3, 1])
    got = losses.full_softmax(*arrays, target)[1:]
    for which, d in enumerate(got):
        numeric = np.empty_like(d)
        for at in np.ndindex(*d.shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = [a.copy() for a in arrays]
                moved[which][at] += step
                ends.append(losses.full_softmax(*moved, target)[0])
            numeric[at] = (ends[0] - ends[1]) / 2e-6
        assert np.abs(d - numeric).max() < 1e-6 * np.abs(numeric).max()


@dtypes
def test_full_softmax_in_several_blocks_of_rows(dtype):
    """More scores than are held at a time: blocks of rows add up."""
    rng = np.random.default_rng(1)
    n_items = 700_000 if dtype == "float32" else 350_000
    hidden, weight, bias = layer(rng, 70, n_items, 3, dtype)
    target = rng.integers(0, n_items, 70)
    got = losses.full_softmax(hidden, weight, bias, target, divisor=10)
    want = full_reference(hidden, weight, bias, target, divisor=10)
    assert got[0] == pytest.approx(want[0], rel=1e-5)
    for a, b in zip(got[1:], want[1:], strict=True):
        close(a, b, dtype)


@dtypes
def test_full_softmax_does_not_overflow(dtype):
    rng = np.random.default_rng(2)
    hidden, weight, bias = layer(rng, 20, 3000, 8, dtype, scale=300.0)
    target = rng.integers(0, 3000, 20)
    loss, d_hidden, d_weight, d_bias = losses.full_softmax(hidden, weight, bias, target)
    want = full_reference(hidden, weight, bias, target)
    assert loss == pytest.approx(want[0], rel=1e-5)
    close(d_hidden, want[1], dtype)
    close(d_weight, want[2], dtype)
    assert np.isfinite(d_bias).all()


def test_full_softmax_keeps_a_small_loss():
    """The target wins by 25: loss and gradient are exp(-25), not what is left of 1 - 1."""
    hidden, weight = np.array([[5.0]], "f4"), np.array([[5.0], [0.0]], "f4")
    loss, d_hidden, d_weight, _ = losses.full_softmax(hidden, weight, None, [0])
    assert loss == pytest.approx(np.exp(-25.0), rel=1e-5)
    np.testing.assert_allclose(d_weight[:, 0], np.array([-5.0, 5.0]) * np.exp(-25.0), rtol=1e-5)
    np.testing.assert_allclose(d_hidden, -5.0 * np.exp(-25.0), rtol=1e-5)


@dtypes
def test_full_softmax_bits_do_not_depend_on_threads(dtype):
    rng = np.random.default_rng(3)
    hidden, weight, bias = layer(rng, 90, 5000, 37, dtype)
    target = rng.integers(0, 5000, 90)
    one = losses.full_softmax(hidden, weight, bias, target, n_threads=1)
    for n_threads in (2, 3, 8):
        some = losses.full_softmax(hidden, weight, bias, target, n_threads=n_threads)
        assert some[0] == one[0]
        assert all(same_bits(a, b) for a, b in zip(some[1:], one[1:], strict=True))


@dtypes
@pytest.mark.parametrize("loss", LOSSES)
@given(
    m=st.sampled_from([0, 1, 2, 14, 30]),
    more=st.sampled_from([1, 2, 30, 300, 1000]),
    d=st.sampled_from([1, 16, 33, 100]),
    with_bias=st.booleans(),
    mask=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_sampled_softmax_equals_its_steps(dtype, loss, m, more, d, with_bias, mask, seed):
    rng = np.random.default_rng(seed)
    hidden, weight, bias = layer(rng, m + 3, 500, d, dtype, scale=0.3)
    ids = rng.integers(0, 500, m + more)
    value, d_hidden, (rows, d_rows), d_bias = losses.sampled_softmax(
        hidden, weight, bias if with_bias else None, ids, m, loss=loss, mask_collisions=mask
    )
    exact = hidden[:m].astype("f8") @ weight[ids].T.astype("f8") + (bias[ids] if with_bias else 0.0)
    want, d_scores = LOSSES[loss](exact, item_ids=ids if mask else None)
    assert rows.tolist() == ids.tolist()
    assert rows.dtype == np.int32
    assert value == pytest.approx(want, rel=1e-4 if dtype == "float32" else 1e-10, abs=1e-6)
    close(d_hidden, d_scores @ weight[ids].astype("f8"), dtype)
    close(d_rows, d_scores.T @ hidden[:m].astype("f8"), dtype)
    if with_bias:
        close(d_bias, d_scores.sum(0), dtype)
    else:
        assert d_bias is None


def test_sampled_softmax_passes_its_parameters_on():
    rng = np.random.default_rng(4)
    hidden, weight, bias = layer(rng, 6, 40, 5, "float64")
    ids, log_q = rng.integers(0, 40, 20), rng.normal(size=20)
    scores = hidden @ weight[ids].T + bias[ids]
    for loss, parameters in [
        ("cross-entropy", {"log_q": log_q, "label_smoothing": 0.2, "divisor": 9}),
        ("bpr", {"reduction": "sum", "elu": 0.5}),
        ("bpr-max", {"reg": 0.7, "reg_form": "plain", "elu": 1.0}),
        ("bpr-max", {"reg": 0.7}),
    ]:
        got = losses.sampled_softmax(hidden, weight, bias, ids, 6, loss=loss, **parameters)
        assert got[0] == pytest.approx(LOSSES[loss](scores, **parameters)[0], rel=1e-12)


@dtypes
def test_sampled_softmax_bits_do_not_depend_on_threads(dtype):
    rng = np.random.default_rng(5)
    hidden, weight, bias = layer(rng, 50, 3000, 40, dtype)
    ids = rng.integers(0, 3000, 1500)

    def results(n_threads):
        loss, d_hidden, (_, d_rows), d_bias = losses.sampled_softmax(
            hidden, weight, bias, ids, 50, loss="bpr-max", reg=1.0, n_threads=n_threads
        )
        return np.array(loss), d_hidden, d_rows, d_bias

    one = results(1)
    for n_threads in (2, 3, 8):
        assert all(same_bits(a, b) for a, b in zip(results(n_threads), one, strict=True))


h, w, b = np.ones((2, 3)), np.ones((5, 3)), np.ones(5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: losses.full_softmax(h, w.astype("f4"), b, [0, 1]), TypeError, "weight must be float64 like hidden"),
        (lambda: losses.full_softmax(h, w[:, :2], b, [0, 1]), ValueError, "weight must have 3 columns like hidden"),
        (lambda: losses.full_softmax(h, w, b[:4], [0, 1]), ValueError, r"bias must have shape \(5,\), got \(4,\)"),
        (lambda: losses.full_softmax(h, w, b, [0, 5]), ValueError, r"target must hold item ids .* unknown: 5"),
        (lambda: losses.full_softmax(h, w, b, [0]), ValueError, "target must have 2 ids"),
        (lambda: losses.full_softmax(h, w, b, [0, 1], divisor=-1), ValueError, "divisor must be > 0.0, got -1"),
        (lambda: losses.sampled_softmax(h, w, b, [0, 1, 5], 2), ValueError, "item_ids must hold item ids"),
        (lambda: losses.sampled_softmax(h, w, b, [0, 1], 3), ValueError, "n_rows must be <= 2, got 3"),
        (lambda: losses.sampled_softmax(h, w, b, [0], 2), ValueError, "scores must have a column for each of 2 rows"),
        (lambda: losses.sampled_softmax(h, w, b, [0, 1], 2, loss="bce"), ValueError, "loss must be one of 'cross-en"),
        (
            lambda: losses.sampled_softmax(h, w, b, [0, 1], 2, loss="bpr", reg=1.0),
            ValueError,
            "reg must be 0.0 for loss='bpr', got 1.0",
        ),
        (
            lambda: losses.sampled_softmax(h, w, b, [0, 1], 2, np.zeros(2), loss="top1"),
            ValueError,
            "log_q must be None for loss='top1'",
        ),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
