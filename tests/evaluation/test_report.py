"""What evaluate reports beside means: ties, groups of items and users, and metrics of the lists alone."""

from itertools import combinations
from math import log2

import numpy as np
import pytest
import scipy.sparse as sp
from evaluation_data import SEED, TableModel, full_ranks, one_user, problem
from hypothesis import given
from movielens import ml100k_hash_split, ml100k_leave_one_out

from pyrec_core import EASE, Interactions, Popularity, evaluate
from pyrec_core.split import Split, per_user, sample_negatives, strong_generalisation

TIES = ("id", "conservative", "median", "standard")


def is_ahead(ties, score, item, other_score, other):
    """How much of a non-relevant item counts as ahead of a relevant one."""
    if other_score != score:
        return float(other_score > score)
    return {"id": float(other < item), "conservative": 1.0, "median": 0.5, "standard": 0.0}[ties]


def ranks_by_hand(scores, wanted, others, ties):
    """Ranks of the ``wanted`` items of one user among themselves and ``others``."""
    ranks = {}
    for place, i in enumerate(sorted(wanted, key=lambda i: (-scores[i], i)), start=1):
        ranks[i] = place + sum(is_ahead(ties, scores[i], i, scores[j], j) for j in others)
    return ranks


@pytest.mark.parametrize("ties", TIES)
@given(seed=SEED)
def test_ties_in_a_full_ranking(ties, seed):
    X, scores = problem(seed)
    split = per_user(X, test_size=0.3, random_state=seed)
    found = evaluate(TableModel(scores, split.train, with_scores=True), split, ["mrr", "recall"], 4, ties=ties)
    train, test = split.train.toarray() != 0, split.test.toarray() != 0
    for user, wanted in enumerate(map(np.flatnonzero, test)):
        if len(wanted) == 0:
            continue
        ranks = ranks_by_hand(scores[user], wanted, np.flatnonzero(~train[user] & ~test[user]), ties).values()
        first = min(ranks)
        assert found.per_user["mrr@4"][user] == pytest.approx(1 / first if first <= 4 else 0)
        assert found.per_user["recall@4"][user] == pytest.approx(np.mean([rank <= 4 for rank in ranks]))


@pytest.mark.parametrize("ties", TIES)
@given(seed=SEED)
def test_ties_among_sampled_candidates(ties, seed):
    X, scores = problem(seed)
    split = sample_negatives(per_user(X, test_size=0.3, random_state=seed), 6, random_state=seed)
    found = evaluate(TableModel(scores), split, ["mrr", "auc"], 10, ties=ties)
    for user, wanted in enumerate(map(np.flatnonzero, split.test.toarray())):
        others = split.negatives[user][split.negatives[user] >= 0]
        if len(wanted) == 0:
            continue
        ranks = ranks_by_hand(scores[user], wanted, others, ties)
        assert found.per_user["mrr@10"][user] == pytest.approx(1 / min(ranks.values()))
        if len(others):
            behind = [1 - is_ahead(ties, scores[user, i], i, scores[user, j], j) for i in wanted for j in others]
            assert found.per_user["auc"][user] == pytest.approx(np.mean(behind))


@given(seed=SEED)
def test_every_metric_of_a_ranking_equals_its_definition(seed):
    X, scores = problem(seed)
    split = per_user(X, test_size=0.4, random_state=seed)
    model = TableModel(scores, split.train, with_scores=True)
    found = evaluate(model, split, ["f1", "map", "mar", "dcg", "hit_rate", "recall_trunc", "auc"], 5)
    test, train = split.test.toarray() != 0, split.train.toarray() != 0
    for user, ranks in enumerate(full_ranks(scores, test, train)):
        if not ranks:
            continue
        n, top = len(ranks), sorted(r for r in ranks if r <= 5)
        precision, recall = len(top) / 5, len(top) / n
        m = (~train[user]).sum() - n
        expected = {
            "f1@5": 2 * precision * recall / (precision + recall) if top else 0,
            "map@5": sum(place / rank for place, rank in enumerate(top, 1)) / min(5, n),
            "mar@5": sum(place / n for place in range(1, len(top) + 1)) / n,
            "dcg@5": sum(1 / log2(rank + 1) for rank in top),
            "hit_rate@5": float(bool(top)),
            "recall_trunc@5": len(top) / min(5, n),
            "auc": 1 - (sum(ranks) - n * (n + 1) / 2) / (n * m) if m else np.nan,
        }
        for label, value in expected.items():
            np.testing.assert_allclose(found.per_user[label][user], value, rtol=1e-12, err_msg=label)


