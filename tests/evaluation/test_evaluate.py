"""evaluate against a walk over the users, on models that rank from a table of scores, and on real data."""

from math import log2

import numpy as np
import pytest
import scipy.sparse as sp
from evaluation_data import SEED, TableModel, full_ranks, one_user, problem
from hypothesis import given
from movielens import ml100k_hash_split, ml100k_leave_one_out

import pyrec_core.evaluation._ranker as module
from pyrec_core import EASE, Popularity, PyrecWarning
from pyrec_core.evaluation import Evaluation, evaluate
from pyrec_core.split import Split, per_user, sample_negatives, strong_generalisation


def ndcg_by_hand(ranks, n, k):
    return sum(1 / log2(r + 1) for r in ranks if r <= k) / sum(1 / log2(r + 1) for r in range(1, min(n, k) + 1))


def by_hand(rank_lists, k):
    """precision, recall and ndcg of each user, given the ranks (from 1) of all held-out items of the user."""
    return np.array(
        [
            (
                sum(r <= k for r in ranks) / k,
                sum(r <= k for r in ranks) / len(ranks),
                ndcg_by_hand(ranks, len(ranks), k),
            )
            if ranks
            else (np.nan,) * 3
            for ranks in rank_lists
        ]
    )


@pytest.mark.parametrize("exclude_seen", [True, False])
@given(seed=SEED)
def test_evaluate_of_training_users_equals_a_walk(exclude_seen, seed):
    X, scores = problem(seed)
    split = per_user(X, test_size=0.3, random_state=seed)
    found = evaluate(TableModel(scores, split.train), split, k=(1, 5, 40), exclude_seen=exclude_seen)
    seen = (split.train.toarray() != 0) & exclude_seen
    ranks = full_ranks(scores, split.test.toarray() != 0, seen)
    assert list(found) == [f"{name}@{k}" for name in ("precision", "recall", "ndcg") for k in (1, 5, 40)]
    for k in (1, 5, 40):
        for name, expected in zip(("precision", "recall", "ndcg"), by_hand(ranks, k).T, strict=True):
            label = f"{name}@{k}"
            n = np.isfinite(expected).sum()
            np.testing.assert_allclose(found.per_user[label], expected, rtol=1e-14)
            np.testing.assert_allclose(found[label], np.nanmean(expected))
            np.testing.assert_allclose(found.standard_error[label], np.nanstd(expected) / np.sqrt(n))
            assert (found.n_users, found.n_skipped) == (n, len(expected) - n)
    assert not found.sampled


@given(seed=SEED)
def test_evaluate_of_held_out_users_gives_their_fold_in_to_the_model(seed):
    X, scores = problem(seed, 60, 25)
    split = strong_generalisation(X, n_test=20, min_interactions=2, random_state=seed)
    model = TableModel(scores)
    found = evaluate(model, split, "recall", 6)
    ranks = full_ranks(scores, split.test.toarray() != 0, split.fold_in.toarray() != 0)
    np.testing.assert_allclose(found.per_user["recall@6"], by_hand(ranks, 6)[:, 1])


def sampled_ranks(scores, test, negatives):
    """Conservative ranks, by counting: a held-out item comes after every negative that scores as much."""
    lists = []
    for user in range(len(test)):
        wanted = sorted(np.flatnonzero(test[user]), key=lambda i, user=user: -scores[user, i])
        others = [j for j in negatives[user] if j >= 0 and not test[user, j]]
        lists.append(
            [place + sum(scores[user, j] >= scores[user, i] for j in others) for place, i in enumerate(wanted, start=1)]
        )
    return lists


