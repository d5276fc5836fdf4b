"""Session-parallel plans: against a plain walk, and the invariants that every epoch keeps."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.kernels.sessions import new_state, plan

LENGTHS = st.lists(st.integers(0, 9), max_size=25)
SIZES = st.integers(1, 7)


def offsets_of(lengths):
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def steps_of(lengths, batch_size, at_once, fewest=1, order=None):
    """The steps of an epoch as (input positions, resets, keeps)."""
    order = np.arange(len(lengths)) if order is None else order
    order = order[np.array(lengths, int)[order] >= 2]
    state, found, before = new_state(batch_size), [], None
    while len((part := plan(state, offsets_of(lengths), order, at_once, fewest=fewest)).rows):
        kept = 0
        for n, end in zip(part.rows, np.cumsum(part.rows), strict=True):
            n_before = int(n) if before is None else before
            found.append((part.position[end - n : end], part.reset[end - n : end], part.keep[kept : kept + n_before]))
            kept += n_before
            before = int(n)
        assert kept == len(part.keep)
    assert len(plan(state, offsets_of(lengths), order, at_once, fewest=fewest).rows) == 0
    return found


def walk(lengths, batch_size, fewest):
    """The state machine with lists: lanes of (position, end)."""
    offsets = offsets_of(lengths)
    waiting = [(int(a), int(b)) for a, b in pairwise(offsets) if b - a >= 2]
    lanes = [[*waiting.pop(0), True] for _ in range(min(batch_size, len(waiting)))]
    keep = [True] * len(lanes)
    while lanes and len(lanes) >= fewest:
        yield [lane[0] for lane in lanes], [lane[2] for lane in lanes], keep
        keep, left = [], []
        for at, end, _ in lanes:
            if end - at > 2:
                left.append([at + 1, end, False])
            elif waiting:
                left.append([*waiting.pop(0), True])
            keep.append(len(left) > sum(keep))
        lanes = left


@pytest.mark.parametrize("at_once", [1, 3, 100])
@pytest.mark.parametrize("fewest", [1, 2])
@given(lengths=LENGTHS, batch_size=SIZES)
def test_plan_equals_a_walk(at_once, fewest, lengths, batch_size):
    found = steps_of(lengths, batch_size, at_once, fewest)
    expected = list(walk(lengths, batch_size, fewest))
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


@given(lengths=LENGTHS, batch_size=SIZES)
def test_every_pair_of_every_session_comes_once_in_order_in_one_lane(lengths, batch_size):
    offsets = offsets_of(lengths)
    lanes, sequences = np.zeros(0, np.int64), {}
    for number, (position, reset, keep) in enumerate(steps_of(lengths, batch_size, 5)):
        lanes = np.arange(len(position)) if number == 0 else lanes[keep]  # a lane's name, carried as a hidden state is
        assert len(lanes) == len(position)
        sessions = np.searchsorted(offsets, position, side="right") - 1
        for lane, at, new, session in zip(lanes, position, reset, sessions, strict=True):
            assert new == (at == offsets[session])
            sequences.setdefault(session, []).append((lane, at))
    for session, length in enumerate(lengths):
        steps = sequences.get(session, [])
        assert [at for _, at in steps] == list(range(offsets[session], offsets[session] + max(0, length - 1)))
        assert len({lane for lane, _ in steps}) == (length >= 2)
    assert sum(map(len, sequences.values())) == sum(max(0, length - 1) for length in lengths)


@given(lengths=LENGTHS, batch_size=SIZES)
def test_sessions_begin_in_the_order_asked_for(lengths, batch_size):
    offsets, order = offsets_of(lengths), np.random.default_rng(0).permutation(len(lengths))
    starts = [p for position, reset, _ in steps_of(lengths, batch_size, 4, order=order) for p in position[reset]]
    assert starts == [offsets[s] for s in order if lengths[s] >= 2]


def test_an_epoch_goes_on_from_its_state():
    offsets, order = offsets_of([3, 5, 2, 0, 4, 1, 6]), np.array([0, 1, 2, 4, 6])
    expected = plan(new_state(2), offsets, order, 100)
    state = new_state(2)
    begun = plan(state, offsets, order, 3)
    rest = plan(state.copy(), offsets, order, 100)
    for all_of, *parts in zip(expected, begun, rest, strict=True):
        np.testing.assert_array_equal(all_of, np.concatenate(parts))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"offsets": [1, 2]}, ValueError, r"offsets must rise from 0, got \[1, 2\]"),
        ({"offsets": [0, 3, 2]}, ValueError, r"offsets must rise from 0, got \[0, 3, 2\]"),
        ({"offsets": []}, ValueError, r"offsets must rise from 0, got \[\]"),
        ({"offsets": [0.0, 2.0]}, TypeError, "offsets must be integers, got float64"),
        ({"order": [1]}, ValueError, "order must hold sessions of two events or more"),
        ({"offsets": [0, 1]}, ValueError, "order must hold sessions of two events or more"),
        ({"order": [[0]]}, ValueError, r"order must be 1-D, got shape \(1, 1\)"),
        ({"steps": 0}, ValueError, "steps must be >= 1, got 0"),
        ({"fewest": 0}, ValueError, "fewest must be >= 1, got 0"),
        ({"state": np.zeros(5, np.int64)}, ValueError, "state must be an array from new_state"),
        ({"state": np.array([0, 0, 5, 5])}, ValueError, "state must be one that was handed out"),
    ],
)
def test_bad_arguments_are_refused(change, error, message):
    arguments = {"state": new_state(1), "offsets": [0, 2], "order": [0], "steps": 1} | change
    with pytest.raises(error, match=message):
        plan(**arguments)
    with pytest.raises(ValueError, match="batch_size must be >= 1, got 0"):
        new_state(0)
