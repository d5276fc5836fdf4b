"""Losses of sampled scores: row b's positive is column b, all other columns are its negatives."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._backend import Array, backend_of
from .._validation import check_choice, check_float, check_integers, check_like, contiguous, looked_at
from ._arguments import result_of

LOSSES = ("cross-entropy", "bpr", "top1", "top1-max", "bpr-max")

LossAndGradient = tuple[float, NDArray[Any]]


class Options(NamedTuple):
    """What the native code is told of a loss, in its order."""

    loss: str
    divisor: float
    log_q: NDArray[Any] | None = None
    label_smoothing: float = 0.0
    sum: bool = False
    reg: float = 0.0
    plain: bool = False
    elu: float = 0.0


def options(
    loss: str,
    n_rows: int,
    n_columns: int,
    dtype: np.dtype[Any],
    *,
    divisor: float | None,
    log_q: Array | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    reg: float = 0.0,
    reg_form: str = "weighted",
    elu: float = 0.0,
) -> Options:
    """Check the parameters of a loss of (n_rows, n_columns) scores."""
    if n_columns < n_rows:
        raise ValueError(f"scores must have a column for each of {n_rows} rows, got {n_columns} columns")
    label_smoothing = check_float("label_smoothing", label_smoothing, low=0.0, high=1.0)
    if n_rows and n_columns < 2 and (loss != "cross-entropy" or label_smoothing > 0.0):
        raise ValueError(f"scores must have at least 2 columns, for there are no negatives, got {n_columns}")
    if divisor is not None:
        divisor = check_float("divisor", divisor, low=0.0, low_open=True)
    if log_q is not None:
        log_q = check_like("log_q", log_q, (n_columns,), dtype)
        if looked_at(log_q) and not np.isfinite(log_q).all():
            raise ValueError("log_q must be finite, got NaN or infinity")
    return Options(
        loss,
        divisor or max(n_rows, 1),
        log_q,
        label_smoothing,
        check_choice("reduction", reduction, ("mean", "sum")) == "sum",
        check_float("reg", reg, low=0.0),
        check_choice("reg_form", reg_form, ("weighted", "plain")) == "plain",
        check_float("elu", elu, low=0.0),
    )


def total(losses: Array) -> float:
    """The loss, of what a kernel left of it: read back once from a device."""
    return float(losses.sum())


def _of_scores(
    loss: str, scores: Array, item_ids: Array | None, overwrite: bool, n_threads: int | None, **parameters: Any
) -> LossAndGradient:
    d_scores, scores = result_of("scores", scores, overwrite, ndim=2)
    n_rows, n_columns = scores.shape
    chosen = options(loss, n_rows, n_columns, scores.dtype, **parameters)
    if item_ids is not None:
        item_ids = _same_items(item_ids, n_columns)
    xp, native, ex = backend_of(scores, item_ids, chosen.log_q, n_threads=n_threads)
    losses = xp.empty(n_rows, np.float64)
    native.sampled_loss(ex, losses, d_scores, scores, item_ids, chosen)
    return total(losses), d_scores


def _same_items(item_ids: Array, n_columns: int) -> Array:
    ids = check_integers("item_ids", item_ids)
    if ids.shape != (n_columns,):
        raise ValueError(f"item_ids must have shape ({n_columns},), one for each column, got {ids.shape}")
    if looked_at(ids) and (ids.min() < 0 or ids.max() > np.iinfo(np.int32).max):
        raise ValueError(f"item_ids must be in 0..2**31 - 1, got {ids.min()} to {ids.max()}")
    return contiguous(ids, np.int32)


def softmax_cross_entropy(
    scores: Array,
    *,
    divisor: float | None = None,
    log_q: Array | None = None,
    label_smoothing: float = 0.0,
    item_ids: Array | None = None,
    overwrite: bool = False,
    n_threads: int | None = None,
) -> LossAndGradient:
    """Cross-entropy of the softmax over a row's sampled scores: ``-sum_b log softmax(scores[b] - log_q)[b] / divisor``.

    Parameters
    ----------
    scores : float32 or float64 array (M, N), NumPy or CuPy
        M <= N; the score of row b's positive stands in column b.
    divisor : float, optional
        Default M. A constant batch size keeps steps comparable when the last batch has fewer rows.
    log_q : array (N,) of the dtype of ``scores``, optional
        Logarithms of how likely each column is to be drawn, subtracted as they are (positives included): the
        correction of sampled softmax. Factors common to all columns do not matter.
    label_smoothing : float in [0, 1]
        The share of the target's weight that the negatives get, evenly.
    item_ids : int array (N,), optional
        The item of each column. Columns of the positive's own item are then left out of its negatives.
    overwrite : bool
        Write the gradient over ``scores``, which must be a C-contiguous, writeable array.
    n_threads : int, optional

    Returns
    -------
    loss : float
    d_scores : array (M, N)

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.losses import softmax_cross_entropy
    >>> loss, d_scores = softmax_cross_entropy(np.zeros((1, 4)))
    >>> round(loss, 6), d_scores
    (1.386294, array([[-0.75,  0.25,  0.25,  0.25]]))
    """
    return _of_scores(
        "cross-entropy", scores, item_ids, overwrite, n_threads,
        divisor=divisor, log_q=log_q, label_smoothing=label_smoothing,
    )  # fmt: skip


def bpr(
    scores: Array,
    *,
    divisor: float | None = None,
    reduction: str = "mean",
    elu: float = 0.0,
    item_ids: Array | None = None,
    overwrite: bool = False,
    n_threads: int | None = None,
) -> LossAndGradient:
    """BPR averaged over the negatives: ``sum_b mean_j softplus(scores[b, j] - scores[b, b]) / divisor``, j != b.

    Rendle et al. 2009, in the sampled form of Hidasi et al. 2016 (arXiv:1511.06939).

    Parameters
    ----------
    scores : float32 or float64 array (M, N)
        M <= N, 2 <= N; the score of row b's positive stands in column b.
    divisor : float, optional
        Default M.
    reduction : "mean" or "sum"
        Over the N - 1 negatives of a row; columns left out by ``item_ids`` count in the mean, as zeros.
    elu : float
        Pass the scores through ELU with this parameter first; 0 leaves them as they are.
    item_ids, overwrite, n_threads
        As in `softmax_cross_entropy`.

    Returns
    -------
    loss : float
    d_scores : array (M, N)
    """
    return _of_scores("bpr", scores, item_ids, overwrite, n_threads, divisor=divisor, reduction=reduction, elu=elu)


def top1(
    scores: Array,
    *,
    divisor: float | None = None,
    reduction: str = "mean",
    elu: float = 0.0,
    item_ids: Array | None = None,
    overwrite: bool = False,
    n_threads: int | None = None,
) -> LossAndGradient:
    """TOP1: ``sum_b mean_j (sigmoid(scores[b, j] - scores[b, b]) + sigmoid(scores[b, j]**2)) / divisor``, j != b.

    Hidasi et al. 2016 (arXiv:1511.06939). Parameters and results are those of `bpr`.
    """
    return _of_scores("top1", scores, item_ids, overwrite, n_threads, divisor=divisor, reduction=reduction, elu=elu)


def top1_max(
    scores: Array,
    *,
    divisor: float | None = None,
    elu: float = 0.0,
    item_ids: Array | None = None,
    overwrite: bool = False,
    n_threads: int | None = None,
) -> LossAndGradient:
    """TOP1 with softmax weights: the terms of `top1` times ``softmax(scores[b, negatives])[j]``, summed.

    Hidasi & Karatzoglou 2018 (arXiv:1706.03847), eq. 7. The weights are differentiated through. Parameters and results
    are those of `bpr`, without ``reduction``.
    """
    return _of_scores("top1-max", scores, item_ids, overwrite, n_threads, divisor=divisor, elu=elu)


def bpr_max(
    scores: Array,
    *,
    divisor: float | None = None,
    reg: float = 0.0,
    reg_form: str = "weighted",
    elu: float = 0.0,
    item_ids: Array | None = None,
    overwrite: bool = False,
    n_threads: int | None = None,
) -> LossAndGradient:
    """BPR-max: ``sum_b (-log sum_j s_j sigmoid(r_b - r_j) + reg sum_j s_j r_j**2) / divisor`` with ``r = scores[b]``.

    ``s`` is the softmax over the negatives' scores, and is differentiated through. Hidasi & Karatzoglou 2018
    (arXiv:1706.03847), eq. 10. Computed in logarithms where it would underflow: no score is too far from another.

    Parameters
    ----------
    scores : float32 or float64 array (M, N)
        M <= N, 2 <= N; the score of row b's positive stands in column b.
    divisor : float, optional
        Default M.
    reg : float
        Of the negatives' scores, >= 0.
    reg_form : "weighted" or "plain"
        "plain" regularises with ``reg sum_j scores[b, j]**2``, as some descriptions of the loss have it.
    elu : float
        Pass the scores through ELU with this parameter first; 0 leaves them as they are.
    item_ids, overwrite, n_threads
        As in `softmax_cross_entropy`.

    Returns
    -------
    loss : float
    d_scores : array (M, N)
    """
    return _of_scores(
        "bpr-max", scores, item_ids, overwrite, n_threads, divisor=divisor, reg=reg, reg_form=reg_form, elu=elu
    )
