"""Recurrent layers on a device, step by step: products by its library, and our kernels for what lies between.

The functions are those of the CPU's native module, with the same arguments. As there, what a step reads of the
recurrent weights is copied once, so that its rows lie together.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._backend import Array, array_module, backend_of

Rows = NDArray[np.int64]


class _Step(NamedTuple):
    """Number of a step, its rows among those of all steps, how many, and those of the states before it."""

    t: int
    rows: slice
    n: int
    before: slice


def _walk(steps: Rows) -> list[_Step]:
    ends = np.cumsum(steps).tolist()
    starts = [0, *ends]
    return [
        _Step(t, slice(starts[t], ends[t]), n, slice(starts[t - 1], starts[t - 1] + n) if t else slice(0, n))
        for t, n in enumerate(steps.tolist())
    ]


def _previous(step: _Step, initial: Array, states: Array) -> Array:
    return states[step.before] if step.t else initial


def _all_previous(steps: Rows, initial: Array, states: Array) -> Array:
    """The states before all steps, end to end."""
    if len(steps) < 2:
        return initial if len(steps) else states
    return array_module(states).concatenate([_previous(step, initial, states) for step in _walk(steps)])


def _carry(given: Array | None, like: Array) -> Array:
    """Zeros of the shape of ``like``, in ``given`` unless it is None: the gradient that flows to the step before."""
    carry = array_module(like).empty_like(like) if given is None else given
    carry[...] = 0
    return carry


def _back(steps: Rows, bptt: int, d_h0: Array | None) -> Iterator[tuple[_Step, bool]]:
    """The steps from the last to the first, and whether the gradient flows on from there."""
    for step in reversed(_walk(steps)):
        yield step, d_h0 is not None if step.t == 0 else bptt == 0 or step.t % bptt != 0


def gru_before_forward(
    ex: int, h: Array, gates: Array, rp: Array, x: Array, h0: Array, u: Array, steps: Rows
) -> None:  # fmt: skip
    """Fill h, gates and rp."""
    xp, native, _ = backend_of(u)
    d = len(u)
    u_c, u_rz = u[:, :d].copy(), u[:, d:].copy()
    for step in _walk(steps):
        p, at = _previous(step, h0, h), step.rows
        native.gru_before_gates(ex, gates[at], rp[at], xp.matmul(p, u_rz), x[at], p)
        native.gru_before_states(ex, h[at], gates[at], xp.matmul(rp[at], u_c), x[at], p)


def gru_before_backward(
    ex: int, d_x: Array, d_h0: Array | None, d_u: Array, d_h: Array, h: Array, gates: Array, rp: Array, h0: Array,
    u: Array, steps: Rows, bptt: int,
) -> None:  # fmt: skip
    """Fill d_x, d_h0 and d_u."""
    xp, native, _ = backend_of(u)
    d, all_carry = len(u), _carry(d_h0, h0)
    u_c, u_rz = u[:, :d].copy(), u[:, d:].copy()
    for step, flows in _back(steps, bptt, d_h0):
        p, at, carry = _previous(step, h0, h), step.rows, all_carry[: step.n]
        native.gru_before_states_back(ex, d_x[at], carry, d_h[at], gates[at], p)
        native.gru_before_gates_back(ex, d_x[at], carry, xp.matmul(d_x[at, :d], u_c.T), gates[at], p)
        if flows:
            carry += xp.matmul(d_x[at, d:], u_rz.T)
        elif step.t:
            carry[...] = 0
    d_u[:, :d] = xp.matmul(rp.T, d_x[:, :d])
    d_u[:, d:] = xp.matmul(_all_previous(steps, h0, h).T, d_x[:, d:])


def gru_after_forward(
    ex: int, h: Array, gates: Array, m: Array, x: Array, h0: Array, u: Array, bias: Array | None, steps: Rows
) -> None:
    """Fill h, gates and m."""
    xp, native, _ = backend_of(u)
    for step in _walk(steps):
        p, at = _previous(step, h0, h), step.rows
        native.gru_after_step(ex, h[at], gates[at], m[at], xp.matmul(p, u), x[at], p, bias)


def gru_after_backward(
    ex: int, d_x: Array, d_h0: Array | None, d_u: Array, d_bias: Array, d_h: Array, h: Array, gates: Array, m: Array,
    h0: Array, u: Array, steps: Rows, bptt: int,
) -> None:  # fmt: skip
    """Fill d_x, d_h0, d_u and d_bias."""
    xp, native, _ = backend_of(u)
    all_carry, d_s = _carry(d_h0, h0), xp.empty_like(gates)
    for step, flows in _back(steps, bptt, d_h0):
        p, at, carry = _previous(step, h0, h), step.rows, all_carry[: step.n]
        native.gru_after_back(ex, d_x[at], d_s[at], carry, d_h[at], gates[at], m[at], p)
        if flows:
            carry += xp.matmul(d_s[at], u.T)
        elif step.t:
            carry[...] = 0
    xp.matmul(_all_previous(steps, h0, h).T, d_s, out=d_u)
    d_s.sum(axis=0, out=d_bias)


def lstm_forward(
    ex: int, h: Array, c: Array, gates: Array, x: Array, h0: Array, c0: Array, u: Array, steps: Rows
) -> None:
    """Fill h, c and gates."""
    xp, native, _ = backend_of(u)
    for step in _walk(steps):
        p, q, at = _previous(step, h0, h), _previous(step, c0, c), step.rows
        native.lstm_step(ex, h[at], c[at], gates[at], xp.matmul(p, u), x[at], q)


def lstm_backward(
    ex: int, d_x: Array, d_h0: Array | None, d_c0: Array | None, d_u: Array, d_h: Array, d_c: Array | None, h: Array,
    c: Array, gates: Array, h0: Array, c0: Array, u: Array, steps: Rows, bptt: int,
) -> None:  # fmt: skip
    """Fill d_x, d_h0, d_c0 and d_u."""
    xp, native, _ = backend_of(u)
    all_carry, all_carry_c = _carry(d_h0, h0), _carry(d_c0, c0)
    for step, flows in _back(steps, bptt, d_h0):
        at, carry, carry_c = step.rows, all_carry[: step.n], all_carry_c[: step.n]
        outside = None if d_c is None else d_c[at]
        native.lstm_back(ex, d_x[at], carry, carry_c, d_h[at], outside, c[at], gates[at], _previous(step, c0, c))
        if flows:
            xp.matmul(d_x[at], u.T, out=carry)
        elif step.t:
            carry[...] = 0
            carry_c[...] = 0
    xp.matmul(_all_previous(steps, h0, h).T, d_x, out=d_u)


def rnn_forward(ex: int, h: Array, x: Array, h0: Array, u: Array, steps: Rows) -> None:
    """Fill h."""
    xp, native, _ = backend_of(u)
    for step in _walk(steps):
        native.rnn_step(ex, h[step.rows], xp.matmul(_previous(step, h0, h), u), x[step.rows])


def rnn_backward(
    ex: int, d_x: Array, d_h0: Array | None, d_u: Array, d_h: Array, h: Array, h0: Array, u: Array, steps: Rows,
    bptt: int,
) -> None:  # fmt: skip
    """Fill d_x, d_h0 and d_u."""
    xp, native, _ = backend_of(u)
    all_carry = _carry(d_h0, h0)
    for step, flows in _back(steps, bptt, d_h0):
        at, carry = step.rows, all_carry[: step.n]
        native.rnn_back(ex, d_x[at], carry, d_h[at], h[at])
        if flows:
            xp.matmul(d_x[at], u.T, out=carry)
        elif step.t:
            carry[...] = 0
    xp.matmul(_all_previous(steps, h0, h).T, d_x, out=d_u)
