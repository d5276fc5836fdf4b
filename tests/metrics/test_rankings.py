"""Metrics of rankings against plain definitions, and what must hold for any list."""

from math import log2

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.metrics import (
    average_precision,
    average_recall,
    dcg,
    f1,
    from_lists,
    hit_rate,
    mrr,
    ndcg,
    precision,
    recall,
    recall_trunc,
)
from pyrec_core.metrics._ranking import RANKING

N_ITEMS = 9


# The table of definitions, one user at a time: `items` is the list, `wanted` the relevant items.
def plain_precision(items, wanted, k):
    return sum(item in wanted for item in items[:k]) / k


def plain_recall(items, wanted, k):
    return sum(item in wanted for item in items[:k]) / len(wanted)


def plain_recall_trunc(items, wanted, k):
    return sum(item in wanted for item in items[:k]) / min(k, len(wanted))


def plain_ndcg(items, wanted, k):
    gain = sum(1 / log2(rank + 1) for rank, item in enumerate(items[:k], start=1) if item in wanted)
    return gain / sum(1 / log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1))


def plain_f1(items, wanted, k):
    p, r = plain_precision(items, wanted, k), plain_recall(items, wanted, k)
    return 2 * p * r / (p + r) if p + r else 0.0


def plain_average_precision(items, wanted, k):
    hits = [rank for rank, item in enumerate(items[:k], start=1) if item in wanted]
    return sum(plain_precision(items, wanted, rank) for rank in hits) / min(k, len(wanted))


def plain_average_recall(items, wanted, k):
    hits = [rank for rank, item in enumerate(items[:k], start=1) if item in wanted]
    return sum(plain_recall(items, wanted, rank) for rank in hits) / len(wanted)


def plain_dcg(items, wanted, k):
    return sum(1 / log2(rank + 1) for rank, item in enumerate(items[:k], start=1) if item in wanted)


def plain_hit_rate(items, wanted, k):
    return float(any(item in wanted for item in items[:k]))


def plain_mrr(items, wanted, k):
    return next((1 / rank for rank, item in enumerate(items[:k], start=1) if item in wanted), 0.0)


METRICS = [
    (precision, plain_precision),
    (recall, plain_recall),
    (recall_trunc, plain_recall_trunc),
    (ndcg, plain_ndcg),
    (hit_rate, plain_hit_rate),
    (mrr, plain_mrr),
    (f1, plain_f1),
    (average_precision, plain_average_precision),
    (average_recall, plain_average_recall),
    (dcg, plain_dcg),
]
each_metric = pytest.mark.parametrize(("metric", "plain"), METRICS, ids=[metric.__name__ for metric, _ in METRICS])
RANKED = st.lists(st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=N_ITEMS), max_size=6)
DEPTH = st.sampled_from([1, 2, 3, 5, 9, 20])


@st.composite
def users(draw):
    ranked = draw(RANKED)
    relevant = draw(st.lists(st.sets(st.integers(0, N_ITEMS - 1)), min_size=len(ranked), max_size=len(ranked)))
    return ranked, [list(wanted) for wanted in relevant]


def padded(ranked, width=N_ITEMS, dtype=np.int32):
    out = np.full((len(ranked), width), -1, dtype)
    for row, items in enumerate(ranked):
        out[row, : len(items)] = items
    return out


def as_sparse(relevant):
    X = sp.lil_array((len(relevant), N_ITEMS), dtype=np.float32)
    for row, wanted in enumerate(relevant):
        X[row, wanted] = 2.5
    return X.tocsr() if len(relevant) else sp.csr_array((0, N_ITEMS), dtype=np.float32)


def test_every_metric_of_a_ranking_is_tested_here():
    assert sorted(RANKING) == sorted(metric.__name__ for metric, _ in METRICS)


@given(data=users(), k=st.lists(DEPTH, min_size=1, max_size=3))
def test_several_metrics_at_once_are_those_alone(data, k):
    found = from_lists(*data, [*RANKING, "ndcg@4"], k)
    assert list(found) == list(dict.fromkeys([f"{name}@{at}" for name in RANKING for at in k] + ["ndcg@4"]))
    for metric, _ in METRICS:
        for at in k:
            np.testing.assert_array_equal(found[f"{metric.__name__}@{at}"], metric(*data, at))


