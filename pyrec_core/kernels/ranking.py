"""Where held-out items come in a ranking, and what rankings are worth. Shapes: n rows (users), I items.

Ranks are float64 (nnz,), one for each entry of ``relevant`` in the order of its canonical CSR form (row by row, ids
ascending; duplicates are one entry, stored zeros none): the 1-based place of that item in the ranking of its row, and
infinity where it is not ranked: not in the list, beyond ``depth``, or excluded. All metrics are functions of them.

The j-th best relevant item of a row (higher score, then smaller id) has rank j + the number of other rankable items
that are ahead of it. ``ties`` says which of those with an equal score are:

============== ==================================================================================
"conservative" all of them: a model that gives every item the same score then finds nothing
"standard"     none
"median"       half of them: the mean of the two above, and the average over random orders
"id"           those of smaller id: the place in the lists of module `topk`
============== ==================================================================================

NaN ranks after every number, and is met with a warning; what is beyond ``depth`` may not be looked at. ``exclude`` is
a sparse matrix (n, I) whose stored entries are not ranked. On the CPU nothing here writes a matrix of scores.

Scores and factors may be NumPy's or CuPy's, and their ranks are on the same device; sparse matrices are on the host.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._backend import Array, backend_of, check_threads, cpu
from .._errors import PyrecWarning
from .._validation import check_choice, check_float_array, check_int, check_integers, check_interactions, check_like
from ._arguments import Lists, factors, operands, pattern, rows_of

__all__ = ["METRICS", "TIES", "measure", "ranks_in_factors", "ranks_in_lists", "ranks_in_scores", "ranks_in_sparse"]

TIES = ("id", "conservative", "standard", "median")  # in the order of the native enumeration, as are METRICS
METRICS = (
    "precision", "recall", "recall_trunc", "f1", "hit_rate", "mrr", "ap", "ar", "dcg", "ndcg", "auc", "auc_at",
    "mean_rank",
)  # fmt: skip
_EVERYTHING = np.iinfo(np.int64).max
_SCORE_BYTES = 2**28  # of scores that are held at a time on a device

# Fills ranks, given relevant and excluded lists, the policy of ties and the depth. Returns how many scores are NaN.
Run = Callable[[Array, Lists, Lists, int, int], int]


def ranks_in_lists(ranked: Array, relevant: Any, *, n_threads: int | None = None) -> NDArray[np.float64]:
    """Ranks of the relevant items in given lists.

    Parameters
    ----------
    ranked : int32 or int64 array (n, k)
        Item ids, best first, each at most once a row; -1 where there is none.
    relevant : sparse (n, I)
    n_threads : int, optional

    Returns
    -------
    float64 (nnz,)

    Raises
    ------
    TypeError
        ``ranked`` does not hold integers.
    ValueError
        An id that is no column of ``relevant`` nor -1, or an item twice in a row.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> from pyrec_core.kernels.ranking import ranks_in_lists
    >>> ranks_in_lists(np.array([[4, 2, 0]]), sp.csr_array([[1, 0, 0, 1, 1]]))
    array([ 3., inf,  1.])
    """
    ranked = check_integers("ranked", ranked)
    if ranked.ndim != 2:
        raise ValueError(f"ranked must be 2-D (users x positions), got shape {ranked.shape}")
    if ranked.dtype == np.uint64:
        ranked = np.minimum(ranked, np.uint64(np.iinfo(np.int64).max))  # what is too large stays so
    if ranked.dtype not in (np.int32, np.int64):
        ranked = ranked.astype(np.int64)
    ranked = np.ascontiguousarray(ranked)
    relevant = check_interactions("relevant", relevant, n_users=len(ranked))
    ranks = np.empty(relevant.nnz)
    bound = relevant.shape[1]
    bad = cpu().ranks_in_lists(check_threads(n_threads), ranks, ranked, bound, (relevant.indptr, relevant.indices))
    if bad >= 0:
        _refuse_list(ranked[bad], bad, bound)
    return ranks


def _refuse_list(items: NDArray[Any], row: int, bound: int) -> None:
    for item in items:
        if not -1 <= item < bound:
            raise ValueError(f"ranked must hold item ids in -1..{bound - 1}, got {item} in row {row}")
    ids, counts = np.unique(items[items >= 0], return_counts=True)
    item = ids[counts > 1][0]
    raise ValueError(f"ranked must hold an item at most once a row, got item {item} twice in row {row}")


def ranks_in_scores(
    scores: Array,
    relevant: Any,
    exclude: Any = None,
    *,
    ties: str = "id",
    depth: int | None = None,
    n_threads: int | None = None,
) -> NDArray[np.float64]:
    """Ranks of the relevant items by given scores.

    Nothing is sorted: the items ahead of each relevant one are counted.

    Parameters
    ----------
    scores : float32 or float64 array (n, I), NumPy or CuPy
    relevant : sparse (n, I)
    exclude : sparse (n, I), optional
    ties : {"id", "conservative", "standard", "median"}
    depth : int, optional
        The deepest rank of interest. A row is left as soon as its relevant items are known to be deeper.
    n_threads : int, optional

    Returns
    -------
    float64 (nnz,)

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> from pyrec_core.kernels.ranking import ranks_in_scores
    >>> scores = np.array([[0.1, 0.7, 0.7, 0.7, 0.2]])
    >>> relevant = sp.csr_array([[1, 0, 1, 0, 0]])
    >>> ranks_in_scores(scores, relevant)
    array([5., 2.])
    >>> ranks_in_scores(scores, relevant, ties="conservative", depth=3)
    array([inf,  3.])
    """
    scores = check_float_array("scores", scores, ndim=2)
    n, n_items = scores.shape
    xp, native, ex = backend_of(scores, n_threads=n_threads)
    run = _on_cpu(native.ranks_in_scores, ex, scores) if xp is np else _on_device(lambda rows: scores[rows], n, 0)
    return _ranks(run, xp, n, n_items, relevant, exclude, ties, depth)


def ranks_in_factors(
    user_factors: Array,
    item_factors: Array,
    relevant: Any,
    exclude: Any = None,
    *,
    item_bias: Array | None = None,
    ties: str = "id",
    depth: int | None = None,
    n_threads: int | None = None,
) -> NDArray[np.float64]:
    """Ranks of the relevant items by ``user_factors @ item_factors.T + item_bias``.

    The product is made in register tiles, and counted while it is in cache. On a device a dense product scores all
    items for a block of rows.

    Parameters
    ----------
    user_factors : float32 or float64 array (n, d), NumPy or CuPy
    item_factors : array (I, d) of the same dtype
    relevant, exclude
        As in `ranks_in_scores`.
    item_bias : array (I,) of the same dtype, optional
    ties, depth, n_threads
        As in `ranks_in_scores`.

    Returns
    -------
    float64 (nnz,)
    """
    user_factors, item_factors = factors(user_factors, item_factors)
    n, n_items = len(user_factors), len(item_factors)
    if item_bias is not None:
        item_bias = check_like("item_bias", item_bias, (n_items,), user_factors.dtype)
    xp, native, ex = backend_of(user_factors, item_factors, item_bias, n_threads=n_threads)
    if xp is np:
        run = _on_cpu(native.ranks_in_factors, ex, user_factors, item_factors, item_bias)
        return _ranks(run, xp, n, n_items, relevant, exclude, ties, depth)

    def score(rows: slice) -> Array:
        scores = xp.matmul(user_factors[rows], item_factors.T)
        if item_bias is not None:
            scores += item_bias
        return scores

    run = _on_device(score, n, n_items * user_factors.itemsize)
    return _ranks(run, xp, n, n_items, relevant, exclude, ties, depth)


def ranks_in_sparse(
    X: Any,
    weights: Any,
    relevant: Any,
    exclude: Any = None,
    *,
    ties: str = "id",
    depth: int | None = None,
    n_threads: int | None = None,
) -> NDArray[np.float64]:
    """Ranks of the relevant items by ``X @ weights`` for sparse rows, as of a linear item-item model.

    Parameters
    ----------
    X : sparse matrix or 2-D array (n, J)
    weights : float32 or float64 array, or sparse matrix (J, I)
        ``X`` is converted to its dtype.
    relevant, exclude, ties, depth, n_threads
        As in `ranks_in_scores`.

    Returns
    -------
    float64 (nnz,)
    """
    X, is_sparse, arguments, n_items = operands(X, weights)
    native = cpu().ranks_in_sparse_sparse if is_sparse else cpu().ranks_in_sparse
    run = _on_cpu(native, check_threads(n_threads), *arguments)
    return _ranks(run, np, X.shape[0], n_items, relevant, exclude, ties, depth)


def _on_cpu(kernel: Callable[..., int], ex: int, *arrays: Any) -> Run:
    return lambda ranks, *sought: kernel(ex, ranks, *arrays, *sought)


def _on_device(score: Callable[[slice], Array], n: int, row_bytes: int) -> Run:
    """Ranks in n rows of scores, which ``score`` makes a block at a time."""

    def run(ranks: Array, relevant: Lists, exclude: Lists, policy: int, depth: int) -> int:
        xp, native, ex = backend_of(ranks)
        assert relevant is not None
        indptr, ids = relevant[0], xp.asarray(relevant[1])
        hidden = None if exclude is None else (xp.asarray(exclude[0]), xp.asarray(exclude[1]))
        nans, block = xp.zeros(n, np.int32), max(1, _SCORE_BYTES // max(1, row_bytes))
        for first in range(0, n, block):
            rows = slice(first, min(n, first + block))
            entries = slice(int(indptr[rows.start]), int(indptr[rows.stop]))
            wanted = xp.asarray(indptr[rows.start : rows.stop + 1] - entries.start), ids[entries]
            native.ranks_in_scores(
                ex, ranks[entries], nans[rows], score(rows), wanted, rows_of(hidden, rows, n), policy, depth
            )
        return int(nans.sum())

    return run


def _ranks(
    run: Run, xp: Any, n: int, n_items: int, relevant: Any, exclude: Any, ties: str, depth: int | None
) -> NDArray[np.float64]:
    """Check what is looked for, run a count into a new array, warn of NaN."""
    relevant = check_interactions("relevant", relevant, n_users=n, n_items=n_items)
    policy = TIES.index(check_choice("ties", ties, TIES))
    deepest = _EVERYTHING if depth is None else check_int("depth", depth, low=1)
    ranks: NDArray[np.float64] = xp.empty(relevant.nnz)
    nans = run(ranks, (relevant.indptr, relevant.indices), pattern("exclude", exclude, n, n_items), policy, deepest)
    if nans:
        warnings.warn(f"{nans} scores are NaN; they rank last", PyrecWarning, stacklevel=3)
    return ranks


def measure(
    ranks: Array,
    indptr: Array,
    names: Sequence[str],
    depths: Sequence[int],
    *,
    gains: Array | None = None,
    gain: str = "exponential",
    n_rankable: Any = None,
    n_threads: int | None = None,
) -> NDArray[np.float64]:
    """Metrics of each row from the ranks of its relevant items; their equations are in `pyrec_core.metrics`.

    Parameters
    ----------
    ranks : float64 (nnz,)
        Of entry ``e`` of ``relevant``. Not NaN.
    indptr : int64 (n + 1,)
        Row ``r`` has the entries ``indptr[r]`` to ``indptr[r + 1]``.
    names : sequence of str
        Among `METRICS`. "auc" and "mean_rank" take all ranks, whatever the depth; "auc" leaves out infinite ones.
    depths : sequence of int, as many
    gains : float (nnz,), optional
        Grade g >= 0 of each entry, for "dcg" and "ndcg". Default: every entry counts 1.
    gain : {"exponential", "linear"}
        Whether grade g counts ``2**g - 1`` or ``g``.
    n_rankable : int or array (n,), optional
        How many items were ranked in each row; "auc" and "auc_at" need it.
    n_threads : int, optional

    Returns
    -------
    float64 (len(names), n)
        NaN for rows without an entry, and where a metric divides by zero: "auc" with nothing else to rank, "ndcg"
        with no grade above 0.

    Examples
    --------
    >>> from pyrec_core.kernels.ranking import measure
    >>> measure([1.0, 3.0, float("inf")], [0, 3, 3], ["recall", "mrr"], [10, 10]).round(4)
    array([[0.6667,    nan],
           [1.    ,    nan]])
    """
    ranks = np.ascontiguousarray(ranks, np.float64)
    indptr = np.ascontiguousarray(indptr, np.int64)
    if ranks.ndim != 1 or indptr.ndim != 1:
        raise ValueError(f"ranks and indptr must be 1-D, got shapes {ranks.shape} and {indptr.shape}")
    if not len(indptr):
        raise ValueError("indptr must have at least one element, got none")
    if ranks.size and not ranks.min() >= 1:  # a minimum that is NaN is not either
        raise ValueError(f"ranks must be >= 1, got {ranks.min()}")
    codes = np.array([METRICS.index(check_choice("names", name, METRICS)) for name in names], np.int32)
    if len(depths) != len(codes):
        raise ValueError(f"depths must be as many as names ({len(codes)}), got {len(depths)}")
    deep = np.array([check_int("depths", depth, low=1) for depth in depths], np.int64)
    n = len(indptr) - 1
    if n_rankable is not None:
        n_rankable = np.array(np.broadcast_to(check_integers("n_rankable", n_rankable), (n,)), np.float64)
    elif {"auc", "auc_at"} & set(names):
        raise ValueError("n_rankable must be given for auc and auc_at, got None")
    out = np.empty((len(codes), n))
    cpu().measure(
        check_threads(n_threads), out, ranks, indptr, codes, deep, _gains(gains, gain, ranks.shape), n_rankable
    )
    return out


def _gains(gains: Array | None, gain: str, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    check_choice("gain", gain, ("exponential", "linear"))
    if gains is None:
        return None
    grades = np.ascontiguousarray(gains, np.float64)
    if grades.shape != shape:
        raise ValueError(f"gains must have shape {shape} like ranks, got {grades.shape}")
    if grades.size and not (grades.min() >= 0 and grades.max() < np.inf):
        raise ValueError(f"gains must be finite and >= 0, got {grades.min()} to {grades.max()}")
    return np.exp2(grades) - 1 if gain == "exponential" else grades
