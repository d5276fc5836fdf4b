"""The leave-one-out splits published with NCF (He et al., WWW 2017): one test item and 99 negatives a user."""

import os
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .._validation import check_id_range
from ..split import Split
from ._archive import naming, read_arrays
from ._recognise import existing, file_in, find
from ._text import Layout, read_columns
from ._tokens import tokens_of

_ENDINGS = ("train.rating", "test.rating", "test.negative")


def load_ncf(path: str | os.PathLike[str]) -> Split:
    """Load a split in the format of NCF: all ratings are positives, and the test item is ranked among 99 negatives.

    Parameters
    ----------
    path : str or path-like
        The folder with one set of ``<name>.train.rating``, ``<name>.test.rating`` (user, item, rating, time;
        separated by tabs; one test line a user, in order) and ``<name>.test.negative`` (``(user,item)`` and its
        negatives); or the path of a set without these endings, as ``Data/ml-1m``; each file maybe as .gz.
        Or the archive, or the folder ``<name>`` with ``<name>.npz``: ``user``, ``item`` (external ids),
        ``ncf_item_ids`` (the external id of each item index), ``ncf_test_item`` and ``ncf_test_negatives`` (external,
        by user in the order of the user ids).

    Returns
    -------
    Split
        ``train`` and ``test`` binary, ``negatives`` as published, but without the test item: where a user's negatives
        hold it (156 users of MovieLens 1M), it is left out, and -1 stands at the end of the row.

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    ValueError
        Files that are missing, truncated, garbled or do not fit together; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_ncf
    >>> name = os.path.join(tempfile.mkdtemp(), "tiny")
    >>> for ending, text in (
    ...     ("train.rating", "0\\t1\\t5\\t10\\n1\\t0\\t4\\t11\\n"),
    ...     ("test.rating", "0\\t2\\t5\\t20\\n1\\t3\\t4\\t21\\n"),
    ...     ("test.negative", "(0,2)\\t3\\t0\\n(1,3)\\t1\\t2\\n"),
    ... ):
    ...     with open(f"{name}.{ending}", "w") as file:
    ...         _ = file.write(text)
    >>> split = load_ncf(name)
    >>> split, split.negatives[0]
    (Split(train 2 x 4 with 2 entries, test 2 x 4 with 2 entries, 2 negatives a user), array([3, 0], dtype=int32))
    """
    prefix = Path(path)
    if prefix.is_dir():
        prefix = _prefix_in(prefix)
    files = [file_in(prefix.parent, [f"{prefix.name}.{ending}"], archive=False) for ending in _ENDINGS]
    present = [file for file in files if file is not None]
    if len(present) == len(_ENDINGS):
        return _from_files(*present)
    if present:
        wanted = ", ".join(f"{prefix.name}.{ending}" for ending in _ENDINGS)
        raise ValueError(f"path must hold {wanted}, got only {', '.join(file.name for file in present)}")
    return _from_archive(existing(prefix))


def _prefix_in(folder: Path) -> Path:
    """Return the path of the only set in a folder, without its endings; that of an archive where there is no set."""
    files = (entry.name.removesuffix(".gz") for entry in folder.iterdir())
    sets = sorted({name.removesuffix(f".{_ENDINGS[2]}") for name in files if name.endswith(f".{_ENDINGS[2]}")})
    if len(sets) > 1:
        raise ValueError(f"path must name one set, as {folder / sets[0]}, got a folder with {', '.join(sets)}")
    return folder / sets[0] if sets else find(folder, ())


def _from_files(train: Path, test: Path, negative: Path) -> Split:
    layout = Layout("\t", False, {"user": 0, "item": 1}, {"user": "integer", "item": "integer"})
    known, held_out = read_columns(train, layout), read_columns(test, layout)
    users = np.arange(len(held_out["user"]))
    wrong = held_out["user"] != users
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(f"{test.name}, line {at + 1}: user must be {at}, got {held_out['user'][at]}")
    lists = _negatives(negative)
    if len(lists) != len(users):
        raise ValueError(f"{negative.name} must have {len(users)} lines like {test.name}, got {len(lists)}")
    wrong = (lists[:, 0] != users) | (lists[:, 1] != held_out["item"])
    if wrong.any():
        at = int(np.argmax(wrong))
        pair = f"({at},{held_out['item'][at]})"
        raise ValueError(f"{negative.name}, line {at + 1}: must begin with {pair}, got ({lists[at, 0]},{lists[at, 1]})")
    n_items = 1 + max(int(ids.max()) for ids in (known["item"], lists[:, 1:]))
    return _split(known["user"], known["item"], lists[:, 1], lists[:, 2:], (len(users), n_items), train)


def _negatives(path: Path) -> NDArray[np.int64]:
    """Return user, item and negatives of each line."""
    lists = []
    width = 0
    for tokens in tokens_of(path, b"(), \t\n"):
        if not len(tokens.line):
            continue
        begins = np.flatnonzero(np.diff(tokens.line, prepend=0))
        widths = np.diff(np.append(begins, len(tokens.line)))
        width = width or int(widths[0])
        if (widths != width).any():
            at = int(np.argmax(widths != width))
            where = f"{path.name}, line {tokens.line[begins[at]]}:"
            raise ValueError(f"{where} must have user, item and {width - 2} negatives, got {widths[at]} numbers")
        lists.append(tokens.integers("item").reshape(-1, width))
    if width < 3:
        raise ValueError(f"{path.name} must hold (user,item) and negatives in each line, got {width} numbers")
    return np.concatenate(lists)


def _from_archive(path: Path) -> Split:
    names = ("user", "item", "ncf_item_ids", "ncf_test_item", "ncf_test_negatives")
    user, item, item_ids, test, negatives = read_arrays(path, names).values()
    user_ids, row = np.unique(user, return_inverse=True)
    order = np.argsort(item_ids)
    dense = [order[np.searchsorted(item_ids, ids, sorter=order) % len(order)] for ids in (item, test, negatives)]
    if test.shape != user_ids.shape or negatives.ndim != 2 or len(negatives) != len(test):
        raise ValueError(f"{path.name} must have a test item and negatives for {len(user_ids)} users, got {len(test)}")
    if any((item_ids[ours] != ids).any() for ours, ids in zip(dense, (item, test, negatives), strict=True)):
        raise ValueError(f"{path.name} must have all items in ncf_item_ids, got others")
    known = dense[0] != dense[1][row]
    return _split(row[known], dense[0][known], dense[1], dense[2], (len(user_ids), len(item_ids)), path)


def _split(
    user: NDArray[np.int64],
    item: NDArray[np.int64],
    test: NDArray[np.int64],
    negatives: NDArray[np.int64],
    shape: tuple[int, int],
    file: Path,
) -> Split:
    with naming(file):
        check_id_range("user", user, shape[0], "user")
        for ids in (item, test, negatives):
            check_id_range("item", ids, shape[1], "item")
    train = sp.coo_array((np.ones(len(user), np.float32), (user, item)), shape=shape).tocsr()
    train.data[:] = 1.0  # pairs that occur twice
    held_out = sp.csr_array((np.ones(shape[0], np.float32), test, np.arange(shape[0] + 1)), shape=shape)
    is_test = negatives == test[:, None]
    last = np.argsort(is_test, axis=1, kind="stable")
    others = np.take_along_axis(np.where(is_test, -1, negatives), last, axis=1).astype(np.int32)
    return Split(train, held_out, negatives=others)
