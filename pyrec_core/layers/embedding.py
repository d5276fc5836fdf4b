"""Rows of a table, looked up by id."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._random import Source
from .._validation import check_choice, check_id_range, check_int, check_integers, check_like
from ..optim import Param
from ._base import Backprop, Layer
from ._init import glorot_uniform, normal


class Embedding(Layer):
    """Vectors of d numbers for n ids: integers of any shape -> (..., d).

    Its gradient is rows, for the ids that were looked up; there is never one of the whole table.

    Parameters
    ----------
    n, d : int >= 1
    source : Source
        Of the random numbers.
    init : {"normal", "glorot"}
        Normal with standard deviation ``std``, or uniform in ``+-sqrt(6 / (n + d))``.
    std : float >= 0
    dtype : float32 or float64

    Attributes
    ----------
    table : Param (n, d)

    Examples
    --------
    >>> from pyrec_core.layers import Embedding, Source
    >>> items = Embedding(100, 8, Source(0))
    >>> items([[3, 4, 3]]).shape
    (1, 3, 8)
    """

    def __init__(
        self,
        n: int,
        d: int,
        source: Source,
        *,
        init: str = "normal",
        std: float = 0.01,
        dtype: DTypeLike = np.float32,
    ) -> None:
        shape = check_int("n", n, low=1, high=2**31 - 1), check_int("d", d, low=1)
        if check_choice("init", init, ("normal", "glorot")) == "normal":
            self.table = Param(normal(shape, source, std=std, dtype=dtype))
        else:
            self.table = Param(glorot_uniform(shape, source, dtype=dtype))

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        n, d = self.table.value.shape
        ids = check_id_range("x", check_integers("x", x), n, "row").astype(np.int32)
        y = np.take(self.table.value, ids, axis=0, mode="clip")  # checked already

        def backprop(d_y: Any) -> None:
            d_y = check_like("d_y", d_y, y.shape, y.dtype)
            self.table.add_rows(ids.reshape(-1), d_y.reshape(-1, d))

        return y, backprop
