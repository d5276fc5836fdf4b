import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from split_data import SEED, assert_parts_are, assert_valid, same, timed

from pyrec_core import Interactions
from pyrec_core.split import leave_one_out


@given(seed=SEED)
def test_leave_one_out_holds_out_the_latest(seed):
    data, time, stored = timed(seed)
    split = leave_one_out(data, time=stored, validation=True)
    assert_parts_are(data, split.train, split.test)
    assert_parts_are(split.train.toarray(), split.validation.train, split.validation.test)
    for X in (split.train, split.test, split.validation.train, split.validation.test):
        assert_valid(X)
    for user in range(len(data)):
        history = sorted(np.flatnonzero(data[user]), key=lambda item, user=user: (time[user, item], item))
        found = [list(np.flatnonzero(part.toarray()[user])) for part in (split.test, split.validation.test)]
        assert found[0] == (history[-1:] if len(history) >= 2 else [])
        assert found[1] == (history[-2:-1] if len(history) >= 3 else [])


@given(seed=SEED)
def test_leave_one_out_of_interactions_is_that_of_their_matrix(seed):
    data, _, stored = timed(seed)
    order = np.random.default_rng(seed).permutation(stored.nnz)
    events = Interactions(stored.row[order], stored.col[order], time=stored.data[order], n_users=30, n_items=20)
    of_events, of_matrix = leave_one_out(events), leave_one_out((data > 0).astype(float), time=stored)
    assert same(of_events.test, of_matrix.test)
    assert same(of_events.train, of_matrix.train)
    assert of_events.validation is None


def test_leave_one_out_counts_a_repeated_item_at_its_latest_event():
    split = leave_one_out(Interactions([0, 0, 0, 0], [0, 1, 2, 0], time=[1, 5, 4, 9]))
    np.testing.assert_array_equal(split.test.toarray(), [[1, 0, 0]])
    np.testing.assert_array_equal(split.train.toarray(), [[0, 1, 1]])  # the item is in one part only


def test_leave_one_out_ignores_stored_zeros_but_takes_their_times():
    data = sp.csr_array((np.array([1.0, 1.0, 0.0]), ([0, 0, 0], [0, 1, 2])), shape=(1, 3))
    time = sp.csr_array((np.array([2.0, 0.0, 9.0]), ([0, 0, 0], [0, 1, 2])), shape=(1, 3))
    np.testing.assert_array_equal(leave_one_out(data, time=time).test.toarray(), [[1, 0, 0]])


@pytest.mark.parametrize(
    ("data", "time", "error", "message"),
    [
        (
            np.eye(2),
            None,
            ValueError,
            "time must be given as a sparse matrix of the pattern of data, got None",
        ),
        (np.eye(2), np.eye(2), TypeError, "time must be a sparse matrix of numbers, got ndarray"),
        (np.eye(2), sp.eye_array(2, dtype=complex), TypeError, "time must be a sparse matrix of numbers"),
        (np.eye(2), sp.eye_array(3), ValueError, r"time must have the shape \(2, 2\) of data, got \(3, 3\)"),
        (
            np.eye(2),
            sp.csr_array((2, 2)),
            ValueError,
            "time must have the pattern of data, got 0 entries for 2",
        ),
        (np.eye(2), sp.csr_array(np.eye(2)[::-1]), ValueError, "time must have the pattern of data"),
        (np.eye(2), sp.csr_array(np.nan * np.eye(2)), ValueError, "time must be finite, got NaN or infinity"),
        (Interactions([0], [0]), None, ValueError, "data must have times to be split by them"),
        (Interactions([0], [0], time=[1]), sp.eye_array(1), ValueError, "time must be None, since data has"),
    ],
)
def test_leave_one_out_refuses_bad_times(data, time, error, message):
    with np.errstate(invalid="ignore"), pytest.raises(error, match=message):
        leave_one_out(data, time=time)
