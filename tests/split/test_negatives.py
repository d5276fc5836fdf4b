import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from split_data import SEED, random_matrix

from pyrec_core.split import per_user, sample_negatives, strong_generalisation


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
