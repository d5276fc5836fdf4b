"""Recurrent layers: over packed sequences with back-propagation through time, or one step at a time."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._backend import array_module
from .._random import Source
from .._validation import check_choice, check_int, check_integers, check_like
from ..kernels.linalg import gemm
from ..kernels.recurrent import (
    RESETS,
    gru_backward,
    gru_forward,
    lstm_backward,
    lstm_forward,
    rnn_backward,
    rnn_forward,
)
from ..optim import Param
from ._base import Backprop, Layer
from ._init import glorot_uniform

# The output, the state after the last step where there is one step, and the way back to the pre-activations.
_Run = tuple[NDArray[Any], Any, Callable[[Any], NDArray[Any]]]


class _Recurrent(Layer):
    """What the cells share: the product of the input with its weights, biases, and how steps are called."""

    blocks: ClassVar[int]  # gates and candidates: columns of the weights, in units of the hidden size

    def __init__(
        self, input_dim: int | None, hidden: int, source: Source, *, bptt: int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        hidden = check_int("hidden", hidden, low=1)
        self.bptt = None if bptt is None else check_int("bptt", bptt, low=1)

        def weights(rows: int) -> Param:
            parts = [glorot_uniform((rows, hidden), source, dtype=dtype) for _ in range(self.blocks)]
            return Param(np.concatenate(parts, axis=1))

        self.w = None if input_dim is None else weights(check_int("input_dim", input_dim, low=1))
        self.b = Param(np.zeros(self.blocks * hidden, dtype))
        self.u = weights(hidden)

    @abstractmethod
    def _run(self, a: NDArray[Any], state: Any, steps: ArrayLike | None) -> _Run:
        """Run the cell on the input's share ``a`` of the pre-activations."""

    @abstractmethod
    def zero_state(self, n: int) -> Any:
        """Return the state of ``n`` sequences that have not begun."""

    def step(self, x: Any, state: Any) -> tuple[Any, Backprop]:
        """Make one step of all sequences; the state before it is a constant for the way back.

        Parameters
        ----------
        x : array (B, input_dim), or (B, blocks * hidden) where ``input_dim`` is None
        state
            From `zero_state` or an earlier step; for an LSTM the pair of state and cell.

        Returns
        -------
        state
            After the step.
        backprop : callable
            From the gradient of the state (B, hidden), for an LSTM without the cell, to that of ``x``.
        """
        _, state, backprop = self._pass(x, state, None)
        return state, backprop

    def forward(
        self, x: Any, *, train: bool = False, steps: ArrayLike | None = None, h0: Any = None
    ) -> tuple[Any, Backprop]:
        """Return the states after all steps of packed sequences, and the way back through time.

        Parameters
        ----------
        x : array (n, input_dim), or (n, blocks * hidden) where ``input_dim`` is None
            Packed as `pyrec_core.kernels.recurrent` says.
        train : bool
            Makes no difference here.
        steps : integers (T,), optional
            Rows of each step. Default: one step.
        h0 : optional
            State before the first step, a constant for the way back. Default: `zero_state`.

        Returns
        -------
        h : array (n, hidden)
        backprop : callable
            From the gradient of ``h`` to that of ``x``.
        """
        if h0 is None:
            h0 = self.zero_state(len(x) if steps is None else int(check_integers("steps", steps)[:1].sum()))
        h, _, backprop = self._pass(x, h0, steps)
        return h, backprop

    def _pass(self, x: Any, state: Any, steps: ArrayLike | None) -> tuple[NDArray[Any], Any, Backprop]:
        weights, bias = self.w, self.b.value
        width = len(bias) if weights is None else len(weights.value)
        x = check_like("x", x, (*np.shape(x)[:1], width), bias.dtype)
        if weights is None:
            a = x + bias
        else:
            a = gemm(x, weights.value)
            a += bias
        h, state, back = self._run(a, state, steps)

        def backprop(d_h: Any) -> NDArray[Any]:
            d_a = back(d_h)
            self.b.add_grad(d_a.sum(axis=0))
            if weights is None:
                return d_a
            weights.add_grad(gemm(x, d_a, trans_a=True))
            d_x: NDArray[Any] = gemm(d_a, weights.value, trans_b=True)
            return d_x

        return h, state, backprop


