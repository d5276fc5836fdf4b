"""Loaders of interactions: delimited text, NumPy and SciPy archives."""

import os
from pathlib import Path
from typing import Any

import scipy.sparse as sp
from numpy.typing import NDArray

from .._interactions import Interactions
from .._validation import check_bool, check_int
from ._archive import array_names, is_archive, naming, read_arrays, reading
from ._recognise import KINDS, existing, find, recognise
from ._text import Layout, first_lines, read_columns, split_line

RATING_FILES = ("ratings.dat", "ratings.csv", "u.data")


def load(path: str | os.PathLike[str]) -> Interactions:
    """Load interactions from a file or folder, finding out what it is.

    Parameters
    ----------
    path : str or path-like
        A folder as for `load_movielens`, an archive as for `load_npz`, or a text file with one interaction a line,
        also as .gz: user, item, maybe value, maybe time. A header tells the columns apart by the usual names
        (userId, movieId, item_id, rating, timestamp, ...); without one they are taken in this order. For anything
        else there is `load_delimited`.

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    ValueError
        The format is not recognised, or the file is damaged; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core import datasets
    >>> path = os.path.join(tempfile.mkdtemp(), "clicks.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("user_id,item_id\\nann,7\\nbob,7\\nann,5\\n")
    >>> datasets.load(path)
    Interactions(3 events, 2 users, 2 items, values 1)
    """
    found = find(path, RATING_FILES)
    return load_npz(found) if is_archive(found) else from_text(found, recognise(found))


def load_delimited(
    path: str | os.PathLike[str],
    *,
    user: str | int,
    item: str | int,
    value: str | int | None = None,
    time: str | int | None = None,
    sep: str = ",",
    header: bool = True,
) -> Interactions:
    """Load interactions from a text file, one a line.

    Parameters
    ----------
    path : str or path-like
        UTF-8 text, maybe compressed by gzip. Blank lines are skipped.
    user, item : str or int
        Column of the ids, by name or by position from 0. Ids are integers if all of a column are (leading zeros are
        then lost), else strings.
    value, time : str or int, optional
        Columns of finite numbers; times may be dates of ISO 8601, which become seconds since 1970 (UTC).
    sep : str
        Separator, of one or several characters. Fields separated by ``,`` or ``;`` may be quoted by ``"``.
    header : bool
        Whether the first line holds the names of the columns.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    TypeError
        A column that is neither a name nor a position.
    ValueError
        A column that does not exist, a missing or wrong field, a damaged file; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_delimited
    >>> path = os.path.join(tempfile.mkdtemp(), "plays.tsv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("artist\\tlistener\\tplays\\nabba\\tu1\\t40\\nbjork\\tu1\\t3\\n")
    >>> load_delimited(path, user="listener", item="artist", value="plays", sep="\\t")
    Interactions(2 events, 1 users, 2 items, values 3 to 40)
    """
    found = existing(path)
    if not found.is_file():
        raise ValueError(f"path must be a file, got the folder {found}")
    if not isinstance(sep, str):
        raise TypeError(f"sep must be a string, got {sep!r}")
    if not sep or "\n" in sep or "\r" in sep or '"' in sep:
        raise ValueError(f"sep must be one or more characters, no quotes or line ends, got {sep!r}")
    start = first_lines(found, 1)
    names = [name.strip() for name in split_line(start[0], sep)] if start else []
    has_header = check_bool("header", header)
    columns = {"user": user, "item": item, "value": value, "time": time}
    places = {
        argument: _place(argument, column, names, has_header, found.name)
        for argument, column in columns.items()
        if column is not None or argument in ("user", "item")
    }
    return from_text(found, Layout(sep, has_header, places, KINDS))


def load_npz(path: str | os.PathLike[str]) -> Interactions:
    """Load interactions from an .npz archive, without pickle.

    Parameters
    ----------
    path : str or path-like
        Either arrays ``user`` and ``item``, maybe ``rating`` or ``value``, maybe ``timestamp`` or ``time`` (others
        are ignored); or a users x items matrix that ``scipy.sparse.save_npz`` has written. A ``timestamp`` of -1 is
        unknown: if there is one, the time of each event is its entry of the array ``order`` (its rank among the
        events of its user, which no two users share), or without that array there are no times.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    TypeError
        Arrays of the wrong dtype.
    ValueError
        No archive, a damaged one, or one without these arrays.

    Examples
    --------
    >>> import os, tempfile
    >>> import scipy.sparse as sp
    >>> from pyrec_core.datasets import load_npz
    >>> path = os.path.join(tempfile.mkdtemp(), "matrix.npz")
    >>> sp.save_npz(path, sp.csr_array([[0, 2, 0], [1, 0, 0]]))
    >>> load_npz(path).shape
    (2, 3)
    """
    found = existing(path)
    if is_archive(found) and "format" in array_names(found):
        return _from_matrix(found)
    arrays = read_arrays(found, ("user", "item"), ("rating", "value", "timestamp", "time", "order"))
    value = arrays.get("rating", arrays.get("value"))
    time = arrays.get("timestamp", arrays.get("time"))
    if "timestamp" in arrays and arrays["timestamp"].dtype.kind in "if" and (arrays["timestamp"] == -1).any():
        time = arrays.get("order")
    with naming(found):
        return Interactions.from_arrays(arrays["user"], arrays["item"], value, time)


def from_text(path: Path, layout: Layout) -> Interactions:
    """Load the columns that a layout names."""
    columns: dict[str, NDArray[Any]] = read_columns(path, layout)
    return Interactions.from_arrays(**columns)


def _from_matrix(path: Path) -> Interactions:
    with reading(path):
        X = sp.coo_array(sp.load_npz(path))
    X.sum_duplicates()
    X.eliminate_zeros()
    return Interactions(X.row, X.col, X.data, n_users=X.shape[0], n_items=X.shape[1])


def _place(argument: str, column: str | int | None, names: list[str], header: bool, file: str) -> int:
    if not isinstance(column, str):
        at = check_int(argument, column, low=0)
        if names and at >= len(names):
            raise ValueError(f"{argument} must be < {len(names)}, the number of columns of {file}, got {at}")
        return at
    if not header:
        raise ValueError(f"{argument} must be a position if header=False, got {column!r}")
    if column not in names:
        raise ValueError(f"{argument} must be one of the columns {', '.join(names)} of {file}, got {column!r}")
    return names.index(column)
