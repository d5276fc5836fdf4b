"""Loaders: MovieLens files, delimited text, NumPy and SciPy archives."""

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._interactions import Interactions
from .._validation import check_bool, check_int
from ._text import Layout, first_lines, is_id, is_number, read_columns, split_line

_TEXT_FILES = ("ratings.dat", "ratings.csv", "u.data")
_SEPARATORS = ("::", "\t", ",", ";")
_POSITIONS = ("user", "item", "value", "time")
_HEADINGS = {
    "user": ("user", "userid", "uid", "reviewerid", "customerid", "visitorid"),
    "item": ("item", "itemid", "iid", "movieid", "productid", "artistid", "bookid", "asin"),
    "value": ("rating", "value", "score", "weight", "count", "overall"),
    "time": ("timestamp", "time", "unixreviewtime"),
}


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
    found = _existing(path)
    if found.is_dir():
        return load_movielens(found)
    if zipfile.is_zipfile(found):
        return load_npz(found)
    return _from_text(found, _recognise(found), integer_ids=False)


def load_movielens(path: str | os.PathLike[str]) -> Interactions:
    """Load the ratings of a MovieLens data set, as GroupLens distributes it.

    Parameters
    ----------
    path : str or path-like
        A rating file, or the folder with it: ``ratings.dat`` (fields separated by ``::``), ``u.data`` (by tabs) or
        ``ratings.csv`` (with a header), each maybe as .gz; or ``<name>.npz`` in the folder ``<name>``, for `load_npz`.

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
    found = _existing(path)
    if found.is_dir():
        names = [f"{name}{suffix}" for name in _TEXT_FILES for suffix in ("", ".gz")]
        names.append(f"{found.resolve().name}.npz")
        present = [found / name for name in names if (found / name).is_file()]
        if not present:
            inside = ", ".join(sorted(entry.name for entry in found.iterdir())[:5]) or "nothing"
            raise ValueError(f"path must be a folder with one of {', '.join(names)}, got {found} with {inside}")
        found = present[0]
    if zipfile.is_zipfile(found):
        return load_npz(found)
    layout = _recognise(found)
    if layout.value is None:
        raise ValueError(f"{found.name} must have user, item and rating, got no rating")
    return _from_text(found, layout, integer_ids=True)


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
        Columns of finite numbers.
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
    found = _existing(path)
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
    return _from_text(found, Layout(sep, has_header, **places), integer_ids=False)


def load_npz(path: str | os.PathLike[str]) -> Interactions:
    """Load interactions from an .npz archive, without pickle.

    Parameters
    ----------
    path : str or path-like
        Either arrays ``user`` and ``item``, maybe ``rating`` or ``value``, maybe ``timestamp`` or ``time`` (others
        are ignored); or a users x items matrix that ``scipy.sparse.save_npz`` has written.

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
    found = _existing(path)
    if not zipfile.is_zipfile(found):
        raise ValueError(f"{found.name} must be an .npz archive, got another or a truncated file")
    try:
        with np.load(found, allow_pickle=False) as archive:
            names = archive.files
            if "format" in names:
                return _from_matrix(found)
            wanted = {
                "user": ["user"],
                "item": ["item"],
                "value": ["rating", "value"],
                "time": ["timestamp", "time"],
            }
            arrays: dict[str, Any] = {
                argument: next((archive[name] for name in choices if name in names), None)
                for argument, choices in wanted.items()
            }
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{found.name} must be an undamaged .npz archive without objects, got: {error}") from error
    if arrays["user"] is None or arrays["item"] is None:
        raise ValueError(f"{found.name} must hold arrays user and item, got {', '.join(names) or 'none'}")
    return Interactions.from_arrays(**arrays)


def _existing(path: str | os.PathLike[str]) -> Path:
    found = Path(path)
    if not found.exists():
        raise FileNotFoundError(f"path must name a file or folder, got {os.fspath(path)!r}, which does not exist")
    return found


def _from_text(path: Path, layout: Layout, *, integer_ids: bool) -> Interactions:
    columns: dict[str, Any] = read_columns(path, layout, integer_ids=integer_ids)
    return Interactions.from_arrays(**columns)


def _from_matrix(path: Path) -> Interactions:
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


def _recognise(path: Path) -> Layout:
    """Tell the layout from the first line."""
    start = first_lines(path, 1)
    if not start:
        raise ValueError(f"{path.name} must hold interactions, got an empty file")
    line = start[0]
    sep = next((sep for sep in _SEPARATORS if sep in line), ",")
    fields = [field.strip() for field in split_line(line, sep)]
    headings = [field.partition(":")[0].lower().replace("_", "").replace(" ", "") for field in fields]
    found = {
        name: next((headings.index(known) for known in choices if known in headings), None)
        for name, choices in _HEADINGS.items()
    }
    if found["user"] is not None and found["item"] is not None:
        return Layout(sep, True, **found)  # type: ignore[arg-type]
    numbers = all(map(is_number, fields[2:]))
    if (len(fields) == 2 and all(map(is_id, fields))) or (len(fields) in (3, 4) and numbers):
        return Layout(sep, False, **{name: at for at, name in enumerate(_POSITIONS[: len(fields)])})
    raise ValueError(
        f"{path.name} must start with a header that names user and item, or with user, item, value and time, "
        f"got {line[:80]!r}. load_delimited reads any columns"
    )
