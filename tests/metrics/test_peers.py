"""Where scikit-learn and ranx define the same thing, they must find the same."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import metrics as sklearn_metrics

from pyrec_core.metrics import auc, from_lists, from_scores


def problem(seed=0, n=50, n_items=40):
    rng = np.random.default_rng(seed)
    relevant = (rng.random((n, n_items)) < 0.15) * rng.integers(1, 4, (n, n_items))
    relevant[:, 0] = 1  # nobody is without
    scores = rng.permuted(np.tile(np.linspace(0, 1, n_items), (n, 1)), axis=1)
    return scores, sp.csr_array(relevant.astype(float))


@pytest.mark.parametrize("k", [1, 5, 40])
def test_scikit_learn_ndcg(k):
    scores, relevant = problem()
    grades = relevant.toarray()
    found = from_scores(scores, relevant, ["dcg", "ndcg"], k, gains="linear")
    exponential = from_scores(scores, relevant, "ndcg", k, gains="exponential")
    for row in range(len(scores)):
        one = grades[[row]], scores[[row]]
        np.testing.assert_allclose(found[f"dcg@{k}"][row], sklearn_metrics.dcg_score(*one, k=k))
        np.testing.assert_allclose(found[f"ndcg@{k}"][row], sklearn_metrics.ndcg_score(*one, k=k))
        steep = 2 ** grades[[row]] - 1, scores[[row]]
        np.testing.assert_allclose(exponential[f"ndcg@{k}"][row], sklearn_metrics.ndcg_score(*steep, k=k))


@pytest.mark.parametrize("levels", [3, 10**6])
def test_scikit_learn_auc_with_and_without_ties(levels):
    scores, relevant = problem()
    scores = np.floor(scores * levels)
    want = [sklearn_metrics.roc_auc_score(relevant.toarray()[row] > 0, scores[row]) for row in range(len(scores))]
    np.testing.assert_allclose(auc(scores, relevant), want)


def test_scikit_learn_average_precision():
    """Over all items and without ties, the precisions at the relevant items are averaged in both."""
    scores, relevant = problem()
    binary = relevant.toarray() > 0
    found = from_scores(scores, relevant, "average_precision", 40)["average_precision@40"]
    want = [sklearn_metrics.average_precision_score(binary[row], scores[row]) for row in range(len(scores))]
    np.testing.assert_allclose(found, want)
    np.testing.assert_allclose(found.mean(), sklearn_metrics.label_ranking_average_precision_score(binary, scores))


@pytest.mark.filterwarnings("ignore")  # of numba, while it compiles
@pytest.mark.parametrize("k", [1, 5, 40])
def test_ranx(k):
    ranx = pytest.importorskip("ranx", reason="ranx is not installed: numba, pandas and 20 others come with it")
    scores, relevant = problem()
    n, n_items = scores.shape
    lists = np.argsort(-scores, axis=1, kind="stable")
    grades = relevant.toarray().astype(int)
    held_out = {f"u{u:03}": {str(i): int(grades[u, i]) for i in np.flatnonzero(grades[u])} for u in range(n)}
    run = {f"u{u:03}": {str(i): float(scores[u, i]) for i in range(n_items)} for u in range(n)}
    names = ["precision", "recall", "f1", "hit_rate", "mrr"]  # its map divides by n, not by min(k, n)
    wanted = [f"{name}@{k}" for name in [*names, "ndcg", "ndcg_burges"]]
    theirs = ranx.evaluate(ranx.Qrels(held_out), ranx.Run(run), wanted, return_mean=False)
    binary = from_lists(lists, relevant, names, k)
    for name in names:
        np.testing.assert_allclose(binary[f"{name}@{k}"], theirs[f"{name}@{k}"], err_msg=name)
    for gains, name in (("linear", "ndcg"), ("exponential", "ndcg_burges")):
        graded = from_lists(lists, relevant, "ndcg", k, gains=gains)[f"ndcg@{k}"]
        np.testing.assert_allclose(graded, theirs[f"{name}@{k}"], err_msg=name)
