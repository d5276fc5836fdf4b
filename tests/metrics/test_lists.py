"""Metrics of lists alone, against plain definitions."""

from itertools import combinations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.metrics import (
    coverage,
    gini,
    gini_of_counts,
    intra_list_diversity,
    item_counts,
    novelty,
    popularity_groups,
)

N = 7
LISTS = st.lists(st.lists(st.integers(0, N - 1), unique=True, max_size=N), max_size=6)


def padded(lists):
    out = np.full((len(lists), N), -1, np.int32)
    for row, items in enumerate(lists):
        out[row, : len(items)] = items
    return out


@given(lists=LISTS)
def test_catalogue_metrics_equal_their_definitions(lists):
    counts = np.array([sum(item in items for items in lists) for item in range(N)])
    for ranked in (lists, padded(lists)):
        np.testing.assert_array_equal(item_counts(ranked, N), counts)
        assert coverage(ranked, N) == np.mean(counts > 0)
        if counts.any():
            # mean absolute difference of all pairs, over twice the mean
            expected = np.abs(counts[:, None] - counts).mean() / (2 * counts.mean())
            assert gini(ranked, N) == pytest.approx(expected, abs=1e-12)
        else:
            assert np.isnan(gini(ranked, N))


def test_gini_of_many_counts_does_not_overflow():
    assert gini_of_counts(np.full(3, 2**60)) == pytest.approx(0, abs=1e-12)


@given(lists=LISTS, seed=st.integers(0, 99))
def test_metrics_of_each_list_equal_their_definitions(lists, seed):
    rng = np.random.default_rng(seed)
    users, features = rng.integers(0, 9, N), rng.normal(size=(N, 3))
    features[0] = 0  # like no other
    norm = np.linalg.norm(features, axis=1)
    for given_features in (features, sp.csr_array(features), features.astype("f4").astype("f8")):
        diverse = intra_list_diversity(padded(lists), given_features)
        for items, found in zip(lists, diverse, strict=True):
            pairs = [
                1 - (features[a] @ features[b] / (norm[a] * norm[b]) if norm[a] * norm[b] else 0)
                for a, b in combinations(items, 2)
            ]
            np.testing.assert_allclose(found, np.mean(pairs) if pairs else np.nan, atol=1e-6)
    for items, found in zip(lists, novelty(lists, users, 9), strict=True):
        surprise = [-np.log2(max(users[i], 1) / 9) for i in items]
        np.testing.assert_allclose(found, np.mean(surprise) if items else np.nan)


@given(counts=st.lists(st.integers(0, 50), max_size=20))
def test_popularity_groups_hold_their_shares(counts):
    groups = popularity_groups(counts, (0.4, 0.7))
    users = np.array(counts, int)
    order = np.argsort(-users, kind="stable")
    assert groups[order].tolist() == sorted(groups.tolist(), key=["head", "mid", "tail"].index)
    for names, share in ((("head",), 0.4), (("head", "mid"), 0.7)):
        inside = users[np.isin(groups, names)]
        assert inside.sum() >= share * users.sum()
        if len(inside) and users.sum():
            assert inside.sum() - inside.min() < share * users.sum()  # none too many


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: coverage([[7]], 7), ValueError, "ranked must hold item ids in 0..6, got 1 unknown: 7"),
        (lambda: coverage([[0]], 0), ValueError, "n_items must be >= 1, got 0"),
        (lambda: gini_of_counts([-1]), ValueError, "counts must be >= 0, got -1"),
        (lambda: gini_of_counts([]), ValueError, r"counts must be 1-D and not empty, got shape \(0,\)"),
        (lambda: novelty([[0]], [5], 4), ValueError, r"item_users must be 1-D in 0..4"),
        (lambda: novelty([[0]], [0.5], 4), TypeError, "item_users must be integers, got float64"),
        (lambda: intra_list_diversity([[3]], np.eye(3)), ValueError, "ranked must hold item ids in 0..2"),
        (lambda: popularity_groups([1], (0.9, 0.1)), ValueError, "shares must be two with 0 < head <= mid < 1"),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
