"""Dropout."""

from typing import Any

from .._random import Source
from .._validation import check_float, check_float_array, check_like
from ..kernels.activations import dropout
from ._base import Backprop, Layer


class Dropout(Layer):
    """In training each element is 0 with probability ``rate``, else divided by ``1 - rate``; outside the input itself.

    No mask is kept: the way back draws the same numbers again.

    Parameters
    ----------
    rate : float in [0, 1)
    source : Source
        Of the random numbers.
    """

    def __init__(self, rate: float, source: Source) -> None:
        self.rate = check_float("rate", rate, low=0.0)
        if self.rate >= 1.0:
            raise ValueError(f"rate must be < 1, got {self.rate}")
        self.source = source

    def __repr__(self) -> str:
        return f"Dropout({self.rate})"

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        x = check_float_array("x", x, ndim=None)
        if not train or self.rate == 0.0:
            return x, lambda d_y: d_y
        address, shape, dtype = self.source.take("dropout", x.size), x.shape, x.dtype

        def backprop(d_y: Any) -> Any:
            return dropout(check_like("d_y", d_y, shape, dtype), self.rate, **address)

        return dropout(x, self.rate, **address), backprop
