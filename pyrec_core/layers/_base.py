"""What a layer is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._backend import array_module, to_device, to_host
from .._validation import check_float_array, check_like
from ..optim import Param

Backprop = Callable[[Any], Any]  # from the gradient of a layer's output to that of its input


class Layer(ABC):
    """A part of a network: a function of arrays, with parameters.

    A layer of one's own stores its parameters and layers as attributes, or in lists or tuples that are attributes,
    and defines `forward`. Arrays that are not learned by gradients but belong to a trained model, such as running
    means, are attributes too; ``state_names`` lists theirs.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.layers import Layer
    >>> from pyrec_core.optim import Param
    >>> class Scale(Layer):
    ...     def __init__(self, factor):
    ...         self.factor = Param(np.array([factor]))
    ...
    ...     def forward(self, x, *, train=False):
    ...         def backprop(d_y):
    ...             self.factor.add_grad(np.array([np.sum(d_y * x)]))
    ...             return d_y * self.factor.value
    ...
    ...         return x * self.factor.value, backprop
    >>> layer = Scale(2.0)
    >>> y, backprop = layer.forward(np.array([1.0, 3.0]), train=True)
    >>> y, backprop(np.array([1.0, 1.0])), layer.factor.grad
    (array([2., 6.]), array([2., 2.]), array([4.]))
    """

    state_names: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        """Return the output for ``x``, and the way back.

        Parameters
        ----------
        x : array
            Not changed; it must stay unchanged until the way back is done.
        train : bool
            Whether what only training does is done, such as dropout.

        Returns
        -------
        y : array
        backprop : callable
            ``backprop(d_y)``: adds the gradients of the parameters to them, and returns the gradient of ``x``, or None
            where ``x`` are ids. It does not change ``d_y``.
        """

    def __call__(self, x: Any) -> Any:
        """Return the output for ``x``, outside of training."""
        return self.forward(x)[0]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}: {part!r}' for name, part in self._parts())})"

    def params(self) -> list[Param]:
        """Return all parameters in the order of their definition, those of layers inside included, shared ones once."""
        return list(self.named_params().values())

    def named_params(self) -> dict[str, Param]:
        """Return the parameters of `params` by their dotted names, such as ``"0.w"``; a shared one has its first."""
        return {name: part for name, part in self._tree() if isinstance(part, Param)}

    def to(self, device: str) -> None:
        """Move all parameters and other arrays of this layer to ``device``, "cpu" or "cuda".

        Raises
        ------
        NotEnoughMemoryError
            One of them does not fit, which the error names.
        """
        for name, part in self._tree():
            if isinstance(part, Param):
                part.to(device, name)
            else:
                for key in part.state_names:
                    setattr(part, key, to_device(getattr(part, key), device, f"{name}.{key}".lstrip(".")))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return NumPy copies of the arrays that are no parameters but belong to a trained model, by dotted names."""
        return {name: to_host(array).copy() for name, array in self._state().items()}

    def load_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Copy what `state` returned into this layer.

        Raises
        ------
        TypeError, ValueError
            Other names, dtypes or shapes than those of `state`. Nothing has been changed then.
        """
        mine = self._state()
        if set(arrays) != set(mine):
            raise ValueError(f"arrays must be named {sorted(mine)}, got {sorted(arrays)}")
        checked = {name: check_like(name, arrays[name], a.shape, a.dtype) for name, a in mine.items()}
        for name, array in mine.items():
            array[...] = array_module(array).asarray(checked[name])

    def _state(self) -> dict[str, NDArray[Any]]:
        layers = ((f"{name}." if name else "", part) for name, part in self._tree() if isinstance(part, Layer))
        return {f"{prefix}{name}": getattr(layer, name) for prefix, layer in layers for name in layer.state_names}

    def _parts(self) -> Iterator[tuple[str, Any]]:
        """Yield the parameters and layers among the attributes."""
        for name, value in vars(self).items():
            if isinstance(value, (Param, Layer)):
                yield name, value
            elif isinstance(value, (list, tuple)):
                yield from ((f"{name}.{i}", v) for i, v in enumerate(value) if isinstance(v, (Param, Layer)))

    def _tree(self, prefix: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
        """Yield this layer and all that is in it, each thing once, with dotted names."""
        seen = set() if seen is None else seen
        seen.add(id(self))
        yield prefix, self
        for name, part in self._parts():
            name = f"{prefix}.{name}" if prefix else name
            if id(part) in seen:
                continue
            if isinstance(part, Layer):
                yield from part._tree(name, seen)
            else:
                seen.add(id(part))
                yield name, part


def check_input(x: Any, width: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return ``x`` as an array (..., width) of the dtype of a layer's parameters."""
    array: NDArray[Any] = check_float_array("x", x, ndim=None)
    if array.dtype != np.dtype(dtype):
        raise TypeError(f"x must be {np.dtype(dtype)} like the parameters, got {array.dtype}")
    if array.ndim == 0 or array.shape[-1] != width:
        raise ValueError(f"x must have shape (..., {width}), got {array.shape}")
    return array
