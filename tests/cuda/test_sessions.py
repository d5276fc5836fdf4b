"""Plans of session-parallel mini-batches on devices."""

import numpy as np
import pytest
from devices import check_equals_cpu
from helpers import same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrec_core._random import Source
from pyrec_core.kernels.sessions import new_state, plan
from pyrec_core.train import Negatives, SessionParallel

LENGTHS = st.lists(st.integers(0, 6), max_size=30)


def queue_of(lengths, seed=0):
    """Offsets, and the sessions of two events or more in random order."""
    offsets = np.append(0, np.cumsum(lengths, dtype=np.int64)).astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(lengths))
    return offsets, order[np.diff(offsets)[order] >= 2].astype(np.int64)


def epoch(state, offsets, order, at_once, fewest):
    """All plans of an epoch, and what is left of the state; it goes on from a copy each time."""
    plans = []
    while not plans or len(plans[-1].rows):
        state = state.copy()
        plans.append(plan(state, offsets, order, at_once, fewest=fewest))
    return plans, state


def check_epoch(devices, lengths, batch_size, at_once, fewest):
    """The plans of an epoch on each device are those of the CPU, and so is the state after them."""
    offsets, order = queue_of(lengths)
    want, want_state = epoch(new_state(batch_size), offsets, order, at_once, fewest)
    for device in devices:
        with device as on:
            got, state = epoch(new_state(batch_size, device="cuda"), *on.put((offsets, order)), at_once, fewest)
            assert len(got) == len(want)
            for ours, theirs in zip(got, want, strict=True):
                assert same_bits(ours.rows, theirs.rows)  # on the host
                for a, b in zip(ours[1:], theirs[1:], strict=True):
                    assert same_bits(on.get(a), b)
            assert same_bits(on.get(state), want_state)


@settings(max_examples=15)
@given(
    lengths=LENGTHS,
    batch_size=st.sampled_from([1, 2, 7, 31, 32, 33]),
    at_once=st.sampled_from([1, 3, 100]),
    fewest=st.integers(1, 2),
)
def test_epochs_equal_cpu(devices, lengths, batch_size, at_once, fewest):
    check_epoch(devices, lengths, batch_size, at_once, fewest)


@pytest.mark.parametrize("batch_size", [255, 256, 257, 600])
@pytest.mark.parametrize("at_once", [2, 5])
def test_more_lanes_than_a_block_has_threads(devices, batch_size, at_once):
    lengths = np.random.default_rng(batch_size).choice([2, 2, 3, 5], 700)
    check_epoch(devices, lengths, batch_size, at_once, fewest=2)


def test_lanes_that_end_all_at_once_and_one_by_one(devices):
    for lengths in ([3] * 80, [2] * 100, range(2, 42), range(41, 1, -1), [2] * 39 + [9]):
        check_epoch(devices, list(lengths), 40, 4, fewest=1)


def arrays_of_plan(*args):
    return plan(*args)[1:]


def test_one_call_equals_cpu(devices):
    offsets, order = queue_of([3, 5, 2, 0, 4, 1, 6])
    state = new_state(3)
    for steps in (1, 2, 100):
        check_equals_cpu(devices, arrays_of_plan, state, offsets, order, steps)
        plan(state, offsets, order, 1)  # the next ones go on from here


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": [1]}, "order must hold sessions of two events or more"),
        ({"order": [-1]}, "order must hold sessions of two events or more"),
        ({"order": [2**40]}, "order must hold sessions of two events or more"),
        ({"offsets": [0, 1]}, "order must hold sessions of two events or more"),
        ({"offsets": [-2, 2]}, "order must hold sessions of two events or more"),
        ({"offsets": [0, 9, 3]}, "order must hold sessions of two events or more"),  # ends behind the last event
        ({"offsets": []}, r"offsets must rise from 0, got \[\]"),
        ({"state": [0, 0, 5, 5]}, "state must be one that was handed out"),
        ({"state": [0, 3, 1, 1]}, "state must be one that was handed out"),
        ({"state": [1, 1, 1, 1]}, "state must be one that was handed out"),
        ({"state": [-1, 1, 1, 1]}, "state must be one that was handed out"),
        ({"state": [0, 0, 0, -1]}, "state must be one that was handed out"),
        ({"state": [0, 0, -1, 0]}, "state must be one that was handed out"),
        ({"state": [0, 0, 0]}, "state must be an array from new_state"),
    ],
)
def test_what_a_kernel_meets_is_refused(devices, change, message):
    arguments = {"state": [0, 0, 0, 0], "offsets": [0, 2], "order": [0]} | change
    for device in devices:
        with device as on, pytest.raises(ValueError, match=message):
            plan(**{name: on.put(np.array(values, np.int64)) for name, values in arguments.items()}, steps=2)


def test_host_and_device_arrays_do_not_mix(devices):
    offsets, order = queue_of([2, 3])
    for device in devices:
        with device as on:
            for arrays in ((new_state(2), on.put(offsets), on.put(order)), (on.put(new_state(2)), offsets, order)):
                with pytest.raises(TypeError, match="must all be NumPy arrays or all CuPy arrays"):
                    plan(*arrays, 3)


@settings(max_examples=10)
@given(lengths=LENGTHS, batch_size=st.integers(1, 5), n_sample=st.integers(0, 3))
def test_batches_are_the_same_on_all_devices(devices, lengths, batch_size, n_sample):
    offsets, _ = queue_of(lengths)
    items = np.random.default_rng(1).integers(0, 9, offsets[-1]).astype(np.int32)
    want = list(SessionParallel(items, offsets, batch_size, n_sample))
    for device in devices:
        with device as on:
            got = list(SessionParallel(items, offsets, batch_size, n_sample, device="cuda"))
            assert len(got) == len(want)
            for ours, theirs in zip(got, want, strict=True):
                assert all(same_bits(on.get(a), b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("n_sample", [0, 1, 7])
def test_negatives_are_the_same_on_all_devices(devices, n_sample):
    support = np.array([1, 0, 100, 7])
    first = zip(range(5), Negatives(support, n_sample, cache=3 * n_sample + 1).draws(Source(3)), strict=False)
    want = [samples for _, samples in first]
    for device in devices:
        with device as on:
            draws = Negatives(support, n_sample, cache=3 * n_sample + 1, device="cuda").draws(Source(3))
            for samples, (_, got) in zip(want, zip(range(5), draws, strict=False), strict=True):
                assert same_bits(on.get(got), samples)
