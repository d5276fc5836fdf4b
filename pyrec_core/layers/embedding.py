"""Rows of a table, looked up by id, one by one or in bags."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._random import Source
from .._validation import check_choice, check_int, check_like, check_rows
from ..kernels.embedding import MODES, bag_backward, bag_forward, gather
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
        ids = check_rows("x", x, n)
        y = gather(self.table.value, ids)

        def backprop(d_y: Any) -> None:
            d_y = check_like("d_y", d_y, y.shape, y.dtype)
            self.table.add_rows(ids.reshape(-1), d_y.reshape(-1, d))

        return y, backprop


class Bags(NamedTuple):
    """Lists of ids, one after the other, such as the values of a field of which an example may have several.

    Attributes
    ----------
    ids : integers (n,)
    offsets : integers (n_bags + 1,)
        Where each bag begins; the last is ``n``.
    weights : float32 or float64 array (n,), or None
        What each row is multiplied by. None: all are 1.
    """

    ids: NDArray[np.integer]
    offsets: NDArray[np.integer]
    weights: NDArray[Any] | None = None


class EmbeddingBag(Embedding):
    """The sum or the mean of the vectors of each bag of ids: `Bags` -> (n_bags, d).

    Parameters
    ----------
    n, d, source, init, std, dtype
        As in `Embedding`.
    mode : {"mean", "sum"}
        "mean" divides by the number of ids in a bag, whatever their weights. A bag without ids gives 0.

    Attributes
    ----------
    table : Param (n, d)

    Examples
    --------
    >>> from pyrec_core.layers import Bags, EmbeddingBag, Source
    >>> genres = EmbeddingBag(20, 8, Source(0))
    >>> genres(Bags([4, 7, 19], [0, 2, 2, 3])).shape  # two ids, none, one
    (3, 8)
    """

    def __init__(self, n: int, d: int, source: Source, *, mode: str = "mean", **options: Any) -> None:
        self.mode = check_choice("mode", mode, MODES)
        super().__init__(n, d, source, **options)

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        if not isinstance(x, Bags):
            raise TypeError(f"x must be Bags, got {type(x).__name__}")

        def backprop(d_y: Any) -> None:
            d_y = check_like("d_y", d_y, y.shape, y.dtype)
            self.table.add_rows(*bag_backward(d_y, *x, mode=self.mode), distinct=True)

        y = bag_forward(self.table.value, *x, mode=self.mode)
        return y, backprop
