"""Optimizers and schedules as plain values, for model files."""

from dataclasses import fields
from typing import Any

from ._base import Optimizer
from ._rules import FTRL, SGD, Adadelta, Adagrad, Adam, RMSProp
from ._schedule import ExponentialDecay

_KNOWN: dict[str, type[Any]] = {
    cls.__name__: cls for cls in (SGD, Adagrad, RMSProp, Adadelta, Adam, FTRL, ExponentialDecay)
}


def to_plain(value: Any) -> Any:
    """Return an optimizer or a schedule as a dict of its fields; numbers, strings and None as they are.

    Raises
    ------
    TypeError
        A schedule or optimizer that is not of this package: its code cannot be saved.

    Examples
    --------
    >>> from pyrec_core.optim import SGD, from_plain, to_plain
    >>> from_plain(to_plain(SGD(momentum=0.5))) == SGD(momentum=0.5)
    True
    """
    kind = type(value).__name__
    if _KNOWN.get(kind) is type(value):
        return {"class": kind, **{f.name: to_plain(getattr(value, f.name)) for f in fields(value)}}
    if callable(value) or isinstance(value, Optimizer):
        raise TypeError(f"a model to be saved must have optimizers and schedules of pyrec_core, got {value!r}")
    return value


def from_plain(value: Any) -> Any:
    """Return what `to_plain` was given."""
    if not isinstance(value, dict):
        return value
    made = {name: from_plain(item) for name, item in value.items() if name != "class"}
    return _KNOWN[value["class"]](**made)
