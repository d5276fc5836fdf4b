"""Checkpoints: all of a training that it needs to go on with the same bits."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _persist
from .._backend import device_of, to_device, to_host
from ._training import Callback, Training

_KIND = "checkpoint"


class Snapshot:
    """A training after an epoch: parameters, what the optimizer keeps, losses and scores, state of the callbacks.

    Random numbers need no state: each epoch begins its streams anew.
    """

    def __init__(self, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        self._header, self._arrays = header, arrays

    @classmethod
    def of(cls, training: Training) -> "Snapshot":
        """Take one; arrays are not copied."""
        params = training.network.named_params()
        arrays = {"losses": np.array(training.losses, float), "scores": np.array(training.scores, float)}
        arrays |= {f"value/{name}": to_host(p.value) for name, p in params.items()}
        arrays |= {f"optimizer/{name}/{key}": to_host(a) for name, p in params.items() for key, a in p.state.items()}
        arrays |= {f"network/{name}": a for name, a in training.network.state().items()}
        for name, callback in _named(training.callbacks):
            arrays |= {f"callback/{name}/{key}": np.asarray(to_host(value)) for key, value in callback.state().items()}
        steps = {name: p.t for name, p in params.items()}
        header = {"class": _KIND, "about": training.about, "epoch": training.epoch, "steps": steps}
        return cls(header, arrays)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to exactly ``path``, whole or not at all."""
        _persist.save(path, self._header, self._arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], about: dict[str, Any], free: Sequence[str] = ()) -> "Snapshot":
        """Read one, whose description must agree with ``about`` but for the names in ``free``.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is no checkpoint, or is that of another training; the message names the differences.
        """
        header, arrays = _persist.load(path)
        if header.get("class") != _KIND:
            raise ValueError(f"resume must name a checkpoint, got {os.fspath(path)!r}, a file of another kind")
        before = header["about"]
        names = sorted((before.keys() | about.keys()) - set(free))
        differences = [
            f"{name} is {about.get(name, 'absent')}, was {before.get(name, 'absent')}"
            for name in names
            if before.get(name) != about.get(name)
        ]
        if differences:
            raise ValueError(f"resume must name a checkpoint of the same training, got differences: {differences}")
        return cls(header, arrays)

    @property
    def about(self) -> dict[str, Any]:
        """The description of the training."""
        about: dict[str, Any] = self._header["about"]
        return about

    def restore(self, training: Training) -> None:
        """Put everything back into a training whose network has the same parameters."""
        for name, p in training.network.named_params().items():
            device = device_of(p.value)
            p.value[...] = to_device(self._arrays[f"value/{name}"], device, f"parameter {name}")
            states = self._under(f"optimizer/{name}/")
            p.state = {key: to_device(a, device, f"{key} of parameter {name}") for key, a in states.items()}
            p.t = self._header["steps"][name]
        training.network.load_state(self._under("network/"))
        training.epoch = self._header["epoch"]
        training.losses = self._arrays["losses"].tolist()
        training.scores = self._arrays["scores"].tolist()
        for name, callback in _named(training.callbacks):
            state = self._under(f"callback/{name}/")
            if state:
                callback.load_state(state)

    def _under(self, prefix: str) -> dict[str, NDArray[Any]]:
        return {key[len(prefix) :]: a for key, a in self._arrays.items() if key.startswith(prefix)}


def _named(callbacks: Sequence[Callback]) -> list[tuple[str, Callback]]:
    """Name callbacks by their class, and by their place among those of it."""
    seen: dict[str, int] = {}
    named = []
    for callback in callbacks:
        kind = type(callback).__name__
        seen[kind] = seen.get(kind, -1) + 1
        named.append((f"{kind}.{seen[kind]}", callback))
    return named
