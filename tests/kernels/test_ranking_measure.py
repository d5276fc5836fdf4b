"""Measures against plain definitions, from ranks of any kind: half ones, infinite ones, deep ones."""

from math import inf, isfinite, log2, nan

import numpy as np
import pytest
from helpers import same_bits
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.kernels.ranking import METRICS, measure

# One user at a time: the ranks of the relevant items, the depth, the number of items that were ranked.
PLAIN = {
    "precision": lambda r, k, m: sum(x <= k for x in r) / k,
    "recall": lambda r, k, m: sum(x <= k for x in r) / len(r),
    "recall_trunc": lambda r, k, m: sum(x <= k for x in r) / min(k, len(r)),
    "f1": lambda r, k, m: 2 * sum(x <= k for x in r) / (k + len(r)),
    "hit_rate": lambda r, k, m: float(min(r) <= k),
    "mrr": lambda r, k, m: 1 / min(r) if min(r) <= k else 0.0,
    "ap": lambda r, k, m: sum(j / x for j, x in enumerate(sorted(r), 1) if x <= k) / min(k, len(r)),
    "ar": lambda r, k, m: sum(j / len(r) for j, x in enumerate(sorted(r), 1) if x <= k) / len(r),
    "dcg": lambda r, k, m: sum(1 / log2(x + 1) for x in r if x <= k),
    "ndcg": lambda r, k, m: PLAIN["dcg"](r, k, m) / sum(1 / log2(x + 1) for x in range(1, min(k, len(r)) + 1)),
    "auc": lambda r, k, m: plain_auc([x for x in r if isfinite(x)], m),
    "auc_at": lambda r, k, m: plain_auc_at([x for x in r if x <= k], len(r), k, m),
    "mean_rank": lambda r, k, m: sum(r) / len(r),
}


def plain_auc(ranks, m):
    n = len(ranks)
    return 1 - sum(x - j for j, x in enumerate(sorted(ranks), 1)) / (n * (m - n)) if n and m > n else nan


def plain_auc_at(hits, n, k, m):
    others, misses = m - n, min(k, m) - len(hits)
    pairs = sum(misses - (x - j) for j, x in enumerate(sorted(hits), 1)) + (len(hits) + n) / 2 * (others - misses)
    return pairs / (n * others) if others else nan


@st.composite
def users(draw):
    """Ranks of the relevant items of some users, as (user, rank) in any order within a user."""
    halves = draw(st.booleans())
    place = st.integers(1, 40).map(lambda x: x + 0.5 * halves)
    one = st.lists(place, unique=True, max_size=12).map(lambda r: r + [inf] * (len(r) % 3))
    return draw(st.lists(one, max_size=5))


def flat(rows):
    return np.array([x for r in rows for x in r]), np.cumsum([0] + [len(r) for r in rows])


