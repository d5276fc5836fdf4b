"""Alias tables and the draws from them."""

import numpy as np
import pytest
from helpers import same_bits
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.kernels.sampling import AliasTable, alias_table, sample

WEIGHTS = st.lists(st.sampled_from([0.0, 1e-300, 1e-9, 0.1, 0.3, 1.0, 2.5, 7.0, 1e300]), min_size=1, max_size=40)


def probabilities(table):
    """What the table gives each item: its own column's threshold, and what others pass on."""
    n = len(table.threshold)
    p = table.threshold.copy()
    np.add.at(p, table.alias, 1 - table.threshold)
    return p / n


@given(weights=WEIGHTS.filter(any))
def test_the_table_gives_each_item_its_share(weights):
    w = np.array(weights)
    table = alias_table(w)
    assert ((table.threshold >= 0) & (table.threshold <= 1 + 1e-12)).all()
    np.testing.assert_allclose(probabilities(table), w / w.max() / (w / w.max()).sum(), atol=1e-12)


@given(weights=WEIGHTS.filter(any), seed=st.integers(0, 2**64 - 1))
def test_items_of_weight_zero_are_never_drawn(weights, seed):
    drawn = sample(alias_table(weights), 500, seed=seed, purpose="negatives")
    assert (np.array(weights)[drawn] > 0).all()


def test_rounding_never_lets_an_item_of_weight_zero_through():
    w = np.random.default_rng(0).random(100_000)
    w[::3] = 0
    table = alias_table(w)
    assert (table.threshold[::3] == 0).all()
    assert (w[table.alias[::3]] > 0).all()


def test_a_large_catalogue_loses_no_item():
    w = 1.0 / np.arange(1, 300_001) ** 0.75  # float32 sums of these would stop growing
    np.testing.assert_allclose(probabilities(alias_table(w)), w / w.sum(), rtol=1e-9)


def test_draws_follow_the_weights():
    w = np.array([5.0, 0.0, 1.0, 3.0, 0.5, 0.5])
    n = 400_000
    counts = np.bincount(sample(alias_table(w), n, seed=3, purpose="negatives"), minlength=6)
    p = w / w.sum()
    assert (np.abs(counts - n * p) <= 5 * np.sqrt(n * p * (1 - p))).all()


def test_a_stream_may_be_taken_in_pieces_by_any_number_of_threads():
    table = alias_table(np.arange(1, 1000))
    whole = sample(table, 20_001, seed=7, purpose="negatives", epoch=2, n_threads=1)
    for n_threads in (2, 3, 8):
        assert same_bits(whole, sample(table, 20_001, seed=7, purpose="negatives", epoch=2, n_threads=n_threads))
    part = sample(table, 100, seed=7, purpose="negatives", epoch=2, first=12_345)
    assert same_bits(part, whole[12_345:12_445])
    assert not same_bits(part, sample(table, 100, seed=8, purpose="negatives", epoch=2, first=12_345))


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([], ValueError, r"weights must be 1-D with 1 to 2147483647 entries, got shape \(0,\)"),
        ([[1.0]], ValueError, r"weights must be 1-D"),
        ([1.0, -1.0], ValueError, "weights must be finite and >= 0, got -1.0 at position 1"),
        ([np.nan, 1.0], ValueError, "weights must be finite and >= 0, got nan at position 0"),
        ([0, 0], ValueError, "weights must be > 0 somewhere, got zeros only"),
        (["a"], TypeError, "weights must be numbers, got <U1"),
    ],
)
def test_bad_weights_are_refused(weights, error, message):
    with pytest.raises(error, match=message):
        alias_table(weights)


def test_bad_tables_are_refused():
    with pytest.raises(ValueError, match="alias: ids must be in"):
        sample(AliasTable(np.ones(2), np.array([0, 2], np.int32)), 3, seed=0, purpose="negatives")
    with pytest.raises(ValueError, match="n must be >= 0, got -1"):
        sample(alias_table([1.0]), -1, seed=0, purpose="negatives")
