"""What the metrics take: lists and matrices of items, names with depths."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .._validation import MAX_ID, Csr, check_choice, check_int, check_integers, check_interactions


def check_lists(ranked: Any, relevant: Any) -> tuple[NDArray[Any], Csr]:
    """Return the lists as one array padded with -1, and the relevant items as a matrix of as many rows."""
    lists = check_ranked(ranked)
    if sp.issparse(relevant) or isinstance(relevant, Csr):
        X = check_interactions("relevant", relevant)
        if lists.size and lists.max() >= X.shape[1]:
            raise ValueError(f"ranked must hold item ids below {X.shape[1]} (columns of relevant), got {lists.max()}")
    else:
        X = _matrix(relevant, int(lists.max(initial=-1)) + 1)
    if X.shape[0] != len(lists):
        raise ValueError(f"relevant must have {len(lists)} rows like ranked, got {X.shape[0]}")
    return lists, X


def check_ranked(ranked: Any) -> NDArray[Any]:
    """Return the lists as one integer array padded with -1; repetitions are left to the kernels."""
    if isinstance(ranked, np.ndarray):
        lists = check_integers("ranked", ranked)
        if lists.ndim != 2:
            raise ValueError(f"ranked must be 2-D (users x positions), got shape {lists.shape}")
    else:
        flat, lengths = _flatten("ranked", ranked)
        lists = np.full((len(lengths), int(lengths.max(initial=0))), -1, np.int64)
        lists[np.arange(lists.shape[1]) < lengths[:, None]] = flat
    _check_ids("ranked", lists, low=-1)
    return lists


def _matrix(relevant: Any, n_items: int) -> Csr:
    """Return lists of relevant items as a matrix with at least so many columns."""
    flat, lengths = _flatten("relevant", relevant)
    _check_ids("relevant", flat, low=0)
    indptr = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=indptr[1:])
    shape = (len(lengths), max(n_items, int(flat.max(initial=-1)) + 1))
    X = sp.csr_array((np.ones(len(flat), np.float32), flat, indptr), shape=shape)
    return check_interactions("relevant", X)  # which sorts, and merges repetitions


def _flatten(name: str, lists: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the entries of one list per user, end to end, and the lengths."""
    if not isinstance(lists, Sequence) or isinstance(lists, (str, bytes)):
        other = "an integer array" if name == "ranked" else "a sparse matrix"
        raise TypeError(f"{name} must be {other} or a list of lists, got {type(lists).__name__}")
    for row in lists:
        if not isinstance(row, (Sequence, np.ndarray)) or isinstance(row, (str, bytes)):
            raise TypeError(f"{name} must hold one list per user, got {type(row).__name__}")
    lengths = np.fromiter(map(len, lists), np.int64, len(lists))
    flat = check_integers(name, list(chain.from_iterable(lists)))
    if flat.ndim != 1:
        raise ValueError(f"{name} must hold lists of ids, got deeper nesting")
    return flat.astype(np.int64, copy=False), lengths


def _check_ids(name: str, ids: NDArray[Any], low: int) -> None:
    if ids.size and (ids.min() < low or ids.max() >= MAX_ID):
        raise ValueError(f"{name} must hold item ids from {low} to 2**31 - 2, got {ids.min()} to {ids.max()}")


class Wanted(NamedTuple):
    """A value to report: "ndcg@10" is the metric "ndcg" at depth 10; "auc" has no depth (0)."""

    label: str
    metric: str
    depth: int


def parse(metrics: str | Sequence[str], k: int | Sequence[int], choices: Sequence[str]) -> list[Wanted]:
    """Return the values to report, in the order asked for: metrics with a depth of their own, others at all ``k``."""
    depths = [check_int("k", at, low=1) for at in (k if isinstance(k, (Sequence, np.ndarray)) else [k])]
    wanted = []
    for metric in [metrics] if isinstance(metrics, str) else metrics:
        if not isinstance(metric, str):
            raise TypeError(f"metrics must be strings, got {metric!r}")
        name, has_depth, depth = metric.partition("@")
        check_choice("metrics", name, tuple(choices))
        if has_depth and not depth.isdecimal():
            raise ValueError(f"metrics must be like 'ndcg' or 'ndcg@10', got {metric!r}")
        if name == "auc":
            if has_depth:
                raise ValueError(f"metrics must have no depth for auc, which ranks all items, got {metric!r}")
            wanted.append(Wanted(name, name, 0))
            continue
        own = [check_int("k", int(depth), low=1)] if has_depth else depths
        wanted += [Wanted(f"{name}@{at}", name, at) for at in own]
    if not wanted:
        raise ValueError("metrics and k must not be empty, got nothing to measure")
    return wanted


def grades_of(relevant: Csr, gains: str) -> dict[str, Any]:
    """Return the arguments of the kernel `measure` for the ``gains`` of `dcg` and `ndcg`."""
    check_choice("gains", gains, ("binary", "exponential", "linear"))
    if gains == "binary":
        return {}
    if relevant.nnz and relevant.data.min() < 0:
        raise ValueError(f"relevant must hold grades >= 0, got {relevant.data.min()}")
    return {"gains": relevant.data, "gain": gains}