@given(seed=SEED)
def test_sampled_candidates_are_ranked_conservatively(seed):
    X, scores = problem(seed)
    split = sample_negatives(per_user(X, test_size=0.3, random_state=seed), 6, random_state=seed)
    found = evaluate(TableModel(scores), split, k=(1, 3, 10))
    ranks = sampled_ranks(scores, split.test.toarray() != 0, split.negatives)
    for k in (1, 3, 10):
        for name, expected in zip(("precision", "recall", "ndcg"), by_hand(ranks, k).T, strict=True):
            np.testing.assert_allclose(found.per_user[f"{name}@{k}"], expected, rtol=1e-14)
    assert found.sampled
    assert "sampled" in str(found)
    assert "sampled" in repr(found)


def test_a_collapsed_model_gets_nothing_from_sampled_ties():
    found = evaluate(TableModel(np.zeros((1, 6))), one_user([1, 2, 3]), "hit_rate", (3, 4))
    assert (found["hit_rate@3"], found["hit_rate@4"]) == (0, 1)


def test_a_negative_that_is_the_held_out_item_is_dropped():
    found = evaluate(TableModel([[0, 1, 2, 0, 0, 0]]), one_user([1, 0, 2], test=[0]), "mrr", 10)
    assert found["mrr@10"] == 1 / 3
    assert evaluate(TableModel([[5, 1, 2, 0, 0, 0]]), one_user([0, -1, -1], test=[0]), "mrr", 10)["mrr@10"] == 1


def test_nan_scores_rank_last_with_a_warning():
    with pytest.warns(PyrecWarning, match="2 scores are NaN, they rank last") as warned:
        found = evaluate(TableModel([[np.nan, np.nan, -1, 0, 0, 0]]), one_user([1, 2]), "mrr", 10)
    assert found["mrr@10"] == 1 / 3
    assert warned[0].filename == __file__
    with pytest.warns(PyrecWarning, match="1 scores are NaN"):
        assert evaluate(TableModel([[0, np.nan, -1, 0, 0, 0]]), one_user([1, 2]), "mrr", 10)["mrr@10"] == 1


def test_padding_does_not_count_against_a_nan_score():
    with pytest.warns(PyrecWarning, match="1 scores are NaN"):
        found = evaluate(TableModel([[np.nan, 1, -1, 0, 0, 0]]), one_user([1, -1, -1]), "mrr", 10)
    assert found["mrr@10"] == 1 / 2


def test_cold_and_skipped_users_are_counted():
    train = sp.csr_array(np.array([[1, 0, 0], [0, 0, 0], [0, 0, 0], [1, 1, 0]], np.float32))
    test = sp.csr_array(np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]], np.float32))
    found = evaluate(TableModel([[3, 2, 1]] * 4, train), Split(train, test), "recall", 1)
    assert (found.n_users, found.n_skipped, found.n_cold) == (2, 2, 1)
    np.testing.assert_array_equal(found.cold, [False, True, False, False])
    np.testing.assert_array_equal(found.per_user["recall@1"], [1, 0, np.nan, np.nan])
    assert found["recall@1"] == 0.5  # cold users count; per_user and cold tell them apart


@given(seed=SEED)
def test_batches_do_not_change_the_result(seed):
    X, scores = problem(seed)
    plain = per_user(X, test_size=0.3, random_state=seed)
    held_out = strong_generalisation(X, n_test=9, min_interactions=2, random_state=seed)
    for split in (plain, sample_negatives(plain, 5), held_out):
        whole = evaluate(TableModel(scores, split.train), split, "ndcg", 5)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "MAX_BATCH", 3)
            model = TableModel(scores, split.train)
            parts = evaluate(model, split, "ndcg", 5)
        assert max(model.calls, default=0) <= 3
        np.testing.assert_array_equal(whole.per_user["ndcg@5"], parts.per_user["ndcg@5"])


def test_batches_are_bounded_by_their_elements(monkeypatch):
    monkeypatch.setattr(module, "BATCH_ELEMENTS", 40)
    X, scores = problem(1)
    split = per_user(X, test_size=0.3)
    model = TableModel(scores, split.train)
    evaluate(model, split, "ndcg", 10)
    assert max(model.calls) == 4


