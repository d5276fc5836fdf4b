"""A parameter: a value and its gradient."""

from typing import Any

from numpy.typing import ArrayLike

from .._backend import to_device
from .._validation import check_bool, check_distinct, check_float_array, check_like, check_rows


class Param:
    """A parameter of a model: a value, and the gradient of the current batch.

    Parameters
    ----------
    value : float32 or float64 array, NumPy or CuPy
        C-contiguous; changed in place by `Optimizer.step`. A table whose rows are looked up has shape (rows, d) or
        (rows,), and takes its gradient row by row.

    Attributes
    ----------
    value : array
    grad : array or None
        Sum of the dense gradients added since the last step.
    rows : list of (ids, gradient rows, bool)
        The row gradients added since the last step, and whether their ids ascend without repeats.
    state : dict of str to array
        What the rule keeps; made by the first step.
    t : int
        Steps made.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.optim import SGD, Param
    >>> table = Param(np.zeros((3, 2)))
    >>> table.add_rows([1, 1], np.ones((2, 2)))
    >>> SGD(learning_rate=0.5).step([table])
    >>> table.value
    array([[ 0.,  0.],
           [-1., -1.],
           [ 0.,  0.]])
    """

    def __init__(self, value: Any) -> None:
        self.value: Any = check_float_array("value", value, ndim=None)
        self.grad: Any = None
        self.rows: list[tuple[Any, Any, bool]] = []
        self.state: dict[str, Any] = {}
        self.t = 0

    def __repr__(self) -> str:
        return f"Param({self.value.dtype} {self.value.shape}, {self.t} steps)"

    def add_grad(self, grad: Any) -> None:
        """Add a gradient of the whole value; the array is kept, and must not be changed afterwards."""
        grad = check_like("grad", grad, self.value.shape, self.value.dtype)
        self.grad = grad if self.grad is None else self.grad + grad

    def add_rows(self, ids: ArrayLike, rows: Any, *, distinct: bool = False) -> None:
        """Add gradients of rows; the arrays are kept, and must not be changed afterwards.

        Parameters
        ----------
        ids : integers (n,)
            May repeat.
        rows : array (n, d), or (n,) for a 1-D value
        distinct : bool
            Whether the ids ascend and none comes twice: a device need not sort them then.
        """
        kept = check_rows("ids", ids, len(self.value), ndim=1)
        check_distinct("ids", kept, check_bool("distinct", distinct))
        rows = check_like("rows", rows, (len(kept), *self.value.shape[1:]), self.value.dtype)
        if len(kept):
            self.rows.append((kept, rows, distinct))

    def to(self, device: str, name: str = "") -> None:
        """Move the value and what the rule keeps to ``device``, "cpu" or "cuda"; gradients are forgotten.

        Raises
        ------
        NotEnoughMemoryError
            They do not fit; ``name`` is how the error calls the parameter. Nothing has been moved then.
        """
        self.clear()
        this = f"parameter {name}".rstrip()
        value = to_device(self.value, device, this)
        self.state = {key: to_device(a, device, f"{key} of {this}") for key, a in self.state.items()}
        self.value = value

    def clear(self) -> None:
        """Forget the gradients."""
        self.grad, self.rows = None, []
