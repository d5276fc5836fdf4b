"""Losses on devices."""

import numpy as np
import pytest
import scipy.sparse as sp
from devices import check_equals_cpu
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrec_core.kernels import _losses_heads
from pyrec_core.kernels import losses as L

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
SAMPLED = {
    "cross-entropy": (L.softmax_cross_entropy, [{}, {"label_smoothing": 0.1}, {"divisor": 7.0}]),
    "bpr": (L.bpr, [{}, {"reduction": "sum", "elu": 0.5}]),
    "top1": (L.top1, [{}, {"reduction": "sum", "elu": 0.5}]),
    "top1-max": (L.top1_max, [{}, {"elu": 0.5, "divisor": 7.0}]),
    "bpr-max": (L.bpr_max, [{}, {"reg": 1.0}, {"reg": 0.5, "reg_form": "plain"}, {"reg": 1.0, "elu": 0.5}]),
}
VARIANTS = [(kind, parameters) for kind, (_, some) in SAMPLED.items() for parameters in some]
variants = pytest.mark.parametrize(("kind", "parameters"), VARIANTS, ids=str)
SHAPES = [(0, 0), (0, 3), (1, 2), (2, 2), (3, 40), (33, 40), (4, 700)]


@dtypes
@variants
@settings(max_examples=8)
@given(shape=st.sampled_from(SHAPES), masked=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_sampled_losses_equal_cpu(devices, kind, parameters, dtype, shape, masked, seed):
    rng = np.random.default_rng(seed)
    scores = (2 * rng.normal(size=shape)).astype(dtype)
    scores[rng.random(shape) < 0.1] = -np.inf  # negatives that are not there
    scores[np.arange(shape[0]), np.arange(shape[0])] = rng.normal(size=shape[0])
    ids = rng.integers(0, 5, shape[1]) if masked else None
    check_equals_cpu(devices, SAMPLED[kind][0], scores, item_ids=ids, **parameters)


@dtypes
@variants
def test_sampled_losses_far_from_the_positive(devices, kind, parameters, dtype):
    scores = np.random.default_rng(0).normal(size=(6, 300)).astype(dtype)
    scores += np.array([[0], [70], [-70], [300], [-300], [0]], dtype)
    scores[np.arange(6), np.arange(6)] = 0
    scores[5, 6:] = -np.inf  # few negatives
    check_equals_cpu(devices, SAMPLED[kind][0], scores, **parameters)
    check_equals_cpu(devices, SAMPLED[kind][0], scores, overwrite=True, **parameters)


@pytest.mark.parametrize("kind", SAMPLED)
def test_nan_stays_in_its_row(devices, kind):
    scores = np.random.default_rng(1).normal(size=(3, 50))
    scores[1, 20] = np.nan
    for device in devices:
        with device as on:
            (loss, d_scores), _ = on(SAMPLED[kind][0], scores)
            assert np.isnan(loss)
            assert np.isfinite(d_scores[[0, 2]]).all()


@dtypes
@pytest.mark.parametrize("shape", [(1, 2), (5, 40), (3, 300)])
def test_corrected_softmax_equals_cpu(devices, dtype, shape):
    rng = np.random.default_rng(2)
    scores, log_q = rng.normal(size=shape).astype(dtype), rng.normal(size=shape[1]).astype(dtype)
    check_equals_cpu(devices, L.softmax_cross_entropy, scores, log_q=log_q, item_ids=rng.integers(0, 9, shape[1]))


@dtypes
@settings(max_examples=8)
@given(
    sizes=st.sampled_from([(0, 3, 2), (1, 1, 1), (5, 40, 7), (9, 300, 16), (2, 8200, 2), (3, 4, 0)]),
    biased=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_heads_equal_cpu(devices, dtype, sizes, biased, seed):
    n_rows, n_items, d = sizes
    rng = np.random.default_rng(seed)
    hidden, weight = rng.normal(size=(n_rows, d)).astype(dtype), rng.normal(size=(n_items, d)).astype(dtype)
    bias = rng.normal(size=n_items).astype(dtype) if biased else None
    check_equals_cpu(devices, L.full_softmax, hidden, weight, bias, rng.integers(0, n_items, n_rows))
    ids = rng.integers(0, n_items, n_rows + 3)
    log_q = rng.normal(size=n_rows + 3).astype(dtype)
    check_equals_cpu(devices, L.sampled_softmax, hidden, weight, bias, ids, max(n_rows - 1, 0), log_q)
    for loss in SAMPLED:
        check_equals_cpu(devices, L.sampled_softmax, hidden, weight, bias, ids, n_rows, loss=loss, mask_collisions=True)


def test_full_softmax_in_blocks(devices, monkeypatch):
    monkeypatch.setattr(_losses_heads, "_SCORE_BYTES", 8 * 20 * 3)  # three rows at a time
    rng = np.random.default_rng(3)
    hidden, weight, bias = rng.normal(size=(8, 4)), rng.normal(size=(20, 4)), rng.normal(size=20)
    check_equals_cpu(devices, L.full_softmax, hidden, weight, bias, rng.integers(0, 20, 8), divisor=5.0)


ELEMENTS = [L.squared_error, L.binary_cross_entropy, L.huber]
PAIRS = [L.bpr_pairs, L.hinge_pairs]
SIZES = [0, 1, 2, 255, 257, 4096, 4097, 9000]


@dtypes
@settings(max_examples=15)
@given(n=st.sampled_from(SIZES), weighted=st.booleans(), divisor=st.sampled_from([None, 3.0]), seed=st.integers(0, 99))
def test_elements_and_pairs_equal_cpu(devices, dtype, n, weighted, divisor, seed):
    rng = np.random.default_rng(seed)
    y, t = (3 * rng.normal(size=n)).astype(dtype), rng.random(n).astype(dtype)
    weight = rng.choice([0.0, 0.5, 4.0], n).astype(dtype) if weighted else None
    for f in ELEMENTS + PAIRS:
        check_equals_cpu(devices, f, y, t, weight, divisor=divisor)


def test_elements_of_any_shape_overwritten(devices):
    rng = np.random.default_rng(4)
    y, t = rng.normal(size=(5, 3, 4)), rng.random((5, 3, 4))
    for f in ELEMENTS:
        check_equals_cpu(devices, f, y, t, np.zeros_like(y), overwrite=True)
        check_equals_cpu(devices, f, y, t, overwrite=True)


@dtypes
@pytest.mark.parametrize("shape", [(0, 1), (1, 1), (3, 31), (40, 33), (300, 5)])
def test_warp_weights_equal_cpu(devices, dtype, shape):
    rng = np.random.default_rng(5)
    pos, neg = rng.normal(size=shape[0]).astype(dtype), rng.normal(size=shape).astype(dtype)
    check_equals_cpu(devices, L.warp_weights, pos, neg, 2**40 + 3, margin=0.5)


@dtypes
@given(n_rows=st.integers(0, 5), n_items=st.sampled_from([1, 2, 33, 500]), kept=st.booleans(), seed=st.integers(0, 99))
def test_distributions_equal_cpu(devices, dtype, n_rows, n_items, kept, seed):
    rng = np.random.default_rng(seed)
    logits = (3 * rng.normal(size=(n_rows, n_items))).astype(dtype)
    x = rng.integers(0, 4, (n_rows, n_items)) * (rng.random((n_rows, n_items)) < 0.3)
    if n_rows > 1:
        x[1] = 0  # a row without entries
    p = (rng.random((n_rows, n_items)) * (rng.random((n_rows, n_items)) < 0.7)).astype(dtype)
    check_equals_cpu(devices, L.multinomial, logits, targets=sp.csr_array(x), overwrite=kept)
    check_equals_cpu(devices, L.softmax_kl, logits, p, divisor=2.0, overwrite=kept)
    check_equals_cpu(devices, L.gaussian_kl, logits, logits[::-1].copy())


@dtypes
@pytest.mark.parametrize("shape", [(0, 1, 3), (1, 1, 1), (2, 5, 0), (3, 9, 20), (2, 40, 17), (1, 600, 2), (2, 3, 300)])
def test_cosine_softmax_equals_cpu(devices, dtype, shape):
    rng = np.random.default_rng(6)
    queries, candidates = rng.normal(size=(shape[0], shape[2])).astype(dtype), rng.normal(size=shape).astype(dtype)
    candidates[:, 1:2] = 0  # no direction
    check_equals_cpu(devices, L.cosine_softmax, queries, candidates, gamma=20.0)


def test_arguments_on_two_devices_are_refused(devices):
    scores = np.zeros((2, 3))
    for device in devices:
        with device as on, pytest.raises(TypeError, match="must all be NumPy arrays or all CuPy arrays"):
            L.softmax_cross_entropy(on.put(scores), log_q=np.zeros(3))
