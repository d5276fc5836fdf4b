"""Recurrent layers: every step of every sequence by the equations, gradients of all inputs, packed against alone."""

import signal
import threading
import time

import numpy as np
import pytest
from helpers import same_bits
from hypothesis import given
from hypothesis import strategies as st

from pyrec_core.kernels.recurrent import (
    gru_backward,
    gru_forward,
    lstm_backward,
    lstm_forward,
    rnn_backward,
    rnn_forward,
)

BLOCKS = {"gru before": 3, "gru after": 3, "gru after, bias": 3, "lstm": 4, "rnn": 1}
CELLS = list(BLOCKS)
LENGTHS = st.lists(st.integers(1, 5), max_size=4).map(lambda lengths: sorted(lengths, reverse=True))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def one_step(cell, x, p, q, u, bias):
    """State and cell after one step of one sequence, from the equations."""
    parts, d = np.split(x, BLOCKS[cell]), len(p)
    at = [u[:, k * d : (k + 1) * d] for k in range(BLOCKS[cell])]
    if cell == "gru before":
        r, z = sigmoid(parts[1] + p @ at[1]), sigmoid(parts[2] + p @ at[2])
        c = np.tanh(parts[0] + (r * p) @ at[0])
        return (1 - z) * p + z * c, q
    if cell.startswith("gru after"):
        b = np.split(bias, 3)
        r, z = sigmoid(parts[0] + p @ at[0] + b[0]), sigmoid(parts[1] + p @ at[1] + b[1])
        c = np.tanh(parts[2] + r * (p @ at[2] + b[2]))
        return z * p + (1 - z) * c, q
    if cell == "lstm":
        i, f, o = (sigmoid(parts[k] + p @ at[k]) for k in (0, 1, 3))
        c = f * q + i * np.tanh(parts[2] + p @ at[2])
        return o * np.tanh(c), c
    return np.tanh(x + p @ u), q


def steps_of(lengths):
    return np.array([sum(length > t for length in lengths) for t in range(max(lengths, default=0))], np.int64)


def draw(cell, lengths, d, seed, dtype="f8"):
    """Random inputs, by name."""
    rng = np.random.default_rng(seed)
    n, lanes, width = sum(lengths), len(lengths), BLOCKS[cell] * d
    given = {"x": rng.normal(size=(n, width)), "h0": rng.normal(size=(lanes, d))}
    if cell == "lstm":
        given["c0"] = rng.normal(size=(lanes, d))
    given["u"] = rng.normal(size=(d, width))
    if cell == "gru after, bias":
        given["bias"] = rng.normal(size=width)
    return {name: a.astype(dtype) for name, a in given.items()}


def forward(cell, given, steps, **how):
    """The states after each step (of an LSTM also the cells), and what is saved."""
    if cell.startswith("gru"):
        h, saved = gru_forward(**given, steps=steps, reset=cell[4:].removesuffix(", bias"), **how)
        return (h,), saved
    if cell == "lstm":
        *states, saved = lstm_forward(**given, steps=steps, **how)
        return tuple(states), saved
    return (rnn_forward(**given, steps=steps, **how),), None