@given(seed=SEED)
def test_metrics_of_the_lists_equal_their_definitions(seed):
    X, scores = problem(seed)
    split = per_user(X, test_size=0.3, random_state=seed)
    features = np.random.default_rng(seed).normal(size=(17, 3))
    model = TableModel(scores, split.train)
    found = evaluate(model, split, ["recall", "coverage", "gini", "novelty", "ild"], 4, item_features=features)
    users = np.flatnonzero(split.test.toarray().any(axis=1))
    lists = [row[row >= 0] for row in TableModel(scores, split.train).recommend(users, 4)[0]]
    counts = np.bincount(np.concatenate(lists), minlength=17)
    assert list(found) == ["recall@4", "coverage@4", "gini@4", "novelty@4", "ild@4"]
    assert found["coverage@4"] == pytest.approx((counts > 0).mean())
    share = np.sort(counts) / counts.sum()
    gini = 1 - 2 * sum((17 + 1 - i) / 17 * f for i, f in enumerate(share, 1)) + 1 / 17
    assert found["gini@4"] == pytest.approx(gini)
    popularity = np.maximum((split.train.toarray() != 0).sum(axis=0), 1)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for user, items in zip(users, lists, strict=True):
        novelty = np.mean(-np.log2(popularity[items] / X.shape[0])) if len(items) else np.nan
        np.testing.assert_allclose(found.per_user["novelty@4"][user], novelty)
        pairs = [1 - unit[i] @ unit[j] for i, j in combinations(items, 2)]
        np.testing.assert_allclose(found.per_user["ild@4"][user], np.mean(pairs) if pairs else np.nan, atol=1e-12)
    assert np.isnan(found.standard_error["coverage@4"])
    assert "coverage@4" not in found.per_user


@given(seed=SEED)
def test_item_groups_are_the_same_ranking_with_fewer_relevant_items(seed):
    X, scores = problem(seed)
    split = per_user(X, test_size=0.4, random_state=seed)
    group = np.where(np.arange(17) < 6, "head", "tail")
    model = TableModel(scores, split.train)
    found = evaluate(model, split, ["ndcg", "recall"], (2, 5), item_groups=group)
    assert list(found.item_groups) == ["head", "tail"]
    for label, part in found.item_groups.items():
        only = sp.csr_array(split.test.toarray() * (group == label))
        if only.nnz == 0:
            continue
        alone = evaluate(model, Split(split.train, only), ["ndcg", "recall"], (2, 5))
        assert dict(part) == dict(alone)
        assert part.standard_error == alone.standard_error
        assert part.n_users == alone.n_users
    assert "held-out items of group tail:" in str(found)


@given(seed=SEED)
def test_user_groups_are_means_over_their_users(seed):
    X, scores = problem(seed)
    split = per_user(X, test_size=0.4, random_state=seed)
    found = evaluate(TableModel(scores, split.train), split, ["ndcg", "coverage"], 5)
    group = np.arange(23) % 3
    parts = found.by_user_group(group)
    assert list(parts) == [0, 1, 2]
    for label, part in parts.items():
        values = found.per_user["ndcg@5"][group == label]
        assert part.n_users == np.isfinite(values).sum()
        assert part.n_users + part.n_skipped == (group == label).sum()
        assert list(part) == ["ndcg@5"]
        if part.n_users:
            assert part["ndcg@5"] == pytest.approx(np.nanmean(values))
    with pytest.raises(ValueError, match=r"groups must have shape \(23,\), one for each test user, got \(3,\)"):
        found.by_user_group([0, 1, 2])


