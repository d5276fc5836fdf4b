"""Negatives that a user does not have."""

import numpy as np

from pyrec_core._random import Source
from pyrec_core._validation import check_interactions
from pyrec_core.train import Unseen


def test_negatives_are_unseen_uniform_and_new_in_each_epoch():
    rng = np.random.default_rng(0)
    seen = rng.random((4, 30)) < np.array([[0.1], [0.5], [0.9], [0.0]])
    seen[2, 7] = False
    unseen, source, users = Unseen(check_interactions("X", seen)), Source(5), np.arange(4).repeat(40_000)
    items = unseen.draw(users, np.arange(len(users)), source)
    assert not seen[users, items].any()
    counts = np.zeros((4, 30))
    np.add.at(counts, (users, items), 1)
    for row, free in zip(counts, ~seen, strict=True):
        expected = 40_000 / free.sum()
        assert np.abs(row[free] - expected).max() < 5 * np.sqrt(expected)
    again = unseen.draw(users[100:], np.arange(100, len(users)), source, n_threads=3)
    np.testing.assert_array_equal(again, items[100:])  # of a place, not of a call
    source.begin(1)
    others = unseen.draw(users, np.arange(len(users)), source)
    assert (others != items)[users != 2].mean() > 0.9
