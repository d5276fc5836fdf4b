"""Exceptions and warnings of the package."""

import sys
from functools import cache
from typing import Any


class NotFittedError(ValueError, AttributeError):
    """The model was asked for something that only a fitted model knows.

    Once scikit-learn's own ``NotFittedError`` is loaded, what is raised is an instance of both classes.
    """

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return not_fitted_error, (str(self),)


class NotEnoughMemoryError(MemoryError, ValueError):
    """A single result or work array would not fit into the memory that is available now."""


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C came while a model was being trained: the model is what the steps so far have made of it.

    Attributes
    ----------
    learned : dict
        What the model has learned, by attribute name.
    """

    def __init__(self, message: str, learned: dict[str, Any]) -> None:
        super().__init__(message)
        self.learned = learned


class PyrecWarning(UserWarning):
    """Base of all warnings of this package."""


class ConvergenceWarning(PyrecWarning):
    """An iteration ended before it converged."""


def not_fitted_error(message: str) -> NotFittedError:
    """Return the error to raise: also a scikit-learn ``NotFittedError`` if that library is in use."""
    return _not_fitted_class("sklearn.exceptions" in sys.modules)(message)


@cache
def _not_fitted_class(with_sklearn: bool) -> type[NotFittedError]:
    if not with_sklearn:
        return NotFittedError
    bases = (NotFittedError, sys.modules["sklearn.exceptions"].NotFittedError)
    return type("NotFittedError", bases, {"__module__": __name__, "__doc__": NotFittedError.__doc__})
