"""What the feature door lets in: ids in fields, sparse or dense numbers, or `Features`; and the labels."""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..._features import Features
from ..._validation import MAX_ID, as_array, check_interactions
from ...layers import Fields
from ._ragged import fill_empty, ragged


class Layout(NamedTuple):
    """Where the rows of a table of embeddings belong to.

    Each field has its categories and then one row for what is unknown; of numbers, which have a single category, only
    the first is used. A matrix of numbers is one field a column.

    Attributes
    ----------
    kind : {"ids", "numbers", "features"}
        Integer ids within each field; a matrix whose elements weight its columns; or `Features`.
    sizes : int64 (n_fields,)
        Categories of each field.
    n_slots : int
        Values of an example: the fields, or the columns of a dense matrix; of a sparse one the most that a row has.
    n_cross_rows : int
        Weights of all crosses, which have a table of their own.
    """

    kind: str
    sizes: NDArray[np.int64]
    n_slots: int
    n_cross_rows: int = 0

    @property
    def offsets(self) -> NDArray[np.int64]:
        """The first row of each field (n_fields + 1,)."""
        return np.concatenate([[0], np.cumsum(self.sizes + 1)])

    @property
    def n_rows(self) -> int:
        """Rows of the table."""
        return int(self.offsets[-1])

    @property
    def unknown(self) -> NDArray[np.int64]:
        """The row of each field for what is unknown."""
        return self.offsets[1:] - 1


def kind_of(X: Any) -> str:
    """Say which of the three kinds of input ``X`` is."""
    if isinstance(X, Features):
        return "features"
    if sp.issparse(X):
        return "numbers"
    dtype = as_array("X", X).dtype
    if dtype.kind == "O" and hasattr(type(X), "columns"):  # of pandas, Polars and Arrow alike
        raise TypeError(
            "X must be ids, numbers or Features, got a data frame with other columns: make "
            "Features.from_frame(df, fields=..., numeric=..., target=...) of it, or give the model an encoder"
        )
    return "ids" if dtype.kind in "iu" else "numbers"


def learn_layout(X: Any, field_sizes: Any = None) -> Layout:
    """Return the layout of training data; ``field_sizes`` replace those that the ids show."""
    kind = kind_of(X)
    if kind == "features":
        return Layout(kind, X.field_sizes, X.shape[1], _n_cross_rows(X))
    if kind == "ids":
        ids = _check_ids(X)
        sizes = ids.max(axis=0, initial=-1).astype(np.int64) + 1
        if field_sizes is not None:
            given = np.asarray(as_array("field_sizes", field_sizes))
            if given.shape != sizes.shape or given.dtype.kind not in "iu" or (given < sizes).any():
                raise ValueError(f"field_sizes must be integers >= {sizes.tolist()}, got {given.tolist()}")
            sizes = given.astype(np.int64)
        return Layout(kind, sizes, ids.shape[1])
    rows = _check_numbers(X)
    n_slots = max(1, int(np.diff(rows.indptr).max(initial=0))) if sp.issparse(X) else rows.shape[1]
    return Layout(kind, np.ones(rows.shape[1], np.int64), n_slots)


def encode(X: Any, layout: Layout, seen: NDArray[np.bool_] | None, handle_unknown: str, model: str = "model") -> Fields:
    """Return examples in rows of the table.

    Parameters
    ----------
    X : as in ``fit``
    layout : Layout
    seen : bool (n_rows,), optional
        Which rows training data had; the others are unknown. None: all are seen, as in training itself.
    handle_unknown : {"row", "error"}
    model : str
        Its name, for messages.
    """
    kind = kind_of(X)
    if kind != layout.kind:
        names = {"ids": "integer ids", "numbers": "a matrix of numbers", "features": "Features"}
        raise TypeError(f"X must be {names[layout.kind]} as in training, got {names[kind]}")
    if kind == "numbers":
        return _padded(X, layout, model)
    ids, values = (_check_ids(X), None) if kind == "ids" else (X.ids, X.values)
    lists, crosses = ((), None) if kind == "ids" else (X.lists, _cross_rows(X, layout))
    n_fields = ids.shape[1] + len(lists)
    if n_fields != len(layout.sizes):
        raise ValueError(f"X has {n_fields} features, but {model} is expecting {len(layout.sizes)} features as input")
    rows, known = _table_rows(ids, slice(ids.shape[1]), layout, seen)
    if handle_unknown == "error" and not known.all():
        row, column = (int(at[0]) for at in np.nonzero(~known))
        _refuse_unknown(~known, ids[row, column], column, row)
    values = None if values is None else values.astype(np.float32)
    if not lists:
        return Fields(rows, values, None, crosses)
    filled = [fill_empty(field) for field in lists]
    entries = []
    for at, field in enumerate(filled, start=ids.shape[1]):
        rows_of_field, known = _table_rows(field.ids, at, layout, seen)
        if handle_unknown == "error" and not known.all():
            first = int(np.flatnonzero(~known)[0])
            _refuse_unknown(~known, field.ids[first], at, int(np.searchsorted(field.offsets, first, side="right")) - 1)
        entries.append(rows_of_field)
    return ragged(rows, values, filled, entries)._replace(crosses=crosses)


