"""MovieLens, as GroupLens distributes it: ratings and their official folds."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._interactions import Interactions
from .._validation import check_choice
from ._archive import is_archive
from ._files import RATING_FILES, from_text, load_npz
from ._recognise import existing, file_in, find, recognise
from ._text import Layout, read_columns

_KINDS = {"user": "integer", "item": "integer", "value": "number", "time": "time"}
_ML100K_ROWS = 100_000


def load_movielens(path: str | os.PathLike[str]) -> Interactions:
    """Load the ratings of a MovieLens data set, as GroupLens distributes it.

    Parameters
    ----------
    path : str or path-like
        A rating file, or the folder with it: ``ratings.dat`` (fields separated by ``::``), ``u.data`` (by tabs) or
        ``ratings.csv`` (with a header), each maybe as .gz; or ``<name>.npz`` in the folder ``<name>``, for `load_npz`.
        The folds ``u1.base``, ``ua.test``, ... are rating files too; `load_movielens_fold` reads two together.

    Returns
    -------
    Interactions
        With ratings as values, and times in seconds since 1970.

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    ValueError
        None of these files, or a truncated or garbled one; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_movielens
    >>> folder = tempfile.mkdtemp()
    >>> with open(os.path.join(folder, "ratings.dat"), "w") as file:
    ...     _ = file.write("1::1193::5::978300760\\n1::661::3::978302109\\n")
    >>> load_movielens(folder).item_ids
    array([ 661, 1193])
    """
    found = find(path, RATING_FILES)
    return load_npz(found) if is_archive(found) else from_text(found, _layout(found))


def load_movielens_fold(path: str | os.PathLike[str], fold: int | str) -> tuple[Interactions, Interactions]:
    """Load a fold of MovieLens 100K, as GroupLens distributes it: training and test ratings.

    Parameters
    ----------
    path : str or path-like
        The folder with ``u1.base``, ``u1.test`` and so on, each maybe as .gz. Folds 1 to 5 are also made from
        ``u.data`` or ``ml-100k.npz`` alone: the test ratings of fold k are the k-th fifth of its 100,000 rows.
    fold : int or str
        1 to 5 (five disjoint test sets), or "a" or "b" (10 test ratings of each user).

    Returns
    -------
    train, test : Interactions
        Of one catalogue: ``user_ids``, ``item_ids`` and the sizes are the same in both.

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    TypeError, ValueError
        Another fold; no such files, or a truncated or garbled one (the message names file and line).

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_movielens_fold
    >>> folder = tempfile.mkdtemp()
    >>> for name, text in (("u1.base", "1\\t31\\t5\\t10\\n"), ("u1.test", "1\\t7\\t3\\t20\\n")):
    ...     with open(os.path.join(folder, name), "w") as file:
    ...         _ = file.write(text)
    >>> train, test = load_movielens_fold(folder, 1)
    >>> train.item_ids, test.item
    (array([ 7, 31]), array([0], dtype=int32))
    """
    fold = check_choice("fold", fold, ("a", "b") if isinstance(fold, str) else (1, 2, 3, 4, 5))
    folder = existing(path)
    if not folder.is_dir():
        raise ValueError(f"path must be a folder, got the file {folder}")
    base, test = (file_in(folder, [f"u{fold}.{part}"], archive=False) for part in ("base", "test"))
    if base is not None and test is not None:
        parts = [read_columns(part, _layout(part)) for part in (base, test)]
        both = [name for name in parts[0] if name in parts[1]]
        data = Interactions.from_arrays(**{name: np.concatenate([part[name] for part in parts]) for name in both})
        is_test = np.arange(len(data)) >= len(parts[0]["user"])
    elif isinstance(fold, str):
        raise ValueError(f"path must be a folder with u{fold}.base and u{fold}.test, got {folder}")
    else:
        data = load_movielens(folder)
        if len(data) != _ML100K_ROWS:
            raise ValueError(f"path must hold the {_ML100K_ROWS} ratings of MovieLens 100K, got {len(data)}")
        is_test = np.arange(len(data)) // (_ML100K_ROWS // 5) == fold - 1
    return _rows(data, ~is_test), _rows(data, is_test)


def _layout(path: Path) -> Layout:
    layout = recognise(path)
    if "value" not in layout.places:
        raise ValueError(f"{path.name} must have user, item and rating, got no rating")
    return replace(layout, kinds=_KINDS)


def _rows(data: Interactions, keep: NDArray[np.bool_]) -> Interactions:
    time = None if data.time is None else data.time[keep]
    return replace(data, user=data.user[keep], item=data.item[keep], value=data.value[keep], time=time)
