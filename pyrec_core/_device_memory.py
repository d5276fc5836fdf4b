"""What an error says of an array that does not fit into the memory of a GPU, and how to go on with less."""

import gc
import importlib
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ._errors import NotEnoughMemoryError
from ._memory import device_memory, in_words

# CuPy's message, and that of the native kernels for their scratch memory.
_ASKED = re.compile(r"Out of memory allocating ([\d,]+) bytes")
_ASKERS = tuple(f"{__package__}.{floor}" for floor in ("kernels", "layers"))


@contextmanager
def naming(what: str, shape: tuple[int, ...], dtype: DTypeLike) -> Iterator[None]:
    """Raise `NotEnoughMemoryError` that says what array it is, if it does not fit on the GPU."""
    try:
        yield
    except MemoryError as error:
        kind = np.dtype(dtype)
        need = f"{what}, {kind} {tuple(shape)}, needs {in_words(kind.itemsize * prod(shape))}"
        raise NotEnoughMemoryError(f"{need}, but {in_words(device_memory())} are free on the device") from error


def explained(error: MemoryError) -> str:
    """Say which function asked for how much memory on the GPU, and how much is free; asked before anything is freed."""
    if isinstance(error, NotEnoughMemoryError):
        return str(error)
    found = _ASKED.match(str(error))
    need = "more memory" if found is None else f"an array of {in_words(int(found[1].replace(',', '')))}"
    return f"{_asker(error)} needs {need}, but {in_words(device_memory())} are free on the device"


def release(error: BaseException | None) -> None:
    """Free the arrays that only a failed call still holds."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    gc.collect()
    importlib.import_module("cupy").get_default_memory_pool().free_all_blocks()


def in_blocks(work: Callable[[int, int], Any], n: int, most: int, device: str) -> None:
    """Call ``work(first, last)`` for blocks of at most ``most`` of n; smaller ones where a GPU has no room."""
    first = 0
    while first < n:
        last = min(n, first + most)
        try:
            work(first, last)
        except MemoryError as error:
            if device == "cpu":
                raise
            if last - first == 1:
                raise NotEnoughMemoryError(explained(error)) from error
            release(error)
            most = (last - first) // 2
        else:
            first = last


def _asker(error: MemoryError) -> str:
    """Name the innermost public function of the kernels and layers that the error came through."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [frame.f_code for frame in frames if str(frame.f_globals.get("__name__")).startswith(_ASKERS)]
    names = [code.co_qualname.replace(".<locals>", "") for code in ours if code.co_name[0] not in "_<"]
    return names[-1] if names else "A step"
