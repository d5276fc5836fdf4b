"""Generated interactions have the promised shape and can be learned; one seed makes one data set."""

import dataclasses
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp

from pyrec_core import EASE, Popularity
from pyrec_core.datasets import (
    _draws,
    make_blocks,
    make_ctr,
    make_implicit,
    make_markov_sessions,
    make_ratings,
    make_topics,
)
from pyrec_core.evaluation import evaluate
from pyrec_core.split import per_user


def test_implicit_has_a_long_tail_and_active_users():
    data = make_implicit(n_users=3000, n_items=500, interactions_per_user=30)
    X = data.matrix(duplicates="error")  # no item twice
    assert data.shape == (3000, 500)
    per_user_counts, counts = np.diff(X.indptr), np.sort(X.sum(axis=0))[::-1]
    assert per_user_counts.min() >= 2
    assert abs(per_user_counts.mean() - 30) < 2
    assert 0.6 < np.log(per_user_counts).std() < 0.8
    assert counts[:50].sum() > 0.25 * counts.sum()  # a tenth of the items
    assert counts[250:].sum() < 0.35 * counts.sum()  # half of them
    ids = np.argsort(-X.sum(axis=0))[:50]
    assert abs(ids.mean() - 250) < 100  # popularity does not follow the ids


def test_implicit_times_rise_in_the_order_of_taste():
    data = make_implicit(n_users=200, n_items=100, interactions_per_user=20)
    same_user = data.user[1:] == data.user[:-1]
    assert data.time.dtype == np.int64
    assert (np.diff(data.time)[same_user] > 0).all()
    assert data.time.min() >= 0
    starts = data.time[np.append(True, ~same_user)]
    assert starts.min() < 30 * 86_400
    assert starts.max() > 330 * 86_400


def test_implicit_is_learned_by_a_model_of_tastes():
    split = per_user(make_implicit())
    taste, popular = (
        evaluate(model.fit(split.train), split, "ndcg", 10)["ndcg@10"] for model in (EASE(), Popularity())
    )
    assert taste > 1.3 * popular


def test_blocks_have_their_probabilities():
    X = make_blocks().matrix().toarray()
    same = (np.arange(500) % 5)[:, None] == np.arange(200) % 5
    for share, probability, n in ((X[same].mean(), 0.3, 20_000), (X[~same].mean(), 0.02, 80_000)):
        assert abs(share - probability) < 4 * np.sqrt(probability * (1 - probability) / n)


def test_blocks_are_learned():
    model = EASE(l2=50).fit(make_blocks())
    items, _ = model.recommend(np.arange(500), k=10)
    assert (items % 5 == (np.arange(500) % 5)[:, None]).mean() > 0.9


def test_blocks_are_found_by_neighbours():
    X = make_blocks(random_state=1).matrix().toarray().astype(float)
    together = X.T @ X
    size = np.sqrt(np.diag(together))
    np.fill_diagonal(together, 0)
    scores = np.where(X > 0, -np.inf, X @ (together / size / size[:, None]))
    items = np.argsort(-scores, axis=1)[:, :10]
    assert (items % 5 == (np.arange(500) % 5)[:, None]).mean() > 0.9


def test_items_are_taken_in_proportion_to_their_weights():
    weight = np.array([0.5, 0.25, 0.15, 0.1])
    utility = np.log(weight) + np.random.default_rng(0).gumbel(size=(40_000, 4))
    taken = _draws.take_largest(utility, np.full(40_000, 2)).reshape(40_000, 2)
    for i in range(4):
        for j in set(range(4)) - {i}:
            probability = weight[i] * weight[j] / (1 - weight[i])
            share = ((taken[:, 0] == i) & (taken[:, 1] == j)).mean()
            assert abs(share - probability) < 4 * np.sqrt(probability * (1 - probability) / 40_000)


def test_as_many_items_are_taken_as_wanted():
    utility = np.array([[1.0, 3.0, 2.0], [5.0, 4.0, 6.0], [1.0, 2.0, 3.0]])
    assert _draws.take_largest(utility, np.array([2, 0, 3])).tolist() == [1, 2, 2, 1, 0]


def test_categories_have_their_probabilities():
    probability = np.array([[0.0, 0.7, 0.3], [0.2, 0.8, 0.0]])
    row = np.random.default_rng(0).integers(0, 2, 40_000)
    drawn = _draws.categories(np.random.default_rng(1), probability, row)
    for r in range(2):
        shares = np.bincount(drawn[row == r], minlength=3) / (row == r).sum()
        assert (np.abs(shares - probability[r]) <= 4 * np.sqrt(probability[r] * (1 - probability[r]) / 19_000)).all()


def arrays(data):
    """All arrays that a generator returned."""
    if isinstance(data, np.ndarray):
        return [data]
    if sp.issparse(data):
        return [data.indptr, data.indices, data.data]
    fields = vars(data).values() if dataclasses.is_dataclass(data) else []
    return [array for field in fields for array in arrays(field)]


@pytest.mark.parametrize(
    "make",
    [
        partial(make_implicit, 60, 40),
        partial(make_blocks, 60, 40),
        partial(make_ratings, 60, 40, ratings_per_user=15),
        partial(make_ratings, 60, 40, ratings_per_user=25),
        partial(make_topics, 60, 40, n_words=30, words_per_item=8),
        partial(make_markov_sessions, 60, 40),
        partial(make_ctr, 60, 40),
    ],
    ids=lambda make: make.func.__name__,
)
def test_one_seed_one_data_set(make, monkeypatch):
    first, other = arrays(make(random_state=3)), arrays(make(random_state=4))
    monkeypatch.setattr(_draws, "BLOCK_ELEMENTS", 40 * 7)  # in many pieces
    again = arrays(make(random_state=3))
    assert len(first) == len(again) >= 3
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    from_generator = arrays(make(random_state=np.random.default_rng(3)))
    for different in (other, from_generator):
        assert any(a.shape != b.shape or (a != b).any() for a, b in zip(first, different, strict=True))


def test_smallest_sizes():
    assert make_implicit(1, 1, 1, 1).shape == (1, 1)
    assert len(make_implicit(3, 2, 1, 50)) == 6  # everybody takes everything
    assert make_blocks(1, 1, 1, 0.0, 0.0).shape == (1, 1)
    assert len(make_blocks(2, 3, 1, 1.0)) == 6


@pytest.mark.parametrize(
    ("make", "options", "error", "message"),
    [
        (make_implicit, {"n_users": 0}, ValueError, "n_users must be >= 1, got 0"),
        (make_implicit, {"n_items": 2.0}, TypeError, "n_items must be an integer, got 2.0"),
        (make_implicit, {"n_factors": 0}, ValueError, "n_factors must be >= 1, got 0"),
        (
            make_implicit,
            {"interactions_per_user": 0.5},
            ValueError,
            "interactions_per_user must be >= 1.0, got 0.5",
        ),
        (make_blocks, {"n_blocks": 0}, ValueError, "n_blocks must be >= 1, got 0"),
        (make_blocks, {"inside": 1.5}, ValueError, "inside must be <= 1.0, got 1.5"),
        (make_blocks, {"outside": "x"}, TypeError, "outside must be a number, got 'x'"),
        (make_blocks, {"random_state": -1}, ValueError, "random_state must be >= 0, got -1"),
    ],
)
def test_bad_sizes_are_refused(make, options, error, message):
    with pytest.raises(error, match=message):
        make(**options)
