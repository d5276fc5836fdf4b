"""Recurrent layers: gradients of input and parameters, steps against whole sequences, first values."""

from functools import partial

import numpy as np
import pytest
from helpers import same_bits

from pyrec_core._random import Source
from pyrec_core.layers import GRU, LSTM, RNN

CELLS = {"gru before": GRU, "gru after": partial(GRU, reset="after"), "lstm": LSTM, "rnn": RNN}
STEPS = np.array([3, 2, 2, 1])
ZEROS = np.zeros((2, 4), "f4")


def make(cell, input_dim, hidden, seed=0, dtype="f8", **how):
    """A layer whose biases are not zero, and inputs for ``STEPS``."""
    layer = CELLS[cell](input_dim, hidden, Source(seed), dtype=dtype, **how)
    rng = np.random.default_rng(seed)
    for param in layer.params():
        if param.value.ndim == 1:
            param.value += rng.normal(size=param.value.shape).astype(dtype)
    width = input_dim or layer.blocks * hidden
    return layer, rng.normal(size=(STEPS.sum(), width)).astype(dtype)


@pytest.mark.parametrize("whole", [True, False], ids=["forward", "step"])
@pytest.mark.parametrize("input_dim", [None, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_backprop_is_the_gradient_of_input_and_parameters(cell, input_dim, whole):
    layer, x = make(cell, input_dim, 4)
    state = np.tanh(np.random.default_rng(1).normal(size=(len(x), 4)))
    before = (state, state[::-1].copy()) if cell == "lstm" else state

    def run():
        if whole:
            return layer.forward(x, train=True, steps=STEPS)
        after, back = layer.step(x, before)
        return after[0] if cell == "lstm" else after, back

    h, backprop = run()
    d_h = np.random.default_rng(2).normal(size=h.shape)
    d_x = backprop(d_h)
    checked = [(x, d_x), *((param.value, param.grad) for param in layer.params())]
    assert len(checked) == 1 + 2 + (input_dim is not None) + (cell == "gru after")
    for a, grad in checked:
        numeric = np.empty_like(a)
        for at in np.ndindex(a.shape):
            value, results = a[at], []
            for move in (1e-6, -1e-6):
                a[at] = value + move
                results.append(np.sum(d_h * run()[0]))
            a[at] = value
            numeric[at] = (results[0] - results[1]) / 2e-6
        assert np.abs(grad - numeric).max() <= 1e-6 * max(1.0, np.abs(numeric).max())


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_is_forward_over_one_step(cell):
    layer, x = make(cell, 5, 7, dtype="f4")
    given = np.random.default_rng(1).normal(size=(len(x), 7)).astype("f4")
    before = (given, 2 * given) if cell == "lstm" else given
    after, back_step = layer.step(x, before)
    h, back = layer.forward(x, h0=before)
    assert same_bits(after[0] if cell == "lstm" else after, h)
    assert same_bits(back_step(given), back(given))
    first, _ = layer.step(x, layer.zero_state(len(x)))
    assert same_bits(layer(x), first[0] if cell == "lstm" else first)


@pytest.mark.parametrize("bptt", [None, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_packed_sequences_are_the_same_as_each_alone(cell, bptt):
    layer, x = make(cell, 5, 7, bptt=bptt)
    begins = np.concatenate([[0], np.cumsum(STEPS)])
    h, backprop = layer.forward(x, steps=STEPS)
    d_h = np.random.default_rng(1).normal(size=h.shape)
    d_x = backprop(d_h)
    packed = [param.grad for param in layer.params()]
    for param in layer.params():
        param.clear()
    for lane in range(STEPS[0]):
        rows = begins[: (lane < STEPS).sum()] + lane
        alone, back = layer.forward(x[rows], steps=np.ones(len(rows), int))
        np.testing.assert_allclose(alone, h[rows], rtol=1e-12)
        np.testing.assert_allclose(back(d_h[rows]), d_x[rows], rtol=1e-10, atol=1e-14)
    for param, grad in zip(layer.params(), packed, strict=True):
        np.testing.assert_allclose(param.grad, grad, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("cell", CELLS)
def test_truncation_after_every_step_is_steps_with_constant_states(cell):
    layer, x = make(cell, 5, 7, bptt=1)
    begins = np.concatenate([[0], np.cumsum(STEPS)])
    h, backprop = layer.forward(x, steps=STEPS)
    d_x, state = backprop(h), layer.zero_state(STEPS[0])
    together = [param.grad for param in layer.params()]
    for param in layer.params():
        param.clear()
    for t, rows in enumerate(STEPS):
        state = tuple(a[:rows] for a in state) if cell == "lstm" else state[:rows]
        at = slice(begins[t], begins[t + 1])
        state, back = layer.step(x[at], state)
        np.testing.assert_allclose(back(h[at]), d_x[at], rtol=1e-12, atol=1e-15)
    for param, grad in zip(layer.params(), together, strict=True):
        np.testing.assert_allclose(param.grad, grad, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_first_values_are_bounded_by_the_size_of_their_block(cell, dtype):
    layer = CELLS[cell](40, 20, Source(3), dtype=dtype)
    for param, bound in ((layer.w, np.sqrt(6 / 60)), (layer.u, np.sqrt(6 / 40))):
        for block in np.split(param.value, layer.blocks, axis=1):
            assert 0.95 * bound < np.abs(block).max() <= bound * (1 + 1e-6)
    assert all(param.value.dtype == dtype for param in layer.params())
    wanted = np.zeros(layer.blocks * 20)
    if cell == "lstm":
        wanted[20:40] = 1  # the forget gate
    np.testing.assert_array_equal(layer.b.value, wanted)
    other = CELLS[cell](40, 20, Source(3), dtype=dtype)
    assert all(same_bits(a.value, b.value) for a, b in zip(layer.params(), other.params(), strict=True))


def test_no_sequences():
    layer, x = make("gru before", 5, 7)
    h, backprop = layer.forward(x[:0], steps=[])
    assert h.shape == (0, 7)
    assert backprop(h).shape == (0, 5)
    assert not any(param.grad.any() for param in layer.params())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: GRU(0, 4, Source(0)), ValueError, "input_dim must be >= 1, got 0"),
        (lambda: GRU(4, 0, Source(0)), ValueError, "hidden must be >= 1, got 0"),
        (lambda: GRU(4, 4, Source(0), bptt=0), ValueError, "bptt must be >= 1, got 0"),
        (lambda: GRU(4, 4, Source(0), reset="no"), ValueError, "reset must be one of 'before', 'after', got 'no'"),
        (lambda: LSTM(4, 4, Source(0), dtype="f2"), TypeError, "dtype must be float32 or float64, got float16"),
        (lambda: LSTM(4, 4, Source(0)).step(ZEROS, ZEROS), TypeError, "state must be a pair of state and cell, got"),
        (lambda: RNN(4, 4, Source(0)).step(ZEROS, ZEROS[:1]), ValueError, "x must have 1 rows like h0"),
        (lambda: RNN(4, 4, Source(0))(ZEROS[:, :3]), ValueError, r"x must have shape \(2, 4\), got \(2, 3\)"),
        (lambda: GRU(None, 4, Source(0))(ZEROS), ValueError, r"x must have shape \(2, 12\), got"),
        (lambda: RNN(4, 4, Source(0))(ZEROS.astype("f8")), TypeError, "x must be float32, got float64"),
    ],
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
