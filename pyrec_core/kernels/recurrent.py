"""Recurrent layers (GRU, LSTM, RNN) over packed sequences, and their gradients. d hidden units.

Packed means: B sequences, longest first, and all that happens in one step lies together. ``steps`` (T,) holds how many
rows each step has, one of each sequence that is still going on; it does not increase and begins with B. Arrays with a
row for every step of every sequence have n rows in all, those of step 0 first. Without ``steps`` there is one step,
and n is B.

The product of the input with its weights is the caller's: what comes in is the input's share ``x`` of the
pre-activations, biases included, and what goes back is its gradient. So a row of a table can take the place of that
product where the input is an id.

Arrays of floats are NumPy's or CuPy's; on a device the products are CuPy's, and ``steps`` stays on the host.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._backend import Array, array_module, backend_of, is_cuda
from .._validation import check_bool, check_choice, check_float_array, check_int, check_integers, check_like
from . import _recurrent_steps

__all__ = [
    "gru_backward",
    "gru_forward",
    "lstm_backward",
    "lstm_forward",
    "rnn_backward",
    "rnn_forward",
]

RESETS = ("before", "after")
Floats = NDArray[Any]
Saved = tuple[Floats, Floats]


class _Call(NamedTuple):
    """What all functions check: initial states (B, d), recurrent weights (d, blocks * d), rows of the steps, n."""

    h0: Floats
    u: Floats
    steps: NDArray[np.int64]
    n: int
    width: int

    def states(self, name: str, a: Array) -> Floats:
        checked: Floats = check_like(name, a, (self.n, len(self.u)), self.u.dtype)
        return checked

    def shares(self, name: str, a: Array) -> Floats:
        checked: Floats = check_like(name, a, (self.n, self.width), self.u.dtype)
        return checked

    def new_states(self) -> Floats:
        return self.new((self.n, len(self.u)))

    def new_shares(self) -> Floats:
        return self.new((self.n, self.width))

    def new(self, shape: tuple[int, ...]) -> Floats:
        array: Floats = array_module(self.u).empty(shape, self.u.dtype)
        return array


def _call(per_row: str, a: Array, h0: Array, u: Array, blocks: int, steps: Array | None) -> _Call:
    """Check the sizes of a call; ``a`` has a row for each of n, and its name is ``per_row``."""
    h0 = check_float_array("h0", h0, ndim=2)
    n_lanes, d = h0.shape
    u = check_like("u", u, (d, blocks * d), h0.dtype)
    n = len(check_float_array(per_row, a, ndim=2))
    if steps is None:
        rows = np.array([n_lanes], np.int64)
        if n != n_lanes:
            raise ValueError(f"{per_row} must have {n_lanes} rows like h0 (or steps be given), got {n}")
        return _Call(h0, u, rows, n, blocks * d)
    if is_cuda(steps):
        raise TypeError("steps must be on the host, got an array on a device")
    rows = check_integers("steps", steps)
    if rows.ndim != 1:
        raise ValueError(f"steps must be 1-D, got shape {rows.shape}")
    rows = np.ascontiguousarray(rows, np.int64)
    first = int(rows[0]) if len(rows) else 0
    if first != n_lanes:
        raise ValueError(f"steps must begin with {n_lanes}, the rows of h0, got {first}")
    if len(rows) and (rows[-1] < 0 or (np.diff(rows) > 0).any()):
        shown = f"{rows[:5].tolist()}{'...' if len(rows) > 5 else ''}"
        raise ValueError(f"steps must be >= 0 and not increase, got {shown}")
    if rows.sum() != n:
        raise ValueError(f"steps must sum to {n}, the rows of {per_row}, got {rows.sum()}")
    return _Call(h0, u, rows, n, blocks * d)


def _loops(arrays: tuple[Array | None, ...], n_threads: int | None) -> tuple[Any, int]:
    """The functions that walk through the steps where ``arrays`` are, and what they take first."""
    xp, native, ex = backend_of(*arrays, n_threads=n_threads)
    return native if xp is np else _recurrent_steps, ex


def _bptt(bptt: int | None) -> int:
    return 0 if bptt is None else check_int("bptt", bptt, low=1)


def _saved(saved: Any) -> Saved:
    if not isinstance(saved, tuple) or len(saved) != 2:
        raise TypeError(f"saved must be what the forward function returned, got {type(saved).__name__}")
    return saved


def gru_forward(
    x: Array,
    h0: Array,
    u: Array,
    bias: Array | None = None,
    *,
    steps: Array | None = None,
    reset: str = "before",
    n_threads: int | None = None,
) -> tuple[Floats, Saved]:
    """Gated recurrent unit (Cho et al. 2014, arXiv:1406.1078) over packed sequences.

    With p the state before a step, blocks of ``x`` and ``u`` named by their letter, and products of vectors element by
    element, ``reset="before"`` is the form of the paper and of GRU4Rec, with column blocks [c|r|z]::

        r = sigmoid(x_r + p u_r)    z = sigmoid(x_z + p u_z)
        c = tanh(x_c + (r p) u_c)   h = (1 - z) p + z c

    and ``reset="after"`` is that of most libraries, with column blocks [r|z|c]; note that z means "keep" here::

        r = sigmoid(x_r + p u_r + bias_r)    z = sigmoid(x_z + p u_z + bias_z)
        c = tanh(x_c + r (p u_c + bias_c))   h = z p + (1 - z) c

    Parameters
    ----------
    x : float32 or float64 array (n, 3d)
        The input's share of the pre-activations.
    h0 : array (B, d) of the same dtype
        State before the first step.
    u : array (d, 3d)
    bias : array (3d,), optional
        Only for ``reset="after"``; default 0.
    steps : integers (T,), optional
        Rows of each step. Default: one step.
    reset : "before" or "after"
        Whether the reset gate acts before or after the product with ``u``. These are different functions.
    n_threads : int, optional

    Returns
    -------
    h : array (n, d)
        State after each step.
    saved
        What `gru_backward` needs.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.recurrent import gru_forward
    >>> h, _ = gru_forward(np.array([[1.0, 0.0, 0.0]] * 2), np.zeros((1, 1)), np.zeros((1, 3)), steps=[1, 1])
    >>> h.round(4)
    array([[0.3808],
           [0.5712]])
    """
    reset = check_choice("reset", reset, RESETS)
    call = _call("x", x, h0, u, 3, steps)
    x = call.shares("x", x)
    if bias is not None:
        if reset == "before":
            raise ValueError('bias must be None for reset="before" (it belongs to x), got an array')
        bias = check_like("bias", bias, (call.width,), call.u.dtype)
    loops, ex = _loops((x, call.h0, call.u, bias), n_threads)
    h, gates, extra = call.new_states(), call.new_shares(), call.new_states()
    if reset == "before":
        loops.gru_before_forward(ex, h, gates, extra, x, call.h0, call.u, call.steps)
    else:
        loops.gru_after_forward(ex, h, gates, extra, x, call.h0, call.u, bias, call.steps)
    return h, (gates, extra)


def gru_backward(
    d_h: Array,
    h: Array,
    saved: Saved,
    h0: Array,
    u: Array,
    *,
    steps: Array | None = None,
    reset: str = "before",
    bptt: int | None = None,
    through_h0: bool = True,
    n_threads: int | None = None,
) -> tuple[Floats, Floats | None, Floats, Floats | None]:
    """Gradients of `gru_forward`.

    Parameters
    ----------
    d_h : array (n, d)
        Gradient that reaches each state from outside; what comes from later steps is added here.
    h, saved
        What `gru_forward` returned.
    h0, u, steps, reset
        What it was given.
    bptt : int >= 1, optional
        Truncation: no gradient flows into the state before step t > 0 where ``t % bptt == 0``. Default: none.
    through_h0 : bool
        False where ``h0`` is a constant, which saves a product.
    n_threads : int, optional

    Returns
    -------
    d_x : array (n, 3d)
    d_h0 : array (B, d), or None without ``through_h0``
    d_u : array (d, 3d)
    d_bias : array (3d,), or None for ``reset="before"``
    """
    reset, through_h0 = check_choice("reset", reset, RESETS), check_bool("through_h0", through_h0)
    call = _call("d_h", d_h, h0, u, 3, steps)
    gates, extra = _saved(saved)
    arrays = (
        call.states("d_h", d_h), call.states("h", h), call.shares("saved[0]", gates), call.states("saved[1]", extra),
        call.h0, call.u,
    )  # fmt: skip
    how = call.steps, _bptt(bptt)
    loops, ex = _loops(arrays, n_threads)
    d_x, d_u = call.new_shares(), call.new(call.u.shape)
    d_h0 = call.new(call.h0.shape) if through_h0 else None
    if reset == "before":
        loops.gru_before_backward(ex, d_x, d_h0, d_u, *arrays, *how)
        return d_x, d_h0, d_u, None
    d_bias = call.new((call.width,))
    loops.gru_after_backward(ex, d_x, d_h0, d_u, d_bias, *arrays, *how)
    return d_x, d_h0, d_u, d_bias


def lstm_forward(
    x: Array, h0: Array, c0: Array, u: Array, *, steps: Array | None = None, n_threads: int | None = None
) -> tuple[Floats, Floats, Floats]:
    """Long short-term memory (Hochreiter and Schmidhuber 1997), with forget gate, over packed sequences.

    With p the state and q the cell before a step, and column blocks [i|f|g|o]::

        i, f, o = sigmoid(x + p u)    g = tanh(x_g + p u_g)
        c = f q + i g                 h = o tanh(c)

    Parameters
    ----------
    x : float32 or float64 array (n, 4d)
        The input's share of the pre-activations.
    h0, c0 : arrays (B, d) of the same dtype
        State and cell before the first step.
    u : array (d, 4d)
    steps : integers (T,), optional
        Rows of each step. Default: one step.
    n_threads : int, optional

    Returns
    -------
    h, c : arrays (n, d)
        State and cell after each step.
    saved
        What `lstm_backward` needs.
    """
    call = _call("x", x, h0, u, 4, steps)
    x, c0 = call.shares("x", x), check_like("c0", c0, call.h0.shape, call.u.dtype)
    loops, ex = _loops((x, call.h0, c0, call.u), n_threads)
    h, c, gates = call.new_states(), call.new_states(), call.new_shares()
    loops.lstm_forward(ex, h, c, gates, x, call.h0, c0, call.u, call.steps)
    return h, c, gates


def lstm_backward(
    d_h: Array,
    d_c: Array | None,
    h: Array,
    c: Array,
    saved: Floats,
    h0: Array,
    c0: Array,
    u: Array,
    *,
    steps: Array | None = None,
    bptt: int | None = None,
    through_h0: bool = True,
    n_threads: int | None = None,
) -> tuple[Floats, Floats | None, Floats | None, Floats]:
    """Gradients of `lstm_forward`.

    Parameters
    ----------
    d_h : array (n, d)
        Gradient that reaches each state from outside.
    d_c : array (n, d), optional
        The same of the cells; default 0.
    h, c, saved
        What `lstm_forward` returned.
    h0, c0, u, steps
        What it was given.
    bptt, through_h0, n_threads
        As in `gru_backward`; they concern state and cell.

    Returns
    -------
    d_x : array (n, 4d)
    d_h0, d_c0 : arrays (B, d), or None without ``through_h0``
    d_u : array (d, 4d)
    """
    through_h0 = check_bool("through_h0", through_h0)
    call = _call("d_h", d_h, h0, u, 4, steps)
    arrays = (
        call.states("d_h", d_h), None if d_c is None else call.states("d_c", d_c), call.states("h", h),
        call.states("c", c), call.shares("saved", saved), call.h0, check_like("c0", c0, call.h0.shape, call.u.dtype),
        call.u,
    )  # fmt: skip
    how = call.steps, _bptt(bptt)
    loops, ex = _loops(arrays, n_threads)
    d_x, d_u = call.new_shares(), call.new(call.u.shape)
    d_h0, d_c0 = (call.new(call.h0.shape) if through_h0 else None for _ in range(2))
    loops.lstm_backward(ex, d_x, d_h0, d_c0, d_u, *arrays, *how)
    return d_x, d_h0, d_c0, d_u


def rnn_forward(x: Array, h0: Array, u: Array, *, steps: Array | None = None, n_threads: int | None = None) -> Floats:
    """Elman's recurrent network over packed sequences: ``h = tanh(x + p u)``, p the state before a step.

    Parameters
    ----------
    x : float32 or float64 array (n, d)
        The input's share of the pre-activations.
    h0 : array (B, d) of the same dtype
        State before the first step.
    u : array (d, d)
    steps : integers (T,), optional
        Rows of each step. Default: one step.
    n_threads : int, optional

    Returns
    -------
    h : array (n, d)
        State after each step; all that `rnn_backward` needs.
    """
    call = _call("x", x, h0, u, 1, steps)
    x = call.shares("x", x)
    loops, ex = _loops((x, call.h0, call.u), n_threads)
    h = call.new_states()
    loops.rnn_forward(ex, h, x, call.h0, call.u, call.steps)
    return h


def rnn_backward(
    d_h: Array,
    h: Array,
    h0: Array,
    u: Array,
    *,
    steps: Array | None = None,
    bptt: int | None = None,
    through_h0: bool = True,
    n_threads: int | None = None,
) -> tuple[Floats, Floats | None, Floats]:
    """Gradients of `rnn_forward`.

    Parameters
    ----------
    d_h : array (n, d)
        Gradient that reaches each state from outside.
    h : array (n, d)
        What `rnn_forward` returned.
    h0, u, steps
        What it was given.
    bptt, through_h0, n_threads
        As in `gru_backward`.

    Returns
    -------
    d_x : array (n, d)
    d_h0 : array (B, d), or None without ``through_h0``
    d_u : array (d, d)
    """
    through_h0 = check_bool("through_h0", through_h0)
    call = _call("d_h", d_h, h0, u, 1, steps)
    arrays = call.states("d_h", d_h), call.states("h", h), call.h0, call.u
    how = call.steps, _bptt(bptt)
    loops, ex = _loops(arrays, n_threads)
    d_x, d_u = call.new_shares(), call.new(call.u.shape)
    d_h0 = call.new(call.h0.shape) if through_h0 else None
    loops.rnn_backward(ex, d_x, d_h0, d_u, *arrays, *how)
    return d_x, d_h0, d_u