def backward(cell, d_states, states, saved, given, steps, **how):
    """Gradients of all inputs, by name."""
    start = [given[name] for name in ("h0", "c0", "u") if name in given]
    if cell.startswith("gru"):
        reset = cell[4:].removesuffix(", bias")
        grads = gru_backward(*d_states, *states, saved, *start, steps=steps, reset=reset, **how)
        assert (grads[3] is None) == (reset == "before")
        return dict(zip(("x", "h0", "u", "bias")[: len(given)], grads, strict=False))
    if cell == "lstm":
        grads = lstm_backward(*d_states, *states, saved, *start, steps=steps, **how)
    else:
        grads = rnn_backward(*d_states, *states, *start, steps=steps, **how)
    return dict(zip(given, grads, strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
@given(lengths=LENGTHS, d=st.sampled_from([0, 1, 3, 17, 33]), seed=st.integers(0, 2**32 - 1))
def test_every_step_follows_the_equations(dtype, cell, lengths, d, seed):
    inputs, steps = draw(cell, lengths, d, seed, dtype), steps_of(lengths)
    found, _ = forward(cell, inputs, steps)
    exact = {name: a.astype("f8") for name, a in inputs.items()}
    begins = np.concatenate([[0], np.cumsum(steps)])
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    assert all(a.dtype == dtype and a.shape == (sum(lengths), d) for a in found)
    for lane, length in enumerate(lengths):
        p, q = exact["h0"][lane], exact.get("c0", exact["h0"])[lane]
        for t in range(length):
            row = begins[t] + lane
            p, q = one_step(cell, exact["x"][row], p, q, exact["u"], exact.get("bias", np.zeros(3 * d)))
            for a, wanted in zip(found, (p, q), strict=False):
                np.testing.assert_allclose(a[row], wanted, rtol=tolerance, atol=tolerance)


def functional(cell, given, steps, d_states, bptt, starts):
    """Sum of d * state over all steps; the state before every bptt-th step is what ``starts`` holds for it."""
    total, row = 0.0, 0
    for t in range(0, len(steps), bptt):
        rows = slice(row, row + steps[t : t + bptt].sum())
        part = given | {"x": given["x"][rows]}
        if t > 0:
            part |= {name: a[: steps[t]] for name, a in starts[t].items()}
        states, _ = forward(cell, part, steps[t : t + bptt])
        total += sum(np.sum(d * a) for d, a in zip([d[rows] for d in d_states], states, strict=True))
        row = rows.stop
    return total


@pytest.mark.parametrize("d", [1, 3, 17])
@pytest.mark.parametrize("bptt", [None, 1, 2, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_backward_is_the_gradient_of_all_inputs(cell, bptt, d):
    lengths = [5, 4, 2, 2, 1]
    inputs, steps = draw(cell, lengths, d, seed=d), steps_of(lengths)
    states, saved = forward(cell, inputs, steps)
    rng = np.random.default_rng(1)
    d_states = [rng.normal(size=a.shape) for a in states]
    grads = backward(cell, d_states, states, saved, inputs, steps, bptt=bptt)
    begins = np.concatenate([[0], np.cumsum(steps)])
    starts = {
        t: dict(zip(("h0", "c0"), (a[begins[t - 1] : begins[t]] for a in states), strict=False))
        for t in range(1, len(steps))
    }
    assert list(grads) == list(inputs)
    for name, a in inputs.items():
        numeric = np.empty_like(a)
        for at in np.ndindex(a.shape):
            high, low = a.copy(), a.copy()
            high[at] += 1e-6
            low[at] -= 1e-6
            difference = [
                functional(cell, inputs | {name: moved}, steps, d_states, bptt or len(steps), starts)
                for moved in (high, low)
            ]
            numeric[at] = (difference[0] - difference[1]) / 2e-6
        assert np.abs(grads[name] - numeric).max() <= 1e-6 * max(1.0, np.abs(numeric).max()), name


@pytest.mark.parametrize(("lengths", "d"), [([], 3), ([2, 1], 0), ([], 0), ([1], 1)])
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_nothing_are_zeros(cell, lengths, d):
    inputs, steps = draw(cell, lengths, d, seed=0), steps_of(lengths)
    states, saved = forward(cell, inputs, steps)
    grads = backward(cell, [np.zeros_like(a) for a in states], states, saved, inputs, steps)
    for name, a in inputs.items():
        np.testing.assert_array_equal(grads[name], np.zeros_like(a))


@pytest.mark.parametrize("cell", CELLS)
def test_one_call_over_all_steps_has_the_bits_of_one_call_a_step(cell):
    lengths, d = [6, 4, 4, 1], 37
    inputs, steps = draw(cell, lengths, d, seed=3, dtype="f4"), steps_of(lengths)
    states, saved = forward(cell, inputs, steps)
    d_states = [np.random.default_rng(4).normal(size=a.shape).astype("f4") for a in states]
    grads = backward(cell, d_states, states, saved, inputs, steps)
    begins = np.concatenate([[0], np.cumsum(steps)])
    memory, now = [], {name: inputs[name] for name in ("h0", "c0") if name in inputs}
    for t, rows in enumerate(steps):
        given = inputs | {name: a[:rows] for name, a in now.items()} | {"x": inputs["x"][begins[t] : begins[t + 1]]}
        memory.append((given, *forward(cell, given, None)))
        now = dict(zip(("h0", "c0"), memory[-1][1], strict=False))
        assert all(same_bits(a, b[begins[t] : begins[t + 1]]) for a, b in zip(now.values(), states, strict=True))
    flow = [np.zeros((0, d), "f4")] * len(states)
    d_u = np.zeros_like(grads["u"])
    for t in reversed(range(len(steps))):
        arriving = [a[begins[t] : begins[t + 1]].copy() for a in d_states]
        for a, b in zip(arriving, flow, strict=True):
            a[: len(b)] += b
        given, *kept = memory[t]
        step = backward(cell, arriving, *kept, given, None)
        assert same_bits(step["x"], grads["x"][begins[t] : begins[t + 1]])
        flow, d_u = [step[name] for name in ("h0", "c0") if name in step], d_u + step["u"]
    assert all(same_bits(a, grads[name]) for name, a in zip(("h0", "c0"), flow, strict=False))
    np.testing.assert_allclose(d_u, grads["u"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_a_constant_h0_changes_no_other_gradient(cell):
    lengths = [3, 2]
    inputs, steps = draw(cell, lengths, 5, seed=0), steps_of(lengths)
    states, saved = forward(cell, inputs, steps)
    every = backward(cell, states, states, saved, inputs, steps)
    fewer = backward(cell, states, states, saved, inputs, steps, through_h0=False)
    for name in inputs:
        assert fewer[name] is None if name in ("h0", "c0") else same_bits(fewer[name], every[name])


def test_cells_may_have_no_gradient_from_outside():
    lengths = [3, 2]
    inputs, steps = draw("lstm", lengths, 5, seed=0), steps_of(lengths)
    (h, c), saved = forward("lstm", inputs, steps)
    zeros = backward("lstm", (h, np.zeros_like(c)), (h, c), saved, inputs, steps)
    none = backward("lstm", (h, None), (h, c), saved, inputs, steps)
    assert all(same_bits(zeros[name], none[name]) for name in inputs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_same_bits_for_any_number_of_threads(cell, dtype):
    lengths = [3] * 200 + [2] * 100 + [1] * 11
    inputs, steps = draw(cell, lengths, 100, seed=0, dtype=dtype), steps_of(lengths)
    found = []
    for n_threads in (1, 2, 3, 8):
        states, saved = forward(cell, inputs, steps, n_threads=n_threads)
        grads = backward(cell, states, states, saved, inputs, steps, n_threads=n_threads)
        found.append((*states, *grads.values()))
    for other in found[1:]:
        assert all(same_bits(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs pthread_kill")
def test_a_long_call_of_short_steps_can_be_stopped():
    n, main, sent = 5_000_000, threading.main_thread().ident, []

    def interrupt():
        time.sleep(0.1)
        sent.append(time.perf_counter())
        signal.pthread_kill(main, signal.SIGINT)

    x, one, steps = np.zeros((n, 1), "f4"), np.ones((1, 1), "f4"), np.ones(n, np.int64)
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        rnn_forward(x, one, one, steps=steps)
    assert time.perf_counter() - sent[0] < 1.0


X, H, U = np.zeros((3, 6)), np.zeros((2, 2)), np.zeros((2, 6))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": X.astype(int)}, TypeError, "x must be float32 or float64, got int64"),
        ({"x": X.astype("f4")}, TypeError, "x must be float64, got float32"),
        ({"x": X[:, :5]}, ValueError, r"x must have shape \(3, 6\), got \(3, 5\)"),
        ({"h0": H[0]}, ValueError, r"h0 must be 2-D, got shape \(2,\)"),
        ({"u": U[:, :4]}, ValueError, r"u must have shape \(2, 6\), got \(2, 4\)"),
        ({"steps": None}, ValueError, r"x must have 2 rows like h0 \(or steps be given\), got 3"),
        ({"steps": [[2], [1]]}, ValueError, r"steps must be 1-D, got shape \(2, 1\)"),
        ({"steps": [2.0, 1.0]}, TypeError, "steps must be integers, got float64"),
        ({"steps": [1, 1, 1]}, ValueError, "steps must begin with 2, the rows of h0, got 1"),
        ({"steps": []}, ValueError, "steps must begin with 2, the rows of h0, got 0"),
        ({"steps": [2, 0, 1]}, ValueError, r"steps must be >= 0 and not increase, got \[2, 0, 1\]"),
        ({"steps": [2, 1, -1]}, ValueError, r"steps must be >= 0 and not increase, got \[2, 1, -1\]"),
        ({"steps": [2, 2]}, ValueError, "steps must sum to 3, the rows of x, got 4"),
        ({"bias": np.zeros(6)}, ValueError, 'bias must be None for reset="before"'),
        ({"bias": np.zeros(4), "reset": "after"}, ValueError, r"bias must have shape \(6,\), got \(4,\)"),
        ({"reset": "later"}, ValueError, "reset must be one of 'before', 'after', got 'later'"),
        ({"n_threads": 0}, ValueError, "n_threads must be >= 1, got 0"),
    ],
)
def test_refused_by_gru_forward(change, error, message):
    with pytest.raises(error, match=message):
        gru_forward(**{"x": X, "h0": H, "u": U, "steps": [2, 1]} | change)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"d_h": np.zeros((3, 3))}, ValueError, r"d_h must have shape \(3, 2\), got \(3, 3\)"),
        ({"h": np.zeros((2, 2))}, ValueError, r"h must have shape \(3, 2\), got \(2, 2\)"),
        ({"saved": X}, TypeError, "saved must be what the forward function returned, got ndarray"),
        ({"saved": (X[:2], X[:, :2])}, ValueError, r"saved\[0\] must have shape \(3, 6\), got \(2, 6\)"),
        ({"bptt": 0}, ValueError, "bptt must be >= 1, got 0"),
        ({"bptt": True}, TypeError, "bptt must be an integer, got True"),
        ({"through_h0": 1}, TypeError, "through_h0 must be True or False, got 1"),
    ],
)
def test_refused_by_gru_backward(change, error, message):
    good = {"d_h": X[:, :2], "h": X[:, :2], "saved": (X, X[:, :2]), "h0": H, "u": U, "steps": [2, 1]}
    with pytest.raises(error, match=message):
        gru_backward(**good | change)


def test_refused_by_lstm_and_rnn():
    x, u = np.zeros((3, 8)), np.zeros((2, 8))
    with pytest.raises(ValueError, match=r"c0 must have shape \(2, 2\), got \(3, 2\)"):
        lstm_forward(x, H, np.zeros((3, 2)), u, steps=[2, 1])
    with pytest.raises(ValueError, match=r"u must have shape \(2, 8\), got \(2, 6\)"):
        lstm_forward(x, H, H, U, steps=[2, 1])
    with pytest.raises(ValueError, match=r"d_c must have shape \(3, 2\), got \(2, 2\)"):
        lstm_backward(X[:, :2], H, X[:, :2], X[:, :2], x, H, H, u, steps=[2, 1])
    with pytest.raises(ValueError, match=r"u must have shape \(2, 2\), got \(2, 6\)"):
        rnn_forward(np.zeros((3, 2)), H, U, steps=[2, 1])