@each_metric
@given(data=users(), k=DEPTH)
def test_metric_equals_the_definition(metric, plain, data, k):
    ranked, relevant = data
    expected = [plain(a, b, k) if b else np.nan for a, b in zip(ranked, relevant, strict=True)]
    for lists in (ranked, padded(ranked), padded(ranked, N_ITEMS + 3, np.int64)):
        for held_out in (relevant, as_sparse(relevant), as_sparse(relevant).tocoo()):
            found = metric(lists, held_out, k)
            assert found.dtype == np.float64
            np.testing.assert_allclose(found, np.array(expected, np.float64), rtol=1e-13, atol=0)


@each_metric
@given(order=st.permutations(range(N_ITEMS)), n=st.integers(1, N_ITEMS), k=DEPTH)
def test_bounds_and_perfect_and_worst_lists(metric, plain, order, n, k):
    relevant = order[:n]
    best = metric([order], [relevant], k)[0]
    worst = metric([order[::-1]], [relevant], k)[0]
    assert 0 <= worst <= best
    if metric in (ndcg, recall_trunc, hit_rate, mrr, average_precision):
        assert best == 1  # exactly: a perfect list is not 0.9999999
    else:
        assert best == pytest.approx(plain(order, set(relevant), k), rel=1e-14)
    assert metric([[item for item in order if item not in relevant]], [relevant], k)[0] == 0


@pytest.mark.parametrize("metric", [recall, hit_rate, mrr])
@given(data=users())
def test_a_deeper_list_is_not_worse(metric, data):
    ranked, relevant = data
    values = np.array([metric(ranked, relevant, k) for k in (1, 2, 3, 5, 9, 20)])
    assert ((np.diff(values, axis=0) >= 0) | np.isnan(values[1:])).all()


@given(data=users(), k=DEPTH)
def test_relations_between_metrics(data, k):
    ranked, relevant = data
    n = np.array([len(wanted) for wanted in relevant], float)
    n[n == 0] = np.nan
    found = precision(ranked, relevant, k) * k
    np.testing.assert_allclose(recall(ranked, relevant, k) * n, found)
    np.testing.assert_allclose(recall_trunc(ranked, relevant, k) * np.minimum(n, k), found)
    np.testing.assert_array_equal(hit_rate(ranked, relevant, k), np.where(np.isnan(n), np.nan, found > 0))
    np.testing.assert_array_equal(mrr(ranked, relevant, k) > 0, found > 0)


@each_metric
@given(data=users(), k=DEPTH, seed=st.integers(0, 99))
def test_users_do_not_influence_each_other(metric, plain, data, k, seed):
    ranked, relevant = data
    order = np.random.default_rng(seed).permutation(len(ranked))
    shuffled = metric([ranked[at] for at in order], [relevant[at] for at in order], k)
    np.testing.assert_array_equal(shuffled, metric(ranked, relevant, k)[order])


def test_by_hand():
    ranked, relevant = np.array([[5, 1, 7, 3, -1]]), [[7, 3, 8]]
    assert precision(ranked, relevant, 10)[0] == 0.2
    assert recall(ranked, relevant, 3)[0] == 1 / 3
    assert recall_trunc(ranked, relevant, 2)[0] == 0
    assert mrr(ranked, relevant, 3)[0] == 1 / 3
    ideal = 1 + 1 / log2(3) + 0.5
    np.testing.assert_allclose(ndcg(ranked, relevant, 5)[0], (0.5 + 1 / log2(5)) / ideal)


def test_padding_in_the_middle_is_no_hit_and_keeps_its_place():
    assert mrr(np.array([[-1, -1, 4]]), [[4]], 3)[0] == 1 / 3


