"""Several optimizers for one network."""

from collections.abc import Iterable

from ._base import Optimizer
from ._param import Param


class Divided:
    """Optimizers that share the parameters of a network, such as its linear part and the rest.

    Each clips the gradients of its own parameters only.

    Parameters
    ----------
    rest : Optimizer
        Of all parameters that no other one has.
    *parts : tuple (Optimizer, sequence of Param)

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.optim import SGD, Divided, Param
    >>> v, w = Param(np.zeros(1)), Param(np.zeros(1))
    >>> both = Divided(SGD(learning_rate=0.1), (SGD(learning_rate=1.0), [w]))
    >>> for p in (v, w):
    ...     p.add_grad(np.ones(1))
    >>> both.step([v, w])
    >>> v.value, w.value
    (array([-0.1]), array([-1.]))
    """

    def __init__(self, rest: Optimizer, *parts: tuple[Optimizer, Iterable[Param]]) -> None:
        self._rest = rest
        self._parts = [(optimizer, list(params)) for optimizer, params in parts]

    def step(self, params: Iterable[Param], *, n_threads: int | None = None) -> None:
        """Make one step with each parameter that has a gradient, and forget the gradients."""
        left = {id(p): p for p in params}
        for optimizer, own in self._parts:
            optimizer.step([left.pop(id(p)) for p in own if id(p) in left], n_threads=n_threads)
        self._rest.step(left.values(), n_threads=n_threads)
