"""Metrics of ratings and clicks: against scikit-learn, by hand, and on MovieLens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from movielens import folder_of, splitmix64
from sklearn import metrics as sk

from pyrec_core import PyrecWarning
from pyrec_core.datasets import load_movielens
from pyrec_core.metrics import global_auc, log_loss, mae, rmse

SEED = st.integers(0, 2**32 - 1)


@given(seed=SEED, weighted=st.booleans())
def test_they_equal_scikit_learn(seed, weighted):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 60))
    weight = rng.random(n) + 0.01 if weighted else None
    y, predicted = rng.integers(1, 6, n), rng.normal(3, 1, n)
    assert rmse(y, predicted, sample_weight=weight) == pytest.approx(
        sk.root_mean_squared_error(y, predicted, sample_weight=weight)
    )
    assert mae(y, predicted, sample_weight=weight) == pytest.approx(
        sk.mean_absolute_error(y, predicted, sample_weight=weight)
    )
    clicked, score = np.append(rng.integers(0, 2, n - 2), [0, 1]), rng.integers(1, 9, n) / 10
    assert log_loss(clicked, score, sample_weight=weight) == pytest.approx(
        sk.log_loss(clicked, score, sample_weight=weight)
    )
    assert global_auc(clicked, score, sample_weight=weight) == pytest.approx(
        sk.roc_auc_score(clicked, score, sample_weight=weight)
    )


def test_by_hand():
    assert mae([1, 5], [2, 1]) == 2.5  # no root
    assert rmse([1, 5], [2, 1]) == np.sqrt((1 + 16) / 2)
    assert rmse([1, 5], [-3, 9], clip=(1, 5)) == 0
    assert rmse([1, 5, 2], [1, 5, 99], sample_weight=[1, 1, 0]) == 0
    assert log_loss([1], [0.0]) == pytest.approx(-np.log(1e-7))
    assert log_loss([0], [0.0]) == pytest.approx(1e-7, rel=1e-3)


@pytest.mark.parametrize("metric", [rmse, mae, log_loss])
def test_nothing_to_measure_is_nan_with_a_warning(metric):
    with pytest.warns(PyrecWarning, match="there must be a pair that counts, got none: the result is NaN"):
        assert np.isnan(metric([], []))
    with pytest.warns(PyrecWarning, match="there must be a pair that counts"):
        assert np.isnan(metric([1, 1], [1, 1], sample_weight=[0, 0]))


@pytest.mark.parametrize("y", [[], [1, 1], [0]])
def test_one_class_has_no_auc(y):
    with pytest.warns(PyrecWarning, match="y_true must hold both classes"):
        assert np.isnan(global_auc(y, np.arange(len(y), dtype=float)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: rmse(["a"], [1]), TypeError, "y_true must be numbers, got <U1"),
        (lambda: rmse([1, 2], [1]), ValueError, r"y_pred must have shape \(2,\), got shape \(1,\)"),
        (lambda: rmse([[1]], [[1]]), ValueError, r"y_true must be 1-D, got shape \(1, 1\)"),
        (lambda: mae([1, np.nan], [1, 1]), ValueError, "y_true must be finite, got nan at position 1"),
        (lambda: mae([1], [1], clip=(5, 1)), ValueError, r"clip must be \(low, high\) with low <= high, got \(5, 1\)"),
        (lambda: mae([1], [1], sample_weight=[-1]), ValueError, "sample_weight must be >= 0, got -1"),
        (lambda: log_loss([2], [0.5]), ValueError, "y_true must be 0 or 1, got 2"),
        (lambda: log_loss([1], [1.5]), ValueError, r"y_prob must be in \[0, 1\], got 1.5 to 1.5"),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_global_mean_and_biases_of_ml100k():
    data = load_movielens(folder_of("ml-100k"))
    raw = 65536 * data.user_ids[data.user].astype(np.int64) + data.item_ids[data.item]
    test = splitmix64(raw) % np.uint64(10) == 0
    known, held_out = ~test, data.value[test]
    assert test.sum() == 9951
    predicted = np.full(len(data), data.value[known].mean(dtype=np.float64))
    found = [(rmse(held_out, predicted[test]), mae(held_out, predicted[test]))]
    for ids, n, damping in ((data.item, data.n_items, 10), (data.user, data.n_users, 15)):
        rest = np.bincount(ids[known], (data.value - predicted)[known], n)
        predicted += (rest / (damping + np.bincount(ids[known], minlength=n)))[ids]
    found.append((rmse(held_out, predicted[test]), mae(held_out, predicted[test])))
    np.testing.assert_allclose(found, [(1.1173, 0.9381), (0.9353, 0.7436)], atol=5e-4)
