"""Linear item-item models in closed form: dense weights that a GPU can make, and score with."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import DTypeLike, NDArray

from ... import _memory
from ..._backend import check_device, to_device, to_host
from ..._validation import Csr, check_interactions
from ...kernels.gram import fits_device
from ._linear import BLOCK_BYTES, LinearItemModel

SCORE_ROOM = 2**30  # bytes of a GPU that scoring needs beside the weights
ADVICE = 'Drop rare items, set dtype="float32", or use a machine with more memory.'


@dataclass(kw_only=True, eq=False, repr=False)
class ClosedFormModel(LinearItemModel):
    """Base of the linear models whose weights come from the inverse of a Gram matrix.

    Parameters
    ----------
    device : {"cpu", "cuda"}
        Where the weights are made, and used to score. They come back as NumPy arrays: `set_params` lets a model that
        was fitted on one device score on the other, where the results agree to rounding. A Gram matrix that does not
        fit on the GPU stays on the host and is worked on there in blocks; weights that do not fit score on the CPU.
        Ranks for `pyrec_core.evaluation` are always made on the CPU.
    """

    device: str = "cpu"

    def _check_common(self) -> None:
        super()._check_common()
        check_device(self.device)

    def _gram_on_host(self, X: Csr, dtype: str) -> NDArray[Any] | None:
        """Return where a Gram matrix goes that does not fit on the device; None, if it does.

        Raises
        ------
        NotEnoughMemoryError
            It does not fit on the host either.
        """
        vars(self).pop("_made", None)  # gives its memory back
        if self.device == "cpu" or fits_device(X, dtype):
            return None
        shape = X.shape[1], X.shape[1]
        require_matrix("the Gram matrix", shape, dtype)
        return np.empty(shape, dtype)

    def _weights(self) -> Any:
        """Return the weights to score with, on the device; the copy there is made once."""
        if self.device == "cpu":
            vars(self).pop("_made", None)
            return self.item_weights_
        made: tuple[Any, Any] | None = vars(self).get("_made")
        if made is None or made[0] is not self.item_weights_:
            vars(self)["_made"] = made = self.item_weights_, _on_device(self.item_weights_)
        return made[1]


def _on_device(weights: Any) -> Any:
    """Return the weights on the GPU; as they are, if they do not fit there."""
    csr = check_interactions("item_weights_", weights) if sp.issparse(weights) else None
    size = weights.nbytes if csr is None else sum(part.nbytes for part in csr[:3])
    if size + SCORE_ROOM > _memory.device_memory():
        return weights
    if csr is None:
        return to_device(weights, "cuda")
    indptr, indices, data = (to_device(part, "cuda") for part in csr[:3])
    return Csr(indptr, indices, data, csr.shape)


def rows_to_host(weights: Any, out: NDArray[Any]) -> None:
    """Write weights, wherever they lie, into an array on the host, a few rows at a time and in its dtype."""
    rows = max(1, BLOCK_BYTES // (weights.shape[1] * weights.itemsize))
    for first in range(0, len(weights), rows):
        block = slice(first, first + rows)
        out[block] = to_host(weights[block].astype(out.dtype, copy=False))


def require_matrix(what: str, shape: tuple[int, int], dtype: DTypeLike, beside: int = 0) -> None:
    """Refuse a matrix that does not fit into the memory of the host, with so many bytes beside it."""
    needed = np.dtype(dtype).itemsize * shape[0] * shape[1] + beside
    _memory.require_memory(needed, f"{what} of {shape[1]} items, {np.dtype(dtype)} {shape},", ADVICE)
