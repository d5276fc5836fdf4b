"""Side data: what is known of items or users besides their interactions."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from .._columns import check_external, check_length
from ._recognise import existing
from ._text import is_id, read_text


@dataclass(frozen=True, eq=False, repr=False)
class SideData:
    """What is known of items, or of users, besides the interactions: one row each.

    Parameters
    ----------
    ids : integers or strings (n,)
        The external id of each row, all different.
    columns : dict of str to array (n,), optional
        One value a row, as a title or an age.
    matrices : dict of str to sparse matrix (n, m), optional
        Any number of values a row, as genres, tags or words. Stored as CSR.
    names : dict of str to array (m,), optional
        Of the columns of a matrix. Matrices without an entry have none.

    Raises
    ------
    TypeError, ValueError
        Ids that repeat, lengths that differ, names of no matrix.

    Examples
    --------
    >>> from pyrec_core.datasets import SideData
    >>> SideData([31, 7], columns={"title": ["Dangerous Minds", "Sabrina"]}, matrices={"genres": [[0, 1], [1, 1]]})
    SideData(2 rows; columns title; matrices genres 2 x 2)
    """

    ids: NDArray[Any]
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    matrices: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ids = check_external("ids", self.ids)
        different, counts = np.unique(ids, return_counts=True)
        if len(different) < len(ids):
            raise ValueError(f"ids must be different, got {different[counts > 1][0]!r} {counts.max()} times")
        columns = {name: np.asarray(column) for name, column in self.columns.items()}
        matrices = {name: sp.csr_array(matrix) for name, matrix in self.matrices.items()}
        for name, column in columns.items():
            check_length(f"columns[{name!r}]", column, len(ids), "ids")
        for name, matrix in matrices.items():
            if matrix.ndim != 2 or matrix.shape[0] != len(ids):
                raise ValueError(f"matrices[{name!r}] must have {len(ids)} rows like ids, got shape {matrix.shape}")
        for name, labels in self.names.items():
            if name not in matrices or len(labels) != matrices[name].shape[1]:
                raise ValueError(f"names[{name!r}] must name the columns of a matrix, got {len(labels)} names")
        names = {name: np.asarray(labels) for name, labels in self.names.items()}
        for attribute, value in (("ids", ids), ("columns", columns), ("matrices", matrices), ("names", names)):
            object.__setattr__(self, attribute, value)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        parts = [f"{len(self)} rows"]
        if self.columns:
            parts.append(f"columns {', '.join(self.columns)}")
        if self.matrices:
            shapes = (f"{name} {X.shape[0]} x {X.shape[1]}" for name, X in self.matrices.items())
            parts.append(f"matrices {', '.join(shapes)}")
        return f"{type(self).__name__}({'; '.join(parts)})"

    def align(self, ids: ArrayLike) -> Self:
        """Return the rows of these external ids, in this order, as the dense ids of interactions number them.

        Ids that are not here get empty rows of the matrices, and in columns "", NaN, or -1 where they are integers.

        Parameters
        ----------
        ids : integers or strings (n,)
            ``item_ids`` or ``user_ids`` of `Interactions`; where those are None, ``np.arange(n_items)``.

        Raises
        ------
        TypeError
            Integers for strings, or the other way round.

        Examples
        --------
        >>> from pyrec_core.datasets import SideData
        >>> SideData([31, 7], columns={"year": [1995, 1954]}).align([7, 8, 31]).columns["year"]
        array([1954,   -1, 1995])
        """
        wanted = check_external("ids", ids)
        if (wanted.dtype.kind in "iu") != (self.ids.dtype.kind in "iu"):
            raise TypeError(f"ids must be of the kind of this side data's, {self.ids.dtype}, got {wanted.dtype}")
        row = rows_of(self.ids, wanted)
        columns = {name: np.append(column, _missing(column))[row] for name, column in self.columns.items()}
        empty = {name: sp.csr_array((1, X.shape[1]), dtype=X.dtype) for name, X in self.matrices.items()}
        matrices = {name: sp.vstack([X, empty[name]], "csr")[row] for name, X in self.matrices.items()}
        return type(self)(wanted, columns, matrices, self.names)


def load_texts(path: str | os.PathLike[str]) -> SideData:
    """Load texts of items from a JSON object: id to text.

    Parameters
    ----------
    path : str or path-like
        The file, maybe as .gz.

    Returns
    -------
    SideData
        With the column "text", in the order of the file. Ids are integers if all are, else strings.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        No JSON object of strings; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_texts
    >>> path = os.path.join(tempfile.mkdtemp(), "abstracts.json")
    >>> with open(path, "w") as file:
    ...     _ = file.write('{"781": "A film by Bernardo Bertolucci.", "7": "A comedy."}')
    >>> load_texts(path).align([7]).columns["text"]
    array(['A comedy.'], dtype='<U30')
    """
    found = existing(path)
    texts = read_json(found)
    if not all(isinstance(text, str) for text in texts.values()):
        raise ValueError(f"{found.name} must be a JSON object of strings, got others")
    ids = np.array(list(texts), np.str_)
    if all(map(is_id, texts)):
        ids = ids.astype(np.int64)
    return SideData(ids, {"text": np.array(list(texts.values()), np.str_)})


def rows_of(ids: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.int64]:
    """Return where each wanted id stands in ``ids``, which are all different; -1 for one that does not."""
    n = len(ids)
    _, both = np.unique(np.concatenate([ids, wanted]), return_inverse=True)
    row = np.full(len(both), -1)
    row[both[:n]] = np.arange(n)
    return row[both[n:]]


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object."""
    try:
        found = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path.name}, line {error.lineno}: must be JSON, got: {error.msg}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} must be a JSON object, got a {type(found).__name__}")
    return found


def counted_tags(item: NDArray[Any], tag: NDArray[Any]) -> SideData:
    """Return how often each item has each tag, as the matrix "tags"."""
    ids, row = np.unique(item, return_inverse=True)
    names, column = np.unique(tag, return_inverse=True)
    X = sp.coo_array((np.ones(len(row), np.float32), (row, column)), shape=(len(ids), len(names)))
    return SideData(ids, matrices={"tags": X.tocsr()}, names={"tags": names})


def memberships(values: Sequence[Sequence[str]]) -> tuple[Any, NDArray[Any]]:
    """Return which row has which value, as a binary matrix, and the sorted values."""
    row = np.repeat(np.arange(len(values)), [len(each) for each in values])
    names, column = np.unique(np.array([value for each in values for value in each], np.str_), return_inverse=True)
    X = sp.coo_array((np.ones(len(row), np.float32), (row, column)), shape=(len(values), len(names))).tocsr()
    X.data[:] = 1.0  # a value that a row has twice
    return X, names


def _missing(column: NDArray[Any]) -> Any:
    """Return what stands for an unknown entry of a column."""
    return {"U": "", "f": np.nan}.get(column.dtype.kind, -1)
