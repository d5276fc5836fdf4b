"""Models on MovieLens against published and independently computed figures."""

import numpy as np
import pytest
from movielens import ml1m_leave_one_out, ml100k_hash_split, ml100k_leave_one_out

from pyrec_core import EASE, SLIM, ItemToItem, MarginalizedDAE, Popularity
from pyrec_core.kernels.gram import gram
from pyrec_core.metrics import average_precision, ndcg, precision, recall


# P@10, NDCG@10, MAP@10, R@20, NDCG@100, R@100 of 942 users
HASH_SPLIT = [
    (Popularity(), True, (0.1858, 0.2133, 0.1121, 0.1739, 0.2925, 0.4281)),
    (ItemToItem(n_neighbors=None), True, (0.3036, 0.3644, 0.2337, 0.2935, 0.4274, 0.5767)),
    (ItemToItem(n_neighbors=50), True, (0.3280, 0.3873, 0.2547, 0.3215, 0.4821, 0.6831)),
    (EASE(l2=50), True, (0.3321, 0.3956, 0.2557, 0.3419, 0.4837, 0.6532)),
    (EASE(l2=200), True, (0.3660, 0.4355, 0.2959, 0.3593, 0.5221, 0.7030)),
    (EASE(l2=500), True, (0.3722, 0.4424, 0.3051, 0.3601, 0.5266, 0.7128)),
    (EASE(l2=1000), True, (0.3636, 0.4349, 0.2986, 0.3528, 0.5188, 0.7046)),
    (SLIM(l1=1, l2=200), True, (0.3740, 0.4487, 0.3091, 0.3629, 0.5304, 0.7098)),  # our own, converged: no reference
    (MarginalizedDAE(dropout=0.5, l2=100), True, (0.3708, 0.4418, 0.3034, 0.3605, 0.5284, 0.7131)),  # likewise
    (EASE(l2=200, positive=True), True, (0.3471, 0.4182, 0.2767, 0.3497, 0.5028, 0.6796)),
    (
        EASE(l2=200),
        False,
        (0.0515, 0.0671, 0.0293, 0.1436, 0.2264, 0.4753),
    ),  # the usual mistake: seen items kept
]


@pytest.mark.parametrize(("model", "exclude_seen", "expected"), HASH_SPLIT, ids=lambda value: str(value))
def test_hash_split_of_ml100k(model, exclude_seen, expected):
    train, test = ml100k_hash_split()
    ranked, _ = model.fit(train).recommend(np.arange(943), k=100, exclude_seen=exclude_seen)
    found = [
        *(np.nanmean(metric(ranked, test, 10)) for metric in (precision, ndcg)),
        np.nanmean(average_precision(ranked, test, 10)),
        np.nanmean(recall(ranked, test, 20)),
        *(np.nanmean(metric(ranked, test, 100)) for metric in (ndcg, recall)),
    ]
    assert np.isfinite(precision(ranked, test, 10)).sum() == 942
    np.testing.assert_allclose(found, expected, atol=5e-4)


def test_hash_split_ranks_the_same_in_both_dtypes():
    train, test = ml100k_hash_split()
    found = [
        np.nanmean(ndcg(EASE(l2=200, dtype=dtype).fit(train).recommend(np.arange(943), k=100)[0], test, 100))
        for dtype in ("float32", "float64")
    ]
    assert abs(found[0] - found[1]) < 1e-5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_on_ml100k(dtype):
    train, _ = ml100k_hash_split()
    weights = EASE(l2=200, dtype=dtype).fit(train).item_weights_.astype(np.float64)
    found = [weights[0, 1], weights[49, 180], weights.sum(), np.sqrt((weights**2).sum())]
    expected = np.array([-0.0036676831, 0.1363141359, 1118.70611793, 6.72772158])
    if dtype == "float64":
        last_digit = np.array([1e-10, 1e-10, 1e-8, 1e-8])
        assert (np.abs(found - expected) <= 1e-8 * np.abs(expected) + last_digit / 2).all()
    else:
        largest = np.abs(weights).max()
        np.testing.assert_allclose(found[:2], expected[:2], rtol=0, atol=1e-5 * largest)
        np.testing.assert_allclose(found[2:], expected[2:], rtol=1e-5)
        exact = EASE(l2=200, dtype="float64").fit(train).item_weights_
        assert np.abs(weights - exact).max() < 1e-5 * largest
    assert round(100 * float((weights < 0).mean()), 2) == 51.86


