"""What the interaction door lets in: matrices, logs of events, weights."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from ..._interactions import Interactions
from ..._random import Source, stream
from ..._sessions import Sessions
from ..._validation import Csr, as_array, check_interactions
from ..._vocabulary import Vocabulary
from ...kernels.random import uniform


def is_log(X: Any) -> bool:
    """Whether ``X`` is a container of events, which stands for its matrix and may have external ids."""
    return isinstance(X, (Interactions, Sessions))


def refuse_frame(name: str, X: Any) -> None:
    """Refuse a table: it may be a log of events, or users x items, and only its owner knows."""
    if hasattr(type(X), "columns"):  # of pandas, Polars and Arrow alike, none of which is imported here
        library = type(X).__module__.partition(".")[0]
        raise TypeError(
            f"{name} must be a sparse or 2-D matrix, Interactions or Sessions, got a {library} {type(X).__name__}: "
            "make Interactions.from_frame(df, user=..., item=...) of a log of events"
        )


def vocabularies_of(X: Any) -> dict[str, Vocabulary]:
    """Return the external ids of a container's users and items, by "user" and "item", where there are some."""
    users = X.session_ids if isinstance(X, Sessions) else X.user_ids
    given = {"user": users, "item": X.item_ids}
    return {what: Vocabulary.of(what, ids) for what, ids in given.items() if ids is not None}


def check_training(X: Any) -> Csr:
    """Return the training matrix, which has users and items."""
    refuse_frame("X", X)
    rows = check_interactions("X", X.matrix() if is_log(X) else X)
    for n, what in zip(rows.shape, ("sample(s)", "feature(s)"), strict=True):
        if n == 0:
            rule = f"X must have users and items, got 0 {what} (shape={rows.shape})"
            raise ValueError(f"{rule} while a minimum of 1 is required.")
    return rows


def align(name: str, X: Any, n_items: int, dense: Callable[[NDArray[Any]], NDArray[np.int64]]) -> Csr:
    """Return the matrix of a container in the columns of a model, whose ``dense`` refuses items it does not know."""
    matrix = X.matrix()
    used = np.flatnonzero(np.bincount(matrix.indices, minlength=matrix.shape[1]))
    column = np.zeros(matrix.shape[1], np.int32)
    column[used] = dense(used if X.item_ids is None else X.item_ids[used])
    shape = (matrix.shape[0], n_items)
    return check_interactions(name, sp.csr_array((matrix.data, column[matrix.indices], matrix.indptr), shape=shape))


def same_users(
    name: str,
    X: Any,
    known: Csr,
    user_of: Callable[[NDArray[Any]], NDArray[np.int64]],
    item_of: Callable[[NDArray[Any]], NDArray[np.int64]],
) -> Csr:
    """Return interactions of the users of the training matrix ``known``, in its rows and columns.

    ``user_of`` and ``item_of`` find the rows and columns of a container, and refuse ids that they do not know. A matrix
    with some of what is known, but not with all of it, has the rows of other users in all likelihood, and is refused.
    """
    if is_log(X):
        columns = align(name, X, known.shape[1], item_of)
        ids = X.session_ids if isinstance(X, Sessions) else X.user_ids
        used = np.flatnonzero(np.diff(columns.indptr))
        row = np.zeros(columns.shape[0], np.int64)
        row[used] = user_of(used if ids is None else ids[used])
        entries = columns.data, (row[_row_of(columns)], columns.indices)
        return check_interactions(name, sp.coo_array(entries, shape=known.shape))
    refuse_frame(name, X)
    rows = check_interactions(name, X)
    rule = f"{name} must have a row for each user of the training data"
    if rows.shape != known.shape:
        raise ValueError(f"{rule}, shape {known.shape}, got {rows.shape}")
    both = rows.nnz - np.count_nonzero(_is_new(rows, known))
    if both not in (0, known.nnz):
        raise ValueError(f"{rule}, with all that training had of them or nothing of it, got {both} of {known.nnz}")
    return rows


def beyond(X: Csr, known: Csr) -> Csr:
    """Return what the rows of ``X`` have and those of ``known`` have not."""
    return _part(X, _row_of(X), _is_new(X, known))


def _is_new(X: Csr, known: Csr) -> NDArray[np.bool_]:
    key, known_key = (_row_of(a) * a.shape[1] + a.indices for a in (X, known))
    return np.isin(key, known_key, assume_unique=True, invert=True)


def _row_of(X: Csr) -> NDArray[np.int64]:
    return np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))


def check_weights(sample_weight: ArrayLike, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the weights of the rows of a matrix of this shape."""
    weights = as_array("sample_weight", sample_weight)
    if weights.dtype.kind not in "biuf":
        raise TypeError(f"sample_weight must be numbers, got {weights.dtype}")
    n_users, n_items = shape
    if weights.shape != (n_users,):
        hint = f", one an item: X of shape {shape} looks transposed" if weights.shape == (n_items,) else ""
        raise ValueError(f"sample_weight must have shape ({n_users},), got {weights.shape}{hint}")
    weights = weights.astype(np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any():
        bad = weights[~(weights >= 0) | np.isinf(weights)]
        raise ValueError(f"sample_weight must be finite and >= 0, got {bad[0]}")
    if not weights.any():
        raise ValueError("sample_weight must be > 0 somewhere, got zeros only")
    return weights


def hide_fifth(X: Csr, seed: int) -> tuple[Csr, Csr]:
    """Split each row into a visible and a hidden part: a fifth of its items, at least one."""
    lengths = np.diff(X.indptr)
    row = _row_of(X)
    shuffled = np.lexsort((stream(seed, "score").random(X.nnz), row))
    place = np.empty(X.nnz, np.int64)
    place[shuffled] = np.arange(X.nnz) - X.indptr[row]
    hidden = place < np.maximum(1, lengths // 5)[row]
    return _part(X, row, ~hidden), _part(X, row, hidden)


def hold_out(X: Csr, share: float, source: Source) -> tuple[Csr, Csr]:
    """Split each row into a part that is kept, never empty, and one that is held out: about this share of the items."""
    row = _row_of(X)
    drawn = uniform(X.nnz, **source.take("split", X.nnz))
    highest = np.zeros(X.shape[0])
    np.maximum.at(highest, row, drawn)
    out = (drawn < share) & (drawn < highest[row])
    return _part(X, row, ~out), _part(X, row, out)


def _part(X: Csr, row: NDArray[np.int64], keep: NDArray[np.bool_]) -> Csr:
    indptr = np.zeros(X.shape[0] + 1, np.int64)
    np.cumsum(np.bincount(row[keep], minlength=X.shape[0]), out=indptr[1:])
    return Csr(indptr, X.indices[keep], X.data[keep], X.shape)