class GRU(_Recurrent):
    """Gated recurrent unit, whose equations `pyrec_core.kernels.recurrent.gru_forward` gives.

    Parameters
    ----------
    input_dim : int >= 1 or None
        Width of the input. None: the input is its product with the weights already, such as rows of a table.
    hidden : int >= 1
        Width d of the state.
    source : Source
        Of the random numbers. Weights begin uniform in ``+-sqrt(6 / (rows + columns))`` of their block, biases at 0.
    reset : "before" or "after"
        Form of the reset gate: "before" has blocks [c|r|z], "after" [r|z|c] and a bias in the product of the state.
    bptt : int >= 1, optional
        In `forward` no gradient flows into the state before step t > 0 where ``t % bptt == 0``. Default: it flows
        through all steps.
    dtype : float32 or float64

    Attributes
    ----------
    w : Param (input_dim, 3d) or None
    b : Param (3d,)
    u : Param (d, 3d)
    bh : Param (3d,) or None
        Bias in the product of the state, for ``reset="after"``.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core._random import Source
    >>> from pyrec_core.layers import GRU
    >>> gru = GRU(4, 3, Source(0))
    >>> h, backprop = gru.step(np.ones((2, 4), np.float32), gru.zero_state(2))
    >>> h.shape, backprop(np.ones_like(h)).shape
    ((2, 3), (2, 4))
    """

    blocks = 3

    def __init__(
        self, input_dim: int | None, hidden: int, source: Source, *, reset: str = "before", bptt: int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        self.reset = check_choice("reset", reset, RESETS)
        super().__init__(input_dim, hidden, source, bptt=bptt, dtype=dtype)
        self.bh = Param(np.zeros_like(self.b.value)) if reset == "after" else None

    def zero_state(self, n: int) -> NDArray[Any]:
        """Return the state of ``n`` sequences that have not begun: zeros (n, hidden)."""
        state: NDArray[Any] = array_module(self.u.value).zeros((n, len(self.u.value)), self.u.value.dtype)
        return state

    def _run(self, a: NDArray[Any], state: Any, steps: ArrayLike | None) -> _Run:
        bias = None if self.bh is None else self.bh.value
        h, saved = gru_forward(a, state, self.u.value, bias, steps=steps, reset=self.reset)

        def back(d_h: Any) -> NDArray[Any]:
            d_a, _, d_u, d_bias = gru_backward(
                d_h, h, saved, state, self.u.value, steps=steps, reset=self.reset, bptt=self.bptt, through_h0=False
            )
            self.u.add_grad(d_u)
            if self.bh is not None:
                self.bh.add_grad(d_bias)
            return d_a

        return h, h, back


class LSTM(_Recurrent):
    """Long short-term memory, whose equations `pyrec_core.kernels.recurrent.lstm_forward` gives.

    Parameters are those of `GRU` but ``reset``. Blocks are [i|f|g|o]; the bias of the forget gate begins at 1. The
    state is the pair of state and cell; the output is the state alone.

    Attributes
    ----------
    w : Param (input_dim, 4d) or None
    b : Param (4d,)
    u : Param (d, 4d)
    """

    blocks = 4

    def __init__(
        self, input_dim: int | None, hidden: int, source: Source, *, bptt: int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        super().__init__(input_dim, hidden, source, bptt=bptt, dtype=dtype)
        self.b.value[hidden : 2 * hidden] = 1.0

    def zero_state(self, n: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return state and cell of ``n`` sequences that have not begun: zeros (n, hidden) each."""
        h, c = array_module(self.u.value).zeros((2, n, len(self.u.value)), self.u.value.dtype)
        return h, c

    def _run(self, a: NDArray[Any], state: Any, steps: ArrayLike | None) -> _Run:
        if not isinstance(state, tuple) or len(state) != 2:
            raise TypeError(f"state must be a pair of state and cell, got {type(state).__name__}")
        h0, c0 = state
        h, c, saved = lstm_forward(a, h0, c0, self.u.value, steps=steps)

        def back(d_h: Any) -> NDArray[Any]:
            d_a, _, _, d_u = lstm_backward(
                d_h, None, h, c, saved, h0, c0, self.u.value, steps=steps, bptt=self.bptt, through_h0=False
            )
            self.u.add_grad(d_u)
            return d_a

        return h, (h, c), back


class RNN(_Recurrent):
    """Elman's network: the state is ``tanh`` of the input's share plus the product of the state before.

    Parameters are those of `GRU` but ``reset``.

    Attributes
    ----------
    w : Param (input_dim, d) or None
    b : Param (d,)
    u : Param (d, d)
    """

    blocks = 1

    def zero_state(self, n: int) -> NDArray[Any]:
        """Return the state of ``n`` sequences that have not begun: zeros (n, hidden)."""
        state: NDArray[Any] = array_module(self.u.value).zeros((n, len(self.u.value)), self.u.value.dtype)
        return state

    def _run(self, a: NDArray[Any], state: Any, steps: ArrayLike | None) -> _Run:
        h = rnn_forward(a, state, self.u.value, steps=steps)

        def back(d_h: Any) -> NDArray[Any]:
            d_a, _, d_u = rnn_backward(
                d_h, h, state, self.u.value, steps=steps, bptt=self.bptt, through_h0=False
            )  # fmt: skip
            self.u.add_grad(d_u)
            return d_a

        return h, h, back
