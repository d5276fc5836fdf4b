"""Learning rates that change."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._validation import check_float, check_int

Schedule = Callable[[int], float]  # the learning rate of step t = 1, 2, ...


@dataclass(frozen=True, kw_only=True)
class ExponentialDecay:
    """The learning rate after t steps: ``learning_rate * factor ** (t / every)``.

    Parameters
    ----------
    learning_rate : float > 0
        Of the first step.
    factor : float > 0
    every : int >= 1
        Steps.
    staircase : bool
        Let the exponent jump every ``every`` steps, instead of growing evenly.

    Examples
    --------
    >>> from pyrec_core.optim import ExponentialDecay
    >>> schedule = ExponentialDecay(learning_rate=0.1, factor=0.5, every=10)
    >>> schedule(1), schedule(10), schedule(11)
    (0.1, 0.1, 0.05)
    """

    learning_rate: float
    factor: float = 0.96
    every: int = 1000
    staircase: bool = True

    def __call__(self, t: int) -> float:
        """Return the learning rate of step ``t``, from 1."""
        check_float("factor", self.factor, low=0.0, low_open=True)
        done = (t - 1) / check_int("every", self.every, low=1)
        return float(self.learning_rate * self.factor ** (np.floor(done) if self.staircase else done))
