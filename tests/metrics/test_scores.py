"""Metrics of scores: against the lists that they make, scikit-learn, and pairs counted one by one."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, roc_auc_score

from pyrec_core import PyrecWarning
from pyrec_core.kernels.topk import top_k
from pyrec_core.metrics import auc, from_lists, from_scores, ndcg, rank

SEED = st.integers(0, 2**32 - 1)


def problem(seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    n, n_items = int(rng.integers(0, 9)), int(rng.integers(1, 40))
    scores = rng.integers(0, 9, (n, n_items)).astype(dtype)  # many ties
    relevant = sp.csr_array(rng.random((n, n_items)) < 0.2)
    exclude = sp.csr_array((rng.random((n, n_items)) < 0.3) & (relevant.toarray() == 0))
    return scores, relevant, exclude


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(seed=SEED, k=st.sampled_from([1, 3, 50]))
def test_scores_and_the_lists_made_of_them_measure_the_same(dtype, seed, k):
    scores, relevant, exclude = problem(seed, dtype)
    items, _ = top_k(scores, k, exclude)
    names = ["recall", "ndcg", "mrr", "average_precision", "f1"]
    from_items = from_lists(items, relevant, names, k)
    for label, values in from_scores(scores, relevant, names, k, exclude).items():
        np.testing.assert_array_equal(values, from_items[label])


@given(seed=SEED)
def test_auc_counts_pairs_and_equals_scikit_learn(seed):
    scores, relevant, exclude = problem(seed)
    found = auc(scores, relevant, exclude)
    for row in range(len(scores)):
        wanted = relevant.toarray()[row]
        kept = ~exclude.toarray()[row]
        mine, others = scores[row][wanted], scores[row][kept & ~wanted]
        if len(mine) == 0 or len(others) == 0:
            assert np.isnan(found[row])
            continue
        pairs = np.mean((mine[:, None] > others) + 0.5 * (mine[:, None] == others))
        assert found[row] == pytest.approx(pairs)
        assert found[row] == pytest.approx(roc_auc_score(wanted[kept], scores[row][kept]))


@pytest.mark.parametrize("gains", ["exponential", "linear"])
@given(seed=SEED)
def test_graded_ndcg_equals_scikit_learn(gains, seed):
    rng = np.random.default_rng(seed)
    scores = rng.random((4, 12))
    grades = rng.integers(0, 4, (4, 12)).astype(float)
    grades[:, 0] = 2
    items, _ = top_k(scores, 12)
    worth = 2**grades - 1 if gains == "exponential" else grades
    for k in (1, 5, 12):
        expected = [ndcg_score(worth[[row]], scores[[row]], k=k) for row in range(4)]
        np.testing.assert_allclose(ndcg(items, sp.csr_array(grades), k, gains=gains), expected)


@given(seed=SEED)
def test_rank_counts_who_is_ahead(seed):
    scores, _, _ = problem(seed)
    targets = np.random.default_rng(seed).integers(0, scores.shape[1], len(scores))
    own = scores[np.arange(len(scores)), targets, None]
    ahead, not_behind = (scores > own).sum(axis=1) + 1, (scores >= own).sum(axis=1)
    np.testing.assert_array_equal(rank(scores, targets), not_behind)
    np.testing.assert_array_equal(rank(scores, targets, ties="standard"), ahead)
    np.testing.assert_array_equal(rank(scores, targets, ties="median"), (ahead + not_behind) / 2)


def test_an_excluded_target_has_no_rank_and_nan_ranks_last():
    assert np.isinf(rank(np.ones((1, 3)), [1], sp.csr_array([[0, 1, 0]]))[0])
    with pytest.warns(PyrecWarning, match="1 scores are NaN; they rank last"):
        assert rank(np.array([[0.5, np.nan, 0.1]]), [1])[0] == 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s, r: from_scores(s, r, "map"), ValueError, "metrics must be one of 'precision', .*, got 'map'"),
        (lambda s, r: from_scores(s, r, "auc@3"), ValueError, "metrics must have no depth for auc"),
        (lambda s, r: from_scores(s, r, "ndcg", 0), ValueError, "k must be >= 1, got 0"),
        (lambda s, r: from_scores(s, r, ()), ValueError, "metrics and k must not be empty"),
        (lambda s, r: from_scores(s.astype(int), r), TypeError, "scores must be float32 or float64, got int64"),
        (lambda s, r: from_scores(s, r[:, :2]), ValueError, r"relevant must have 3 columns \(items\)"),
        (lambda s, r: from_scores(s, r, ties="best"), ValueError, "ties must be one of"),
        (lambda s, r: from_scores(s, r, gains="square"), ValueError, "gains must be one of 'binary', "),
        (lambda s, r: from_scores(s, -r, gains="linear"), ValueError, "relevant must hold grades >= 0, got -1"),
        (lambda s, r: rank(s, [0]), ValueError, r"targets must be as many as rows of scores \(2\), got 1"),
        (lambda s, r: rank(s, [0, 3]), ValueError, "targets must hold item ids in 0..2, got 1 unknown: 3"),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(np.ones((2, 3)), sp.csr_array(np.eye(2, 3)))