def largest_violation(G, W, l1, l2):
    """By how much SLIM's optimality conditions fail, relative to the largest of each column of G off the diagonal."""
    G, W = G.astype(np.float64), W.toarray().astype(np.float64)
    slope = G @ W - G + l2 * W + l1
    fails = np.where(W > 0, np.abs(slope), np.maximum(-slope, 0))
    np.fill_diagonal(fails, 0)
    np.fill_diagonal(G, 0)
    return np.max(fails / np.maximum(G.max(axis=0), 1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("l1", "l2"), [(1.0, 200.0), (10.0, 30.0)])
def test_slim_on_ml100k_satisfies_its_optimality_conditions(dtype, l1, l2):
    train, _ = ml100k_hash_split()
    model = SLIM(l1=l1, l2=l2, dtype=dtype).fit(train)
    assert largest_violation(gram(train), model.item_weights_, l1, l2) <= 1e-4
    assert model.n_iter_ < 1000


def hit_rate_and_ndcg(rank, k=10):
    return [(rank <= k).mean(), np.where(rank <= k, 1 / np.log2(rank + 1), 0).mean()]


def conservative_rank(scores, target):
    """1 for the best; every candidate with the same score counts as better. NaN is no candidate."""
    with np.errstate(invalid="ignore"):
        return 1 + (scores >= target[:, None]).sum(axis=1)


# sampled HR@10 and NDCG@10, then with all items ranked
LEAVE_ONE_OUT = [
    (Popularity(), (0.3150, 0.1693, 0.0498, 0.0250)),
    (ItemToItem(n_neighbors=None), (0.4019, 0.2194, 0.0594, 0.0281)),
    (EASE(l2=200), (0.5928, 0.3294, 0.0880, 0.0407)),
    (EASE(l2=500), (0.5917, 0.3247, 0.0859, 0.0406)),
]


@pytest.mark.parametrize(("model", "expected"), LEAVE_ONE_OUT, ids=lambda value: str(value))
def test_leave_one_out_of_ml100k(model, expected):
    train, target, negatives = ml100k_leave_one_out()
    users = np.arange(943)
    model.fit(train)
    wanted = model.predict(users, target)
    sampled = model.predict(users[:, None], negatives)
    everything = model.predict(users[:, None], np.arange(1682)).astype(np.float64)
    everything[train.toarray() > 0] = np.nan
    everything[users, target] = np.nan
    found = [
        *hit_rate_and_ndcg(conservative_rank(sampled, wanted)),
        *hit_rate_and_ndcg(conservative_rank(everything, wanted.astype(np.float64))),
    ]
    np.testing.assert_allclose(found, expected, atol=5e-4)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Popularity(), (0.4533, 0.2542)),
        (EASE(l2=1200), (0.7207, 0.4503)),
        (SLIM(l1=1, l2=200), (0.7159, 0.4486)),  # our own; 0.7162 and 0.4468 in Rendle et al., arXiv:2005.09683
    ],
    ids=str,
)
def test_leave_one_out_of_ml1m(model, expected):
    train, target, negatives = ml1m_leave_one_out()
    users = np.arange(6040)
    model.fit(train)
    scores = model.predict(users[:, None], np.maximum(negatives, 0)).astype(np.float64)
    scores[negatives < 0] = np.nan  # 156 users have the test item among their negatives, and so only 98
    found = hit_rate_and_ndcg(conservative_rank(scores, model.predict(users, target)))
    np.testing.assert_allclose(found, expected, atol=1e-3)
