"""Layers that only rearrange or add up what they get."""

from typing import Any

import numpy as np

from .._validation import check_float_array, check_like
from ._base import Backprop, Layer


class Flatten(Layer):
    """Vectors of an example side by side: (B, m, d) -> (B, m d).

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import Flatten
    >>> Flatten()(np.ones((5, 3, 2))).shape
    (5, 6)
    """

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        x = check_float_array("x", x, ndim=3)
        y = x.reshape(x.shape[0], x.shape[1] * x.shape[2])
        return y, lambda d_y: check_like("d_y", d_y, y.shape, y.dtype).reshape(x.shape)


class RowSum(Layer):
    """The sum of the elements of a row: (B, d) -> (B, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import RowSum
    >>> RowSum()(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[3.],
           [7.]])
    """

    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        x = check_float_array("x", x, ndim=2)
        y = x.sum(axis=1, keepdims=True)

        def backprop(d_y: Any) -> Any:
            return np.broadcast_to(check_like("d_y", d_y, y.shape, y.dtype), x.shape).copy()

        return y, backprop
