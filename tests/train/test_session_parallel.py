"""SessionParallel hands out the pairs that it should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyrec_core.train._sessions as module
from pyrec_core.train import SessionParallel

LENGTHS = st.lists(st.integers(0, 6), max_size=20)


@pytest.mark.parametrize("at_once", [1, 2, 256])
@given(lengths=LENGTHS, batch_size=st.integers(1, 5), seed=st.integers(0, 99))
def test_hidden_states_that_follow_the_masks_see_each_session_from_its_start(at_once, lengths, batch_size, seed):
    """A "hidden state" that collects the inputs holds, at each step, exactly the session up to there."""
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    items = np.random.default_rng(seed).permutation(int(offsets[-1])).astype(np.int32)  # each item once
    session_of = np.repeat(np.arange(len(lengths)), lengths)[np.argsort(items)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_STEPS_AT_ONCE", at_once)
        batches = list(SessionParallel(items, offsets, batch_size, n_sample=1))
    hidden, pairs = [], []
    for number, (inputs, targets, reset, keep) in enumerate(batches):
        hidden = [[] for _ in inputs] if number == 0 else [h for h, stays in zip(hidden, keep, strict=True) if stays]
        assert len(hidden) == len(inputs) == len(targets) <= batch_size
        hidden = [[*([] if new else h), i] for h, new, i in zip(hidden, reset, inputs.tolist(), strict=True)]
        for h, target in zip(hidden, targets, strict=True):
            begin = offsets[session_of[target]]
            assert h == items[begin : begin + len(h)].tolist()
            assert items[begin + len(h)] == target
            pairs.append((h[-1], target))
    assert len(pairs) == len(set(pairs)) == sum(max(0, length - 1) for length in lengths)


@given(lengths=LENGTHS, batch_size=st.integers(1, 5))
def test_a_lane_alone_ends_the_epoch_where_there_are_no_samples(lengths, batch_size):
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    items = np.zeros(int(offsets[-1]), np.int32)
    alone = [len(inputs) for inputs, *_ in SessionParallel(items, offsets, batch_size)]
    sampled = [len(inputs) for inputs, *_ in SessionParallel(items, offsets, batch_size, n_sample=5)]
    assert alone == [n for n in sampled if n >= 2]


def test_items_and_order():
    batches = list(SessionParallel([5, 6, 7, 8, 9], [0, 3, 5], 1, n_sample=1, order=[1, 0]))
    assert [(int(i[0]), int(t[0])) for i, t, *_ in batches] == [(8, 9), (5, 6), (6, 7)]
    assert batches[0][0].dtype == np.int32


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"offsets": [0, 2]}, ValueError, r"offsets must rise from 0 to the 3 items, got \[0, 2\]"),
        ({"offsets": []}, ValueError, r"offsets must rise from 0 to the 3 items, got \[\]"),
        ({"offsets": [0, 2, 1, 3]}, ValueError, "offsets must rise from 0"),
        ({"items": [0.5, 1, 2]}, TypeError, "items must be integers, got float64"),
        ({"batch_size": 0}, ValueError, "batch_size must be >= 1, got 0"),
        ({"n_sample": -1}, ValueError, "n_sample must be >= 0, got -1"),
        ({"order": [1]}, ValueError, "order must be 1-D and hold sessions in 0..0"),
    ],
)
def test_bad_arguments_are_refused(change, error, message):
    arguments = {"items": [1, 2, 3], "offsets": [0, 3], "batch_size": 2} | change
    with pytest.raises(error, match=message):
        SessionParallel(**arguments)
