"""Kernels: functions from arrays to arrays, without state. NumPy arrays run on the CPU, CuPy arrays on their GPU.

Every function takes a keyword ``n_threads`` (default: all CPUs that the process may use); results have the same bits
for any value of it.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import (
        activations,
        cin,
        cooccurrence,
        embedding,
        gram,
        interaction,
        linalg,
        losses,
        ncf,
        norm,
        optim,
        random,
        ranking,
        recurrent,
        sampling,
        sessions,
        slim,
        topk,
    )

__all__ = [
    "activations",
    "cin",
    "cooccurrence",
    "embedding",
    "gram",
    "interaction",
    "linalg",
    "losses",
    "ncf",
    "norm",
    "optim",
    "random",
    "ranking",
    "recurrent",
    "sampling",
    "sessions",
    "slim",
    "topk",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
