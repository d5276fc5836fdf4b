"""What all optimizers share: gathering, clipping, and stepping."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .._backend import zeros_beside
from .._validation import check_choice, check_float, trusted_inputs
from ..kernels.optim import coalesce, dense_step_, row_step_, state_names, sum_of_squares
from ._param import Param
from ._schedule import Schedule

Rows = tuple[NDArray[np.int32], NDArray[Any], bool]  # as in Param.rows
Gradient = Rows | tuple[None, NDArray[Any], bool]  # without ids: of the whole value


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """Base of the optimizers.

    Parameters
    ----------
    learning_rate : float > 0, or callable
        A callable gives the rate of step t = 1, 2, ..., such as `ExponentialDecay`.
    l2 : float >= 0
        Adds ``l2 * w`` to the gradient (coupled; of a loss with ``l2 / 2 |w|^2``).
    weight_decay : float >= 0
        Subtracts ``learning_rate * weight_decay * w`` (decoupled). Row gradients decay only their rows, as ``l2`` does.
    clip_norm : float > 0, optional
        The gradients of all parameters together are scaled to this norm, if theirs is larger. Row gradients count
        after those of one row are summed.
    clip_value : float > 0, optional
        Each element of a gradient is limited to ``-clip_value .. clip_value``, before the norm.
    rows : {"lazy", "dense"}
        What a step does to rows of a table that have no gradient. "lazy": nothing. "dense": what a gradient of
        zero does, which moves them if the rule has momentum or decaying averages; it costs a step on the whole
        table. For SGD and Adagrad without momentum and penalty both are the same.
    """

    learning_rate: float | Schedule = 0.01
    l2: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None
    rows: str = "lazy"

    rule: ClassVar[str]
    row_modes: ClassVar[tuple[str, ...]] = ("lazy", "dense")

    def step(self, params: Iterable[Param], *, n_threads: int | None = None) -> None:
        """Make one step with each parameter that has a gradient, and forget the gradients.

        Raises
        ------
        ValueError
            Options out of range; a gradient that is NaN or infinite, where clipping has to look at it. No parameter
            has been changed then.
        NotEnoughMemoryError
            What the rule keeps does not fit on the device; no parameter has been changed then either.

        Examples
        --------
        >>> import numpy as np
        >>> from pyrec_core.optim import Adam, Param
        >>> w = Param(np.zeros(2))
        >>> w.add_grad(np.array([3.0, -0.1]))
        >>> Adam(learning_rate=0.1).step([w])
        >>> w.value.round(3)
        array([-0.1,  0.1])
        """
        check_choice("rows", self.rows, self.row_modes)
        with trusted_inputs():  # add_rows has checked them
            self._step_all(params, n_threads)

    def _step_all(self, params: Iterable[Param], n_threads: int | None) -> None:
        moving = [p for p in params if p.grad is not None or p.rows]
        gradients = [_gradient(p, self.rows == "dense") for p in moving]
        if self.clip_norm is not None or self.clip_value is not None:
            gradients = self._clipped(gradients, n_threads)
        for p, (ids, _, _) in zip(moving, gradients, strict=True):
            self._begin(p, ids is not None)
        for p, gradient in zip(moving, gradients, strict=True):
            self._step(p, gradient, n_threads)
            p.clear()

    def _begin(self, p: Param, by_rows: bool) -> None:
        """Make what the rule keeps, where it is not there."""
        momentum, track = self._options().get("momentum", 0.0), by_rows and self.rows == "exact"
        for name in state_names(self.rule, momentum=momentum, track_rows=track):
            if name not in p.state:
                shape, dtype = ((len(p.value),), np.int64) if name == "touched" else (p.value.shape, p.value.dtype)
                p.state[name] = zeros_beside(p.value, shape, dtype, f"{name} of a parameter, kept by the optimizer")

    def _step(self, p: Param, gradient: Gradient, n_threads: int | None) -> None:
        ids, grad, distinct = gradient
        t = p.t + 1
        rate = self.learning_rate(t) if callable(self.learning_rate) else self.learning_rate
        options = {**self._options(), "l2": self.l2, "decay": self.weight_decay}
        how = {"rule": self.rule, "learning_rate": rate, "t": t, "n_threads": n_threads, **options}
        if ids is None:
            dense_step_(p.value, p.state, grad, **how)
        elif p.value.ndim == 2:
            row_step_(p.value, p.state, ids, grad, distinct=distinct, **how)
        else:  # a table with rows of any other shape
            flat = (len(p.value), -1)
            states = {name: a if name == "touched" else a.reshape(flat) for name, a in p.state.items()}
            row_step_(p.value.reshape(flat), states, ids, grad.reshape(len(ids), -1), distinct=distinct, **how)
        p.t = t

    def _options(self) -> dict[str, Any]:
        """Return the options of the rule by the names of the kernels."""
        return {}

    def _clipped(self, gradients: list[Gradient], n_threads: int | None) -> list[Gradient]:
        whole = [gradient if gradient[0] is None else _coalesced(gradient, n_threads) for gradient in gradients]
        if self.clip_value is not None:
            limit = check_float("clip_value", self.clip_value, low=0.0, low_open=True)
            whole = [_with(gradient, np.clip(gradient[1], -limit, limit)) for gradient in whole]
        norm = float(np.sqrt(sum(sum_of_squares(grad, n_threads=n_threads) for _, grad, _ in whole)))
        if not np.isfinite(norm):
            raise ValueError(f"gradients must be finite, got a norm of {norm}")
        if self.clip_norm is None:
            return whole
        factor = check_float("clip_norm", self.clip_norm, low=0.0, low_open=True) / max(norm, np.finfo(np.float64).tiny)
        if factor >= 1.0:
            return whole
        return [_with(gradient, gradient[1] * gradient[1].dtype.type(factor)) for gradient in whole]


def _gradient(p: Param, dense: bool) -> Gradient:
    """Return the gradient: rows with their ids, or without ids that of the whole value."""
    if not p.rows:
        assert p.grad is not None
        return None, p.grad, False
    parts = p.rows[0]
    if len(p.rows) > 1:
        ids, rows, _ = zip(*p.rows, strict=True)
        parts = np.concatenate(ids), np.concatenate(rows), False
    if p.grad is None and not dense:
        return parts
    unique, sums, _ = _coalesced(parts, None)
    whole = np.zeros_like(p.value) if p.grad is None else p.grad.copy()
    whole[unique] += sums
    return None, whole, False


def _coalesced(rows: Rows, n_threads: int | None) -> Rows:
    ids, grad, distinct = rows
    if distinct:
        return rows
    unique, sums = coalesce(ids, grad.reshape(len(ids), -1), n_threads=n_threads)
    return unique, sums.reshape(len(unique), *grad.shape[1:]), True


def _with(gradient: Gradient, grad: NDArray[Any]) -> Gradient:
    return (gradient[0], grad, gradient[2])  # type: ignore[return-value]
