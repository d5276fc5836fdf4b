"""Planted topics: words are drawn from the shares that decide who takes an item, and so tell of new items."""

import numpy as np
import pytest
from scipy.stats import rankdata

from pyrec_core.datasets import make_topics


@pytest.fixture(scope="module")
def data():
    return make_topics()


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def text_vectors(words):
    """Words of each item, the rare ones weighing more, as vectors of length 1."""
    frequency = np.maximum((words > 0).sum(axis=0), 1)
    return unit(words.toarray() * np.log(words.shape[0] / frequency))


def cold_items(data):
    return np.arange(data.words.shape[0]) % 5 == 0


def cold_auc(data, item_vectors):
    """Mean AUC of users among items of which no interaction is known, by likeness to their other items."""
    X, cold = data.interactions.matrix().toarray(), cold_items(data)
    scores = unit(X[:, ~cold] @ item_vectors[~cold]) @ item_vectors[cold].T
    taken = X[:, cold]
    n = taken.sum(axis=1)
    above = (rankdata(scores, axis=1) * taken).sum(axis=1) - n * (n + 1) / 2
    return np.mean((above / np.maximum(n * (cold.sum() - n), 1))[n > 0])


def test_shapes_and_shares(data):
    assert data.interactions.shape == (2000, 1000)
    assert data.words.shape == (1000, 2000)
    assert data.words.dtype == np.float32
    assert data.words.indices.dtype == np.int32
    assert data.words.has_canonical_format
    for shares in (data.user_topics, data.item_topics, data.topic_words):
        assert shares.min() >= 0
        np.testing.assert_allclose(shares.sum(axis=1), 1)
    X = data.interactions.matrix(duplicates="error")  # no item twice
    assert abs(np.diff(X.indptr).mean() - 30) < 2
    lengths = data.words.sum(axis=1)
    assert lengths.min() >= 1
    assert abs(lengths.mean() - 50) < 4 * np.sqrt(49 / 1000)  # 1 + Poisson
    assert repr(data).endswith("10 topics, 2000 words)")


def test_times_rise_in_the_order_of_taking(data):
    log = data.interactions
    same_user = log.user[1:] == log.user[:-1]
    assert (np.diff(log.time)[same_user] > 0).all()


def test_words_follow_the_topics_of_their_item(data):
    expected = (data.item_topics @ data.topic_words) * data.words.sum(axis=1)[:, None]
    for items in np.array_split(np.argsort(data.item_topics[:, 0]), 10):  # the first topic hardly to mostly
        found, mean = data.words[items].sum(axis=0), expected[items].sum(axis=0)
        often = mean > 5
        chi_square = ((found - mean)[often] ** 2 / mean[often]).sum()
        assert abs(chi_square - often.sum()) < 5 * np.sqrt(2 * often.sum())


def test_interactions_follow_the_topics(data):
    likely = data.user_topics @ data.item_topics.T
    X = data.interactions.matrix().toarray() > 0
    assert likely[X].mean() > 3 * likely[~X].mean()


def test_words_tell_who_takes_an_item_that_nobody_has_taken(data):
    vectors = text_vectors(data.words)
    by_words = cold_auc(data, vectors)
    by_truth = cold_auc(data, unit(data.item_topics))
    by_wrong_words = cold_auc(data, np.random.default_rng(0).permutation(vectors))
    assert 0.45 < by_wrong_words < 0.55
    assert 0.8 < by_words < by_truth


def test_items_with_similar_words_share_users(data):
    vectors, users = text_vectors(data.words), unit(data.interactions.matrix().toarray().T)
    cold = cold_items(data)
    likeness, shared = vectors[cold] @ vectors[~cold].T, users[cold] @ users[~cold].T
    nearest = np.argsort(-likeness, axis=1)[:, :10]
    assert np.take_along_axis(shared, nearest, axis=1).mean() > 3 * shared.mean()


def test_some_words_are_frequent_in_all_topics_and_others_tell_one(data):
    spread = data.topic_words.min(axis=0) / data.topic_words.max(axis=0)
    often = np.argsort(-data.topic_words.sum(axis=0))
    assert spread[often[0]] > 0.2
    assert np.median(spread[often[200:]]) < 0.01


def test_smallest_sizes():
    data = make_topics(1, 1, 1, 1, 1, 1)
    assert (data.interactions.shape, data.words.toarray().tolist()) == ((1, 1), [[1.0]])
    assert make_topics(3, 4, n_topics=200, n_words=1).words.shape == (4, 1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_users": 0}, ValueError, "n_users must be >= 1, got 0"),
        ({"n_items": 2**31}, ValueError, "n_items must be <= 2147483647, got 2147483648"),
        ({"n_topics": 0}, ValueError, "n_topics must be >= 1, got 0"),
        ({"n_words": 1.0}, TypeError, "n_words must be an integer, got 1.0"),
        ({"interactions_per_user": 0.5}, ValueError, "interactions_per_user must be >= 1.0, got 0.5"),
        ({"words_per_item": 0}, ValueError, "words_per_item must be >= 1.0, got 0.0"),
        ({"words_per_item": "many"}, TypeError, "words_per_item must be a number, got 'many'"),
    ],
)
def test_bad_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        make_topics(**options)
