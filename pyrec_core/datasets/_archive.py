"""Arrays from an .npz archive, without pickle."""

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def is_archive(path: Path) -> bool:
    """Whether the file is a zip archive, as .npz files are."""
    return zipfile.is_zipfile(path)


def array_names(path: Path) -> list[str]:
    """Return the names of the arrays."""
    with reading(path), np.load(path, allow_pickle=False) as archive:
        return list(archive.files)


def read_arrays(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """Return the arrays of these names; of the optional ones those that are there."""
    names = array_names(path)
    if not set(required) <= set(names):
        wanted = f"{', '.join(required[:-1])} and {required[-1]}" if len(required) > 1 else required[0]
        raise ValueError(f"{path.name} must hold arrays {wanted}, got {', '.join(names) or 'none'}")
    with reading(path), np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in (*required, *optional) if name in names}


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the name of the file before the message of an error about what is in it."""
    try:
        yield
    except TypeError as error:
        raise TypeError(f"{path.name}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever is raised where a file is no archive, or a damaged one, into an error with its name."""
    if not is_archive(path):
        raise ValueError(f"{path.name} must be an .npz archive, got another or a truncated file")
    try:
        yield
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path.name} must be an undamaged .npz archive without objects, got: {error}") from error
