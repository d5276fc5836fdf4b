"""Loaders of lines with any number of entries: libfm and libsvm files, lists of ids."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .._validation import MAX_ID, check_int
from ._recognise import existing
from ._tokens import tokens_of

_COLON = ord(":")


def load_libfm(path: str | os.PathLike[str], *, n_features: int | None = None) -> tuple[Any, NDArray[np.float32]]:
    """Load a file of libfm or libsvm: ``target feature:value feature:value ...``, one example a line.

    Parameters
    ----------
    path : str or path-like
        The file, maybe as .gz. Blank lines are skipped, comments from ``#`` on ignored.
    n_features : int, optional
        Number of columns, where training and test file must agree. Default: the largest feature + 1.

    Returns
    -------
    X : scipy.sparse.csr_array, float32 (n, n_features)
        Column f is feature f, also where features are numbered from 1. Repeated features of a line are summed.
    y : float32 (n,)
        The targets as they stand: for instance -1 and 1.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        Not this format, or features beyond ``n_features``; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_libfm
    >>> path = os.path.join(tempfile.mkdtemp(), "train.libfm")
    >>> with open(path, "w") as file:
    ...     _ = file.write("1 0:1 3:0.5\\n-1 2:1\\n")
    >>> X, y = load_libfm(path)
    >>> X.toarray(), y
    (array([[1. , 0. , 0. , 0.5],
           [0. , 0. , 1. , 0. ]], dtype=float32), array([ 1., -1.], dtype=float32))
    """
    found = existing(path)
    wanted = MAX_ID if n_features is None else check_int("n_features", n_features, low=1, high=MAX_ID)
    targets, lengths, features, values = ([np.zeros(0, dtype)] for dtype in ("f4", "i8", "i4", "f4"))
    for tokens in tokens_of(found, b" \t:\n"):
        is_first = np.diff(tokens.line, prepend=0) != 0
        first, pairs = tokens.take(is_first), tokens.take(~is_first)
        if (first.after() == _COLON).any():
            first.fail(int(np.argmax(first.after() == _COLON)), "must begin with a target")
        feature, value = pairs.take(slice(0, None, 2)), pairs.take(slice(1, None, 2))
        n = len(value.start)
        right = np.zeros(len(feature.start), bool)
        right[:n] = (feature.after()[:n] == _COLON) & (feature.end[:n] + 1 == value.start) & (value.after() != _COLON)
        if not right.all():
            feature.fail(int(np.argmin(right)), "must hold a target and feature:value pairs")
        ids = feature.integers("feature")
        beyond = (ids < 0) | (ids >= wanted)
        if beyond.any():
            feature.fail(int(np.argmax(beyond)), f"feature must be in 0..{wanted - 1}")
        targets.append(first.floats("target"))
        lengths.append(np.diff(np.flatnonzero(np.append(is_first, True))) // 2)
        features.append(ids.astype(np.int32))
        values.append(value.floats("value"))
    columns = np.concatenate(features)
    offsets = np.append(0, np.cumsum(np.concatenate(lengths)))
    if len(offsets) == 1:
        raise ValueError(f"{found.name} must hold examples, got an empty file")
    if len(columns) <= MAX_ID:  # SciPy wants both of one dtype, and would widen the columns
        offsets = offsets.astype(np.int32)
    shape = (len(offsets) - 1, int(columns.max(initial=-1)) + 1 if n_features is None else wanted)
    X = sp.csr_array((np.concatenate(values), columns, offsets), shape=shape)
    X.sum_duplicates()
    return X, np.concatenate(targets)


def read_lists(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ids and offsets of a file whose line k is ``n id id ...``, the n ids of row k."""
    ids, lengths = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    n_rows = 0
    for tokens in tokens_of(path, b" \t\n"):
        is_first = np.diff(tokens.line, prepend=0) != 0
        first = tokens.take(is_first)
        length = np.diff(np.flatnonzero(np.append(is_first, True))) - 1
        wrong = first.integers("number of ids") != length
        if wrong.any():
            at = int(np.argmax(wrong))
            first.fail(at, f"must begin with the number of ids, {length[at]}")
        skipped = first.line != n_rows + 1 + np.arange(len(first.line))
        if skipped.any():
            raise ValueError(f"{path.name}, line {n_rows + 1 + int(np.argmax(skipped))}: must not be blank, got ''")
        n_rows += len(length)
        lengths.append(length)
        ids.append(tokens.take(~is_first).integers("id"))
    if not n_rows:
        raise ValueError(f"{path.name} must hold lists of ids, got an empty file")
    return np.concatenate(ids), np.append(0, np.cumsum(np.concatenate(lengths)))
