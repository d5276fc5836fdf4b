"""Recurrent layers on devices."""

import numpy as np
import pytest
from devices import check_equals_cpu
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrec_core.kernels import recurrent as R

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
packed = given(
    steps=st.sampled_from([None, [], [1], [4, 4, 2, 1], [3, 0], [5, 5, 5, 5, 5, 2], [0]]),
    d=st.sampled_from([0, 1, 3, 17, 40]),
    bptt=st.sampled_from([None, 1, 2]),
    through_h0=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)


def arrays(steps, d, blocks, dtype, seed):
    """The generator, how many lanes and rows there are, x, h0 and u."""
    rng = np.random.default_rng(seed)
    rows = [3] if steps is None else steps
    lanes, n = rows[0] if rows else 0, sum(rows)
    x, h0, u = (rng.normal(size=shape) for shape in ((n, blocks * d), (lanes, d), (d, blocks * d)))
    return rng, x.astype(dtype), h0.astype(dtype), (u / np.sqrt(d + 1)).astype(dtype)  # steps do not magnify rounding


@dtypes
@pytest.mark.parametrize("reset", R.RESETS)
@settings(max_examples=15)
@packed
def test_gru_equals_cpu(devices, reset, dtype, steps, d, bptt, through_h0, seed):
    rng, x, h0, u = arrays(steps, d, 3, dtype, seed)
    bias = rng.normal(size=3 * d).astype(dtype) if reset == "after" and seed % 2 else None
    check_equals_cpu(devices, R.gru_forward, x, h0, u, bias, steps=steps, reset=reset)
    h, saved = R.gru_forward(x, h0, u, bias, steps=steps, reset=reset)
    d_h = rng.normal(size=h.shape).astype(dtype)
    how = {"steps": steps, "reset": reset, "bptt": bptt, "through_h0": through_h0}
    check_equals_cpu(devices, R.gru_backward, d_h, h, saved, h0, u, **how)


@dtypes
@settings(max_examples=15)
@packed
def test_lstm_equals_cpu(devices, dtype, steps, d, bptt, through_h0, seed):
    rng, x, h0, u = arrays(steps, d, 4, dtype, seed)
    c0 = rng.normal(size=h0.shape).astype(dtype)
    check_equals_cpu(devices, R.lstm_forward, x, h0, c0, u, steps=steps)
    h, c, saved = R.lstm_forward(x, h0, c0, u, steps=steps)
    d_h, d_c = rng.normal(size=(2, *h.shape)).astype(dtype)
    how = {"steps": steps, "bptt": bptt, "through_h0": through_h0}
    check_equals_cpu(devices, R.lstm_backward, d_h, d_c if seed % 2 else None, h, c, saved, h0, c0, u, **how)


@dtypes
@settings(max_examples=15)
@packed
def test_rnn_equals_cpu(devices, dtype, steps, d, bptt, through_h0, seed):
    rng, x, h0, u = arrays(steps, d, 1, dtype, seed)
    check_equals_cpu(devices, R.rnn_forward, x, h0, u, steps=steps)
    h = R.rnn_forward(x, h0, u, steps=steps)
    d_h = rng.normal(size=h.shape).astype(dtype)
    check_equals_cpu(devices, R.rnn_backward, d_h, h, h0, u, steps=steps, bptt=bptt, through_h0=through_h0)


@pytest.mark.parametrize("reset", R.RESETS)
def test_more_states_than_a_block_has_threads(devices, reset):
    _, x, h0, u = arrays([7, 6], 60, 3, "float64", 0)
    check_equals_cpu(devices, R.gru_forward, x, h0, u, steps=[7, 6], reset=reset)


def test_steps_stay_on_the_host(devices):
    _, x, h0, u = arrays([2, 1], 3, 1, "float64", 0)
    for device in devices:
        with device as on, pytest.raises(TypeError, match="steps must be on the host"):
            R.rnn_forward(on.put(x), on.put(h0), on.put(u), steps=on.put(np.array([2, 1])))
