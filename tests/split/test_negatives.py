import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from split_data import SEED, random_matrix

from pyrec_core.split import by_mask, per_user, sample_negatives, strong_generalisation, with_negatives


@given(seed=SEED, n=st.sampled_from([1, 3, 12, 25]))
def test_negatives_are_distinct_items_that_the_user_never_touched(seed, n):
    data = random_matrix(seed)
    split = sample_negatives(per_user(data, validation_size=0.2, random_state=seed), n, random_state=seed)
    for negatives in (split.negatives, split.validation.negatives):
        assert negatives.dtype == np.int32
        assert negatives.shape == (30, n)
        for user, row in enumerate(negatives):
            drawn, free = row[row >= 0], np.flatnonzero(data[user] == 0)
            assert len(drawn) == min(n, len(free))
            assert (np.diff(drawn) > 0).all()
            assert (row[len(drawn) :] == -1).all()
            assert set(drawn) <= set(free)


def test_negatives_need_training_users():
    with pytest.raises(ValueError, match="split must have no fold_in, got held-out users"):
        sample_negatives(strong_generalisation(np.ones((10, 20)), n_test=2))
    with pytest.raises(ValueError, match="n must be >= 1, got 0"):
        sample_negatives(per_user(np.ones((10, 20))), 0)


def test_negatives_are_uniform():
    data = np.zeros((3000, 9))
    data[:, [2, 7]] = 1
    counts = np.bincount(sample_negatives(per_user(data, test_size=0.5), 3).negatives.ravel(), minlength=9)
    assert counts[[2, 7]].sum() == 0
    expected = 3000 * 3 / 7
    assert (np.abs(counts[[0, 1, 3, 4, 5, 6, 8]] - expected) < 5 * np.sqrt(expected * 4 / 7)).all()


# ---- by popularity


@given(seed=SEED, n=st.sampled_from([1, 3, 12, 25]))
def test_negatives_by_popularity_are_distinct_known_items_that_the_user_never_touched(seed, n):
    data = random_matrix(seed, n_items=24)
    data[:, 20:22] = 0  # items of nobody
    split = per_user(data, validation_size=0.2, random_state=seed)
    split = sample_negatives(split, n, popularity=0.7, random_state=seed)
    assert split.negatives_kind == split.validation.negatives_kind == "popularity"
    for part in (split, split.validation):
        known = np.diff(part.train.tocsc().indptr) > 0
        assert not known[20:22].any()
        for user, row in enumerate(part.negatives):
            drawn, free = row[row >= 0], np.flatnonzero((data[user] == 0) & known)
            assert len(drawn) == min(n, len(free))
            assert (np.diff(drawn) > 0).all()
            assert (row[len(drawn) :] == -1).all()
            assert set(drawn) <= set(free)


def successive(weight, n):
    """Probability that each item is among ``n`` draws, one by one without replacement."""
    out = np.zeros(len(weight))

    def visit(left, share, depth):
        if depth == n:
            return
        total = sum(weight[i] for i in left)
        for i in left:
            p = share * weight[i] / total
            out[i] += p
            visit(left - {i}, p, depth + 1)

    visit(frozenset(np.flatnonzero(weight)), 1.0, 0)
    return out


@pytest.mark.parametrize(("n", "popularity"), [(1, 1.0), (3, 1.0), (3, 0.5), (5, 2.0)])
def test_negatives_follow_the_training_popularity(n, popularity):
    # 6 items with 100, 200, ... training users; 20,000 users who have none of them, but an item of their own kind
    counts = 100 * np.arange(1, 7)
    fans = np.repeat(np.eye(6), counts, axis=0)
    lonely = np.zeros((20_000, 6))
    data = sp.csr_array(np.block([[fans, np.zeros((len(fans), 2))], [lonely, np.ones((20_000, 2))]]))
    split = per_user(data, test_size=0.5)  # one of the two common items is held out; of the fans nothing is
    negatives = sample_negatives(split, n, popularity=popularity, random_state=3).negatives[len(fans) :]
    found = np.bincount(negatives.ravel(), minlength=8)[:6]
    expected = 20_000 * successive(counts.astype(float) ** popularity, n)
    assert (np.abs(found - expected) < 5 * np.sqrt(expected * (1 - expected / 20_000) + 1)).all()


def test_test_data_have_no_say_in_popularity():
    data = np.zeros((40, 12))
    data[:20, :6] = 1
    data[20:, 4:10] = 1
    data[0, 11] = 1
    mask = np.zeros(data.shape, bool)
    mask[0, 11] = True  # the only user of that item, held out
    split = sample_negatives(by_mask(data, mask), 6, popularity=1.0)
    assert not (split.negatives == 11).any()
    assert (sample_negatives(by_mask(data, mask), 6).negatives[1:] == 11).any()


def test_the_seed_decides_about_negatives():
    split = per_user(random_matrix(0, 60, 40), validation_size=0.2)
    for popularity in (0.0, 1.0):
        first, again, other = (sample_negatives(split, 5, popularity=popularity, random_state=s) for s in (7, 7, 8))
        for a, b, c in zip(*((x, x.validation) for x in (first, again, other)), strict=True):
            np.testing.assert_array_equal(a.negatives, b.negatives)
            assert (a.negatives != c.negatives).any()
        assert (first.negatives != first.validation.negatives).any()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"popularity": -1.0}, ValueError, r"popularity must be >= 0\.0, got -1\.0"),
        ({"popularity": "1"}, TypeError, "popularity must be a number, got '1'"),
        ({"n": 2.5}, TypeError, r"n must be an integer, got 2\.5"),
    ],
)
def test_bad_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        sample_negatives(per_user(np.ones((3, 4))), **options)
    with pytest.raises(TypeError, match="split must be a Split, got ndarray"):
        sample_negatives(np.eye(3))


# ---- as published


def test_published_negatives_may_hold_the_test_item_and_padding():
    split = by_mask(np.tri(3), np.eye(3, dtype=bool))
    given_ids = np.array([[2, 0], [-1, 1], [-1, -1]])
    found = with_negatives(split, given_ids)
    np.testing.assert_array_equal(found.negatives, given_ids)
    assert found.negatives.dtype == np.int32
    assert found.negatives_kind == "published"
    assert found.train is split.train


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([[0.0], [1.0], [2.0]], TypeError, "negatives must be integers, got float64"),
        ([[1], [2]], ValueError, r"negatives must have shape \(3, m\), one row a test user, got \(2, 1\)"),
        ([1, 2, 2], ValueError, r"negatives must have shape \(3, m\)"),
        ([[1], [3], [-2]], ValueError, r"negatives must hold item ids in -1\.\.2, got 2 unknown: 3, -2"),
        ([[1, 1], [2, 1], [2, 2]], ValueError, r"be distinct in each row, got 2 repeated \(first: item 1 in row 0\)"),
        (
            [[1, 2], [2, 0], [1, 0]],
            ValueError,
            r"negatives must not be in the training data of their user, got 3 that are \(first: item 0 in row 1\)",
        ),
    ],
)
def test_bad_published_negatives_are_refused(ids, error, message):
    split = by_mask(np.tri(3), np.eye(3, dtype=bool))
    with pytest.raises(error, match=message):
        with_negatives(split, ids)


def test_published_negatives_need_training_users():
    with pytest.raises(ValueError, match="split must have no fold_in, got held-out users"):
        with_negatives(strong_generalisation(np.ones((10, 20)), n_test=2), [[1], [2]])
