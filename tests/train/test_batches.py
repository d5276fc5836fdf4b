"""Shuffled batches, packed sequences, prefixes and negatives."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from pyrec_core._random import Source
from pyrec_core.train import Negatives, pack, prefixes, shuffled

LENGTHS = st.lists(st.integers(0, 6), max_size=12)


def offsets_of(lengths):
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


@given(n=st.integers(0, 40), batch_size=st.integers(1, 9), seed=st.integers(0, 99))
def test_shuffled_batches_hold_everything_once(n, batch_size, seed):
    batches = list(shuffled(n, batch_size, Source(seed)))
    assert sorted(int(i) for batch in batches for i in batch) == list(range(n))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert len(batches) == -(-n // batch_size)


def test_shuffled_batches_are_new_in_each_epoch_and_the_same_for_a_seed():
    def order(seed, epoch):
        source = Source(seed)
        source.begin(epoch)
        return np.concatenate(list(shuffled(500, 64, source))).tolist()

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1, 2)}) == 6


def test_each_place_is_equally_likely():
    counts = np.zeros((6, 6))
    for seed in range(600):
        counts[np.arange(6), np.concatenate(list(shuffled(6, 6, Source(seed))))] += 1
    assert chisquare(counts.ravel()).pvalue > 1e-3


@pytest.mark.parametrize(("n", "batch_size", "message"), [(-1, 1, "n must be >= 0"), (3, 0, "batch_size must be >= 1")])
def test_shuffled_refuses(n, batch_size, message):
    with pytest.raises(ValueError, match=message):
        next(shuffled(n, batch_size, Source(0)))


@given(lengths=LENGTHS)
def test_packed_rows_are_the_events_step_by_step(lengths):
    offsets = offsets_of(lengths)
    packed = pack(offsets)
    filled = [s for s, n in enumerate(lengths) if n]
    assert sorted(packed.order.tolist()) == filled
    assert [lengths[s] for s in packed.order] == sorted((lengths[s] for s in filled), reverse=True)
    wanted = [[offsets[s] + t for s in packed.order if lengths[s] > t] for t in range(max(lengths, default=0))]
    assert packed.steps.tolist() == [len(rows) for rows in wanted]
    assert packed.position.tolist() == [int(i) for rows in wanted for i in rows]
    assert packed.position[packed.last].tolist() == [int(offsets[s + 1]) - 1 for s in packed.order]
    assert {a.dtype for a in packed} == {np.dtype(np.int64)}


@given(lengths=LENGTHS)
def test_packing_has_an_inverse(lengths):
    packed, n = pack(offsets_of(lengths)), sum(lengths)
    events = np.arange(n) * 10
    back = np.empty_like(events)
    back[packed.position] = events[packed.position]
    np.testing.assert_array_equal(back, events)
    assert sorted(packed.position.tolist()) == list(range(n))


def test_sequences_of_one_length_keep_their_order():
    assert pack([0, 2, 4, 6]).order.tolist() == [0, 1, 2]


def test_pack_refuses_offsets_that_are_no_integers():
    with pytest.raises(TypeError, match="offsets must be integers, got float64"):
        pack([0.0, 1.0])


@pytest.mark.parametrize("offsets", [[0, 2, 1], [1, 2], [], [[0, 1]]])
def test_pack_refuses_offsets_that_do_not_rise_from_0(offsets):
    with pytest.raises(ValueError, match="offsets must be 1-D and rise from 0, got"):
        pack(np.array(offsets, np.int64))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": [0]}, "targets must be events that have another before them in their session"),
        ({"targets": [1, 3]}, "targets must be events that have another before"),
        ({"targets": [5]}, "targets must be events that have another before"),
        ({"targets": [-1]}, "targets must be events that have another before"),
        ({"drop": 1.0}, "drop must be < 1, got 1.0"),
        ({"drop": -0.1}, "drop must be >= 0.0, got -0.1"),
        ({"max_length": 0}, "max_length must be >= 1, got 0"),
    ],
)
def test_prefixes_refuse(change, message):
    arguments = {"targets": [1], "drop": 0.0, "max_length": None} | change
    arguments["targets"] = np.array(arguments["targets"])
    with pytest.raises(ValueError, match=message):
        prefixes(np.arange(5, dtype=np.int32), np.array([0, 3, 5]), source=Source(0), **arguments)


def slow_prefixes(items, offsets, targets, max_length):
    for target in targets:
        begin = max(o for o in offsets if o <= target and o in offsets[:-1])
        begin = begin if max_length is None else max(begin, target - max_length)
        yield items[begin:target].tolist()


def split_up(items, offsets):
    return [items[a:b].tolist() for a, b in pairwise(offsets)]


@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=8),
    max_length=st.none() | st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_prefixes_are_what_comes_before(lengths, max_length, seed):
    offsets, rng = offsets_of(lengths), np.random.default_rng(seed)
    items = rng.integers(0, 9, offsets[-1]).astype(np.int32)
    targets = rng.permutation(np.setdiff1d(np.arange(offsets[-1]), offsets[:-1]))
    found, bounds = prefixes(items, offsets, targets, max_length=max_length, source=Source(0))
    assert found.dtype == np.int32
    assert bounds.dtype == np.int64
    assert split_up(found, bounds) == list(slow_prefixes(items, offsets, targets, max_length))


@given(lengths=st.lists(st.integers(2, 8), min_size=1, max_size=6), drop=st.floats(0.05, 0.95), seed=st.integers(0, 99))
def test_dropping_leaves_a_subsequence_that_ends_with_the_last_item(lengths, drop, seed):
    offsets = offsets_of(lengths)
    items = np.arange(offsets[-1], dtype=np.int32)  # each item once: ascending means in order
    targets = np.setdiff1d(items, offsets[:-1]).astype(np.int64)
    whole = split_up(*prefixes(items, offsets, targets, source=Source(seed)))
    for part, all_of_it in zip(
        split_up(*prefixes(items, offsets, targets, drop=drop, source=Source(seed))), whole, strict=True
    ):
        assert part == sorted(set(part) & set(all_of_it))
        assert part[-1] == all_of_it[-1]


def test_the_share_that_is_dropped():
    offsets, source = np.array([0, 20_001]), Source(0)
    items = np.zeros(20_001, np.int32)
    found, _ = prefixes(items, offsets, np.array([20_000]), drop=0.25, source=source)
    assert len(found) == pytest.approx(15_000, abs=5 * np.sqrt(20_000 * 0.25 * 0.75))
    again, _ = prefixes(items, offsets, np.array([20_000]), drop=0.25, source=source)
    assert len(again) != len(found)  # the next draws of the source


SUPPORT = [1, 0, 40, 7, 0, 100, 12, 3]


def draws(n, n_sample=10, alpha=0.5, epoch=0, **options):
    source = Source(5)
    source.begin(epoch)
    batches = Negatives(SUPPORT, n_sample, alpha, **options).draws(source)
    return np.concatenate([next(batches) for _ in range(n)])


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0])
def test_negatives_follow_the_support(alpha):
    counts = np.bincount(draws(4000, alpha=alpha), minlength=len(SUPPORT))
    support = np.array(SUPPORT, float)
    seen = support > 0
    assert (counts[~seen] == 0).all()
    wanted = support[seen] ** alpha
    assert chisquare(counts[seen], counts.sum() * wanted / wanted.sum()).pvalue > 1e-3


def test_the_chi_square_notices_another_power():
    counts = np.bincount(draws(4000, alpha=0.5), minlength=len(SUPPORT))[[0, 2, 3, 5, 6, 7]]
    wanted = np.array([1, 40, 7, 100, 12, 3]) ** 0.6
    assert chisquare(counts, counts.sum() * wanted / wanted.sum()).pvalue < 1e-6


@pytest.mark.parametrize("cache", [1, 10, 25, 1000, 10**6])
def test_the_cache_does_not_change_the_draws(cache):
    np.testing.assert_array_equal(draws(30, cache=cache), draws(30))


def test_draws_differ_from_batch_to_batch_and_from_epoch_to_epoch():
    batches = [tuple(batch) for epoch in (0, 1) for batch in draws(20, epoch=epoch).reshape(20, 10).tolist()]
    assert len(set(batches)) == 40
    assert draws(3).dtype == np.int32


def test_no_negatives_are_empty_batches():
    batches = Negatives(SUPPORT, 0).draws(Source(0))
    assert [len(next(batches)) for _ in range(3)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_sample": -1}, ValueError, "n_sample must be >= 0, got -1"),
        ({"alpha": -0.5}, ValueError, "alpha must be >= 0.0, got -0.5"),
        ({"support": [1, -2]}, ValueError, "support must be >= 0, got -2.0"),
        ({"support": [1, np.nan]}, ValueError, "support must be >= 0, got nan"),
        ({"cache": 0}, ValueError, "cache must be >= 1, got 0"),
        ({"support": [0, 0]}, ValueError, "weights must be > 0 somewhere"),
        ({"n_sample": 1.5}, TypeError, "n_sample must be an integer"),
    ],
)
def test_negatives_refuse(change, error, message):
    with pytest.raises(error, match=message):
        Negatives(**({"support": SUPPORT, "n_sample": 3} | change))


@pytest.mark.parametrize(("n", "sizes"), [(0, []), (1, [1]), (4, [4]), (5, [5]), (6, [4, 2]), (9, [4, 5])])
def test_a_last_batch_that_is_too_small_joins_the_one_before(n, sizes):
    batches = list(shuffled(n, 4, Source(1), fewest=2))
    assert [len(batch) for batch in batches] == sizes
    assert sorted(np.concatenate([[], *batches])) == list(range(n))
