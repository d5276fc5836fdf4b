"""What a layer is."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from ..optim import Param

Backprop = Callable[[Any], Any]  # from the gradient of a layer's output to that of its input


class Layer(ABC):
    """A part of a network: a function of arrays, with parameters."""

    @abstractmethod
    def forward(self, x: Any, *, train: bool = False) -> tuple[Any, Backprop]:
        """Return the output for ``x``, and the way back."""

    def __call__(self, x: Any) -> Any:
        """Return the output for ``x``, outside of training."""
        return self.forward(x)[0]

    def params(self) -> list[Param]:
        """Return all parameters in the order of their definition."""
        return [value for value in vars(self).values() if isinstance(value, Param)]
