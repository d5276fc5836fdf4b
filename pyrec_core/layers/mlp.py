"""The usual stack of dense layers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from .._random import Source
from .._validation import check_bool
from ._base import Layer
from .activation import Activation
from .combine import Chain
from .dense import Dense
from .dropout import Dropout
from .norm import BatchNorm

_INITS = {"relu": "he", "leaky": "he", "elu": "he", "selu": "lecun"}


def mlp(
    n_in: int,
    hidden: Sequence[int],
    source: Source,
    *,
    activation: str = "relu",
    dropout: float = 0.0,
    batch_norm: bool = False,
    dtype: DTypeLike = np.float32,
) -> Chain:
    """Return hidden layers one after the other: for each width a `Dense`, the activation, and what else is asked for.

    Parameters
    ----------
    n_in : int
        Width of the input.
    hidden : sequence of int
        Widths of the layers; the last is that of the output.
    source : Source
        Of the random numbers.
    activation : str
        See `Activation`. The weights start as He normal for the family of "relu", LeCun normal for "selu", Glorot
        uniform for others.
    dropout : float in [0, 1)
        After the activation.
    batch_norm : bool
        Whether `BatchNorm` stands before the activation.
    dtype : float32 or float64

    Examples
    --------
    >>> from pyrec_core.layers import Source, mlp
    >>> net = mlp(10, (32, 16), Source(0), dropout=0.5)
    >>> [p.value.shape for p in net.params()]
    [(10, 32), (32,), (32, 16), (16,)]
    """
    chain: list[Layer] = []
    check_bool("batch_norm", batch_norm)
    for width in hidden:
        chain.append(Dense(n_in, width, source, init=_INITS.get(activation, "glorot"), dtype=dtype))
        if batch_norm:
            chain.append(BatchNorm(width, dtype=dtype))
        chain.append(Activation(activation, overwrite=True))
        if dropout:
            chain.append(Dropout(dropout, source))
        n_in = width
    return Chain(*chain)