def test_repeated_relevant_ids_count_once():
    assert recall([[4, 2]], [[4, 4, 4, 9]], 2)[0] == 0.5
    duplicated = sp.coo_array((np.ones(3), ([0, 0, 0], [4, 4, 8])), shape=(1, N_ITEMS))
    assert recall([[4, 2]], duplicated, 2)[0] == 0.5


def test_stored_zeros_are_not_relevant():
    X = sp.csr_array((np.array([1.0, 0.0]), ([0, 0], [4, 2])), shape=(1, N_ITEMS))
    assert recall([[2, 4]], X, 1)[0] == 0
    assert recall([[2, 4]], X, 2)[0] == 1


def test_no_users_and_no_positions():
    assert precision(np.empty((0, 5), int), [], 3).shape == (0,)
    np.testing.assert_array_equal(ndcg(np.empty((2, 0), int), [[1], []], 3), [0, np.nan])
    np.testing.assert_array_equal(mrr([[], []], [[1], []], 3), [0, np.nan])


def test_large_ids_and_many_users_do_not_overflow():
    big = 2**31 - 2
    ranked = np.full((70_000, 2), -1)
    ranked[:, 0] = big
    relevant = [[big]] * 69_999 + [[big - 1]]
    found = hit_rate(ranked, relevant, 2)
    assert found[:-1].all()
    assert found[-1] == 0


def test_arguments_are_not_changed():
    ranked, relevant = np.array([[3, 1, 2]]), sp.csr_array(np.array([[0.0, 1, 0, 1]]))
    ranked.setflags(write=False)
    relevant.data.setflags(write=False)
    relevant.indices.setflags(write=False)
    assert ndcg(ranked, relevant, 2)[0] > 0
    np.testing.assert_array_equal(ranked, [[3, 1, 2]])


@each_metric
@pytest.mark.parametrize(
    ("ranked", "relevant", "k", "error", "message"),
    [
        ([[1]], [[1]], 0, ValueError, "k must be >= 1, got 0"),
        ([[1]], [[1]], 1.0, TypeError, "k must be an integer, got 1.0"),
        (
            [[1, 2, 1]],
            [[1]],
            1,
            ValueError,
            "ranked must hold an item at most once a row, got item 1 twice in row 0",
        ),
        (np.array([[0, 1], [5, 5]]), [[1], []], 1, ValueError, "got item 5 twice in row 1"),
        (np.array([[1.0]]), [[1]], 1, TypeError, "ranked must be integers, got float64"),
        ([[1.0]], [[1]], 1, TypeError, "ranked must be integers, got float64"),
        (np.array([1]), [[1]], 1, ValueError, r"ranked must be 2-D \(users x positions\), got shape \(1,\)"),
        ([[-2]], [[1]], 1, ValueError, r"ranked must hold item ids from -1 to 2\*\*31 - 2, got -2 to -2"),
        ([[1]], [[-1]], 1, ValueError, "relevant must hold item ids from 0"),
        ([[1]], [[2**31]], 1, ValueError, "relevant must hold item ids from 0"),
        ([[1]], [[1], [2]], 1, ValueError, "relevant must have 1 rows like ranked, got 2"),
        ([[9]], sp.csr_array((1, N_ITEMS)), 1, ValueError, "ranked must hold item ids below 9 .*, got 9"),
        (
            [[1]],
            np.array([[1]]),
            1,
            TypeError,
            "relevant must be a sparse matrix or a list of lists, got ndarray",
        ),
        ([1], [[1]], 1, TypeError, "ranked must hold one list per user, got int"),
        ([[1]], ["1"], 1, TypeError, "relevant must hold one list per user, got str"),
        ([[1]], [["a"]], 1, TypeError, "relevant must be integers, got <U1"),
        ("ab", [[1]], 1, TypeError, "ranked must be an integer array or a list of lists, got str"),
        ([[[1]]], [[1]], 1, ValueError, "ranked must hold lists of ids, got deeper nesting"),
    ],
)
def test_bad_arguments_are_refused(metric, plain, ranked, relevant, k, error, message):
    with pytest.raises(error, match=message):
        metric(ranked, relevant, k)