def test_metrics_may_have_a_depth_of_their_own():
    X, scores = problem(1)
    split = per_user(X, test_size=0.3)
    found = evaluate(TableModel(scores, split.train), split, ["ndcg@7", "recall"], k=(2, 3))
    assert list(found) == ["ndcg@7", "recall@2", "recall@3"]
    alone = evaluate(TableModel(scores, split.train), split, "ndcg", k=7)
    assert found["ndcg@7"] == alone["ndcg@7"]
    assert list(evaluate(TableModel(scores, split.train), split, "mrr", k=np.array([4]))) == ["mrr@4"]


def test_evaluation_is_a_mapping_and_prints_a_table():
    array = np.array([0.25, 0.75, np.nan])
    found = Evaluation({"ndcg@10": 0.5}, {"ndcg@10": 0.1768}, {"ndcg@10": array}, np.zeros(3, bool), 2, 1, 0, False)
    assert dict(found) == {"ndcg@10": 0.5}
    assert len(found) == 1
    assert str(found) == (
        "           mean  std. error\nndcg@10  0.5000      0.1768\n2 users, 0 of them cold; 1 skipped, nothing held out"
    )
    assert repr(found) == "Evaluation(ndcg@10=0.5000, n_users=2)"
    with pytest.raises(KeyError):
        found["recall@10"]


class LeakyModel(TableModel):
    def recommend(self, users, k=10, exclude_seen=True):
        return super().recommend(users, k, exclude_seen=False)


def test_seen_items_in_the_output_are_an_error():
    split = per_user(np.ones((4, 6)), test_size=0.5)
    scores = split.train.toarray()  # the seen ones first
    with pytest.raises(ValueError, match=r"model.recommend must leave out seen items, got 12 of them \(first: item"):
        evaluate(LeakyModel(scores, split.train), split, k=5)
    assert evaluate(LeakyModel(scores, split.train), split, k=3, exclude_seen=False)["recall@3"] == 0


class Shape(TableModel):
    def recommend(self, users, k=10, exclude_seen=True):
        return super().recommend(users, k + 1, exclude_seen)

    def predict(self, users, items):
        return self.scores[users[:1], items[:1]]


def test_wrong_shapes_from_the_model_are_an_error():
    split = per_user(np.ones((4, 6)), test_size=0.5)
    with pytest.raises(ValueError, match=r"model.recommend must return shape \(4, 5\), got \(4, 6\)"):
        evaluate(Shape(np.ones((4, 6)), split.train), split, k=5)
    with pytest.raises(ValueError, match=r"model.predict must return shape \(3,\), got \(1,\)"):
        evaluate(Shape(np.ones((1, 6))), one_user([1, 2]))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"split": "x"}, TypeError, "split must be a Split, got str"),
        ({"metrics": "ap"}, ValueError, "metrics must be one of 'precision', .*, got 'ap'"),
        ({"metrics": ["ndcg", 10]}, TypeError, "metrics must be strings, got 10"),
        ({"metrics": "ndcg@x"}, ValueError, "metrics must be like 'ndcg' or 'ndcg@10', got 'ndcg@x'"),
        ({"metrics": "ndcg@0"}, ValueError, "k must be >= 1, got 0"),
        ({"metrics": ()}, ValueError, "metrics and k must not be empty"),
        ({"k": 0}, ValueError, "k must be >= 1, got 0"),
        ({"k": (5, 2.0)}, TypeError, "k must be an integer, got 2.0"),
        ({"exclude_seen": 1}, TypeError, "exclude_seen must be True or False, got 1"),
        ({"n_threads": 0}, ValueError, "n_threads must be >= 1, got 0"),
        ({"n_threads": 2}, ValueError, "n_threads must be None for a model without that parameter, got 2"),
    ],
)
def test_bad_arguments_are_refused(options, error, message):
    split = per_user(np.ones((4, 6)), test_size=0.5)
    arguments = {"model": TableModel(np.ones((4, 6)), split.train), "split": split, **options}
    with pytest.raises(error, match=message):
        evaluate(**arguments)