@given(rows=users(), depths=st.lists(st.sampled_from([1, 2, 5, 40, 10**6, 2**62]), min_size=1, max_size=3))
def test_measures_equal_their_definitions(rows, depths):
    ranks, indptr = flat(rows)
    names = [name for name in METRICS for _ in depths]
    got = measure(ranks, indptr, names, depths * len(METRICS), n_rankable=60)
    assert got.shape == (len(names), len(rows))
    for row, (name, k) in zip(got, ((name, k) for name in METRICS for k in depths), strict=True):
        want = [PLAIN[name](r, k, 60) if r else nan for r in rows]
        np.testing.assert_allclose(row, np.array(want, float), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("gain", ["exponential", "linear"])
@given(rows=users(), seed=st.integers(0, 99), k=st.sampled_from([1, 3, 40]))
def test_grades(gain, rows, seed, k):
    ranks, indptr = flat(rows)
    grades = np.random.default_rng(seed).integers(0, 5, len(ranks)) / 2
    got = measure(ranks, indptr, ["dcg", "ndcg", "recall"], [k, k, k], gains=grades, gain=gain)
    counts = 2**grades - 1 if gain == "exponential" else grades
    for user, r in enumerate(rows):
        own = counts[indptr[user] : indptr[user + 1]]
        want = sum(g / log2(x + 1) for g, x in zip(own, r, strict=True) if x <= k)
        ideal = sum(g / log2(j + 1) for j, g in enumerate(sorted(own, reverse=True)[:k], 1))
        np.testing.assert_allclose(got[0, user], want if r else nan, rtol=1e-13)
        np.testing.assert_allclose(got[1, user], want / ideal if ideal else nan, rtol=1e-13)
    np.testing.assert_array_equal(got[2], measure(ranks, indptr, ["recall"], [k])[0])  # no matter the grades


def test_a_perfect_ranking_is_exactly_one_at_any_depth():
    n = 70_000  # beyond the table of discounts
    for ranks in (np.arange(1.0, n + 1), np.arange(float(n), 0, -1)):
        got = measure(ranks, [0, n], ["ndcg", "ap", "recall", "auc"], [n, n, n, n], n_rankable=2 * n)
        assert (got == 1).all()
        got = measure(ranks, [0, n], ["ndcg", "ap"], [17, 17])
        assert (got == 1).all()


def test_deep_ranks():
    ranks = np.array([65_536.0, 65_537.0, 65_537.5, 3e9])
    got = measure(ranks, [0, 1, 2, 3, 4], ["dcg", "ndcg"], [2**40, 2**40])
    np.testing.assert_allclose(got, np.tile(1 / np.log2(ranks + 1), (2, 1)), rtol=1e-14)


def test_undefined_values_are_nan():
    ranks, indptr = np.array([1.0, 2.0, inf]), [0, 2, 3, 3]
    got = measure(ranks, indptr, ["auc", "auc_at"], [1, 1], n_rankable=[2, 5, 5])
    np.testing.assert_array_equal(got[0], [nan, nan, nan])  # nothing else to rank, nothing ranked, no relevant item
    np.testing.assert_allclose(got[1], [nan, 1 / 2 * 3 / 4, nan])


def test_bits_do_not_depend_on_threads():
    rng = np.random.default_rng(0)
    indptr = np.append(0, np.cumsum(rng.integers(0, 30, 3000)))
    ranks = rng.integers(1, 10**5, indptr[-1]).astype(float)
    names, depths = list(METRICS), [20] * len(METRICS)

    def result(t):
        grades = np.ones(len(ranks))
        return measure(ranks, indptr, names, depths, gains=grades, n_rankable=10**6, n_threads=t)

    assert all(same_bits(result(t), result(1)) for t in (2, 3, 8))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: measure([0.5], [0, 1], ["mrr"], [1]), ValueError, "ranks must be >= 1, got 0.5"),
        (lambda: measure([nan], [0, 1], ["mrr"], [1]), ValueError, "ranks must be >= 1, got nan"),
        (lambda: measure([[1]], [0, 1], ["mrr"], [1]), ValueError, "ranks and indptr must be 1-D, got shapes "),
        (lambda: measure([1], [0, 2], ["mrr"], [1]), ValueError, "indptr must ascend from 0 to the number of entries"),
        (lambda: measure([1], [1, 1], ["mrr"], [1]), ValueError, "indptr must ascend from 0 to the number of entries"),
        (lambda: measure([1], [], ["mrr"], [1]), ValueError, "indptr must have at least one element"),
        (lambda: measure([1], [0, 1], ["map"], [1]), ValueError, "names must be one of 'precision', .*, got 'map'"),
        (lambda: measure([1], [0, 1], ["mrr"], [0]), ValueError, "depths must be >= 1, got 0"),
        (lambda: measure([1], [0, 1], ["mrr"], [1.5]), TypeError, "depths must be an integer, got 1.5"),
        (lambda: measure([1], [0, 1], ["mrr"], [1, 2]), ValueError, r"depths must be as many as names \(1\), got 2"),
        (lambda: measure([1], [0, 1], ["auc"], [1]), ValueError, "n_rankable must be given for auc and auc_at"),
        (lambda: measure([1], [0, 1], ["auc"], [1], n_rankable=1.5), TypeError, "n_rankable must be integers"),
        (lambda: measure([1], [0, 1], ["dcg"], [1], gains=[1, 2]), ValueError, r"gains must have shape \(1,\) like"),
        (lambda: measure([1], [0, 1], ["dcg"], [1], gains=[-1]), ValueError, "gains must be finite and >= 0, got -1"),
        (lambda: measure([1], [0, 1], ["dcg"], [1], gains=[1], gain="x"), ValueError, "gain must be one of 'expon"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