def test_cold_users_are_a_group():
    train = sp.csr_array(np.array([[1, 0, 0], [0, 0, 0]], np.float32))
    test = sp.csr_array(np.array([[0, 1, 0], [0, 0, 1]], np.float32))
    found = evaluate(TableModel([[3, 2, 1]] * 2, train), Split(train, test), "recall", 1)
    parts = found.by_user_group(found.cold)
    assert (parts[False]["recall@1"], parts[True]["recall@1"]) == (1, 0)
    assert (parts[False].n_cold, parts[True].n_cold) == (0, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": "auc@5"}, "metrics must have no depth for auc, which ranks all items, got 'auc@5'"),
        ({"metrics": "ild"}, "item_features must be given for ild, got None"),
        ({"ties": "best"}, "ties must be one of 'id', 'conservative', 'standard', 'median', got 'best'"),
        ({"item_groups": [1, 2]}, r"item_groups must have shape \(6,\), one for each item, got \(2,\)"),
        ({"model": Popularity().fit(np.ones((6, 4)))}, r"fitted on matrices with the 6 columns .*, got .* \(6, 4\)"),
    ],
)
def test_bad_options_are_refused(options, message):
    split = per_user(np.ones((4, 6)), test_size=0.5)
    arguments = {"model": TableModel(np.ones((4, 6)), split.train), "split": split, **options}
    with pytest.raises(ValueError, match=message):
        evaluate(**arguments)


class Foreign:
    """A model of which only the public verbs are known."""

    def __init__(self, model):
        self.recommend, self.predict = model.recommend, model.predict


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("exclude_seen", [True, False])
def test_ranks_without_a_table_of_scores_are_those_with_one(ties, exclude_seen):
    X = (np.random.default_rng(0).random((40, 30)) < 0.3).astype(float)
    held_out = strong_generalisation(X, n_test=10, random_state=0)
    for split in (per_user(X, test_size=0.3), held_out):
        model = EASE(l2=3.0).fit(split.train)
        how = {"metrics": ["ndcg", "auc"], "ties": ties, "exclude_seen": exclude_seen}
        assert dict(evaluate(model, split, **how)) == dict(evaluate(Foreign(model), split, **how))


def test_metrics_of_lists_need_a_full_ranking():
    with pytest.raises(ValueError, match="those of a ranking if the split has negatives, got 'novelty@10'"):
        evaluate(TableModel(np.zeros((1, 6))), one_user([1, 2, 3]), ["recall", "novelty"])


def test_models_with_external_ids_are_evaluated_by_columns():
    rng = np.random.default_rng(0)
    data = Interactions.from_arrays(rng.choice(list("abcdefgh"), 300), rng.integers(100, 130, 300))
    split = per_user(data, test_size=0.3)
    named = Interactions(*split.train.nonzero(), user_ids=data.user_ids, item_ids=data.item_ids)
    metrics = ["recall", "ndcg", "auc", "coverage"]
    expected = evaluate(EASE(l2=5.0).fit(split.train), split, metrics)
    assert dict(evaluate(EASE(l2=5.0).fit(named), split, metrics)) == dict(expected)


# ---- against figures that were computed independently


@pytest.mark.parametrize(
    ("model", "expected"), [(Popularity(), 0.1121), (EASE(l2=200), 0.2959)], ids=["popularity", "ease"]
)
def test_map_on_movielens(model, expected):
    train, test = ml100k_hash_split()
    assert evaluate(model.fit(train), Split(train, test), "map")["map@10"] == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(
    ("model", "expected"),
    [(Popularity(), (0.0498, 0.0250)), (EASE(l2=200), (0.0880, 0.0407)), (EASE(l2=500), (0.0859, 0.0406))],
    ids=["popularity", "ease-200", "ease-500"],
)
def test_conservative_ties_on_movielens(model, expected):
    train, item, _ = ml100k_leave_one_out()
    test = sp.csr_array((np.ones(943, np.float32), item, np.arange(944)), shape=train.shape)
    found = evaluate(model.fit(train), Split(train, test), ["hit_rate", "ndcg"], ties="conservative")
    np.testing.assert_allclose(list(found.values()), expected, atol=5e-4)