def test_bad_splits_are_refused():
    eye = sp.eye_array(3, format="csr")
    other = sp.csr_array(np.eye(3)[::-1])
    model = TableModel(np.ones((3, 3)), eye)
    with pytest.raises(ValueError, match=r"split must have a held-out item in split.test, got none"):
        evaluate(model, Split(eye, sp.csr_array((3, 3))))
    with pytest.raises(ValueError, match=r"split.train must have 3 rows \(users\), got shape \(2, 3\)"):
        evaluate(model, Split(eye[:2], other))
    with pytest.raises(ValueError, match=r"split.test must hold other items than split.train .*got 1 in both"):
        evaluate(model, Split(eye, other))
    negatives = np.array([[0], [0], [1]], np.int32)
    rest = sp.csr_array(np.eye(3)[[2, 0, 1]])
    with pytest.raises(ValueError, match=r"split.negatives must be None if there is fold_in"):
        evaluate(model, Split(eye, rest, fold_in=eye, negatives=negatives))
    with pytest.raises(ValueError, match=r"split.negatives must have 3 rows like split.test, got \(2, 1\)"):
        evaluate(model, Split(eye, rest, negatives=negatives[:2]))
    with pytest.raises(ValueError, match=r"split.negatives must not hold seen items if exclude_seen=True, got 1 of"):
        evaluate(model, Split(eye, rest, negatives=negatives))
    assert evaluate(model, Split(eye, rest, negatives=negatives), exclude_seen=False).n_users == 3


@pytest.mark.parametrize("n_threads", [1, 2])
def test_n_threads_leaves_the_model_as_it_is(n_threads):
    X, _ = problem(3)
    split = per_user(X, test_size=0.3)
    model = EASE(l2=5.0).fit(split.train)
    with_threads = evaluate(model, split, n_threads=n_threads)
    assert model.n_threads is None
    assert dict(with_threads) == dict(evaluate(model, split))


# ---- against figures that were computed independently


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Popularity(), (0.1858, 0.2133, 0.1739, 0.2925)),
        (EASE(l2=500), (0.3722, 0.4424, 0.3601, 0.5266)),
    ],
    ids=["popularity", "ease"],
)
def test_full_ranking_on_movielens(model, expected):
    train, test = ml100k_hash_split()
    found = evaluate(model.fit(train), Split(train, test), ["precision@10", "ndcg@10", "recall@20", "ndcg@100"])
    np.testing.assert_allclose(list(found.values()), expected, atol=5e-4)
    assert (found.n_users, found.n_skipped, found.n_cold) == (942, 1, 0)


@pytest.mark.parametrize(
    ("model", "sampled", "full"),
    [
        (Popularity(), (0.3150, 0.1693), (0.0498, 0.0250)),
        (EASE(l2=500), (0.5917, 0.3247), (0.0859, 0.0406)),
    ],
    ids=["popularity", "ease"],
)
def test_leave_one_out_on_movielens(model, sampled, full):
    train, item, negatives = ml100k_leave_one_out()
    test = sp.csr_array((np.ones(943, np.float32), item, np.arange(944)), shape=train.shape)
    model.fit(train)
    among = evaluate(model, Split(train, test, negatives=negatives.astype(np.int32)), ["hit_rate", "ndcg"])
    np.testing.assert_allclose(list(among.values()), sampled, atol=5e-4)
    everything = evaluate(model, Split(train, test), ["hit_rate", "ndcg"])
    np.testing.assert_allclose(everything["hit_rate@10"], full[0], atol=2e-3)  # ties: by id here, conservative there
    np.testing.assert_allclose(everything["ndcg@10"], full[1], atol=2e-3)
    assert among.sampled
    assert not everything.sampled