def _refuse_unknown(unknown: NDArray[np.bool_], first: Any, field: int, row: int) -> None:
    n = np.count_nonzero(unknown)
    raise ValueError(f"X must hold ids seen in training, got {n} others, first {first} in field {field} of row {row}")


def _table_rows(
    ids: NDArray[Any], at: Any, layout: Layout, seen: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return rows of the table for ids of these fields, and whether they are known: the others have the unknown row."""
    first, sizes, unknown = layout.offsets[:-1][at], layout.sizes[at], layout.unknown[at]
    known = (ids >= 0) & (ids < sizes)
    rows = np.where(known, ids + first, unknown)
    if seen is not None:
        known &= seen[rows]
        rows = np.where(known, rows, unknown)
    return rows.astype(np.int32), known


def _n_cross_rows(X: Features) -> int:
    return 0 if X.crosses is None else X.crosses.shape[1] * X.cross_size


def _cross_rows(X: Features, layout: Layout) -> NDArray[np.int32] | None:
    if _n_cross_rows(X) != layout.n_cross_rows:
        raise ValueError(
            f"X must have crosses of {layout.n_cross_rows} rows in all, as in training, got {_n_cross_rows(X)}"
        )
    if X.crosses is None:
        return None
    return X.crosses + np.arange(X.crosses.shape[1], dtype=np.int32) * np.int32(X.cross_size)


def _check_ids(X: Any) -> NDArray[Any]:
    ids = as_array("X", X)
    if ids.ndim != 2:
        raise ValueError(f"X must be 2-D (rows x fields), got shape {ids.shape}. Reshape your data")
    if ids.size and (ids.min() < 0 or ids.max() >= MAX_ID):
        raise ValueError(f"X must hold ids in 0..{MAX_ID - 1}, got {ids.min()} to {ids.max()}")
    if 0 in ids.shape:
        _refuse_empty(ids.shape)
    return ids


def _check_numbers(X: Any) -> Any:
    if not sp.issparse(X):
        dense = as_array("X", X)
        if dense.ndim != 2:
            raise ValueError(f"X must be 2-D (rows x features), got shape {dense.shape}. Reshape your data")
        X = dense
    if 0 in X.shape:
        _refuse_empty(X.shape)
    return check_interactions("X", X)


def _refuse_empty(shape: tuple[int, ...]) -> None:
    what = "sample(s)" if shape[0] == 0 else "feature(s)"
    rule = f"X must have rows and columns, got 0 {what} (shape={shape})"
    raise ValueError(f"{rule} while a minimum of 1 is required.")


def _padded(X: Any, layout: Layout, model: str) -> Fields:
    """Return the elements of each row, filled up with the unknown row of the first field at a value of 0.

    Where there is a slot for each column, every value stands in its own: what a network learns of a slot is then of one
    column, whichever of the others are zero.
    """
    rows = _check_numbers(X)
    n, n_columns = rows.shape
    if n_columns != len(layout.sizes):
        raise ValueError(f"X has {n_columns} features, but {model} is expecting {len(layout.sizes)} features as input")
    lengths = np.diff(rows.indptr)
    if lengths.max(initial=0) > layout.n_slots:
        raise ValueError(
            f"X must have at most {layout.n_slots} values a row, as in training, got {lengths.max()} in row "
            f"{int(lengths.argmax())}"
        )
    ids = np.full((n, layout.n_slots), layout.unknown[0], np.int32)
    values = np.zeros((n, layout.n_slots), np.float32)
    row = np.repeat(np.arange(n), lengths)
    slot = rows.indices if layout.n_slots == n_columns else np.arange(rows.nnz) - rows.indptr[row]
    ids[row, slot] = layout.offsets[:-1][rows.indices]
    values[row, slot] = rows.data
    return Fields(ids, values)
