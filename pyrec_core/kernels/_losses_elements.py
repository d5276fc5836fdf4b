"""Losses of single elements, of pairs of scores, and of rows that are distributions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._backend import Array, backend_of
from .._validation import check_float, check_float_array, check_int, check_interactions, check_like, looked_at
from ._arguments import result_of
from ._losses_sampled import LossAndGradient, total

PairGradients = tuple[float, NDArray[Any], NDArray[Any]]


def _divisor(divisor: float | None, default: float) -> float:
    return default if divisor is None else check_float("divisor", divisor, low=0.0, low_open=True)


def _weighted(weight: Array | None, divisor: float | None, like: Array) -> tuple[Array | None, float]:
    """The weights of the elements, and what the loss is divided by: without a ``divisor`` their sum."""
    if weight is None:
        return None, _divisor(divisor, like.size)
    weight = check_like("weight", weight, like.shape, like.dtype)
    if looked_at(weight) and not weight.min() >= 0.0:  # NaN is not either
        raise ValueError(f"weight must be >= 0 everywhere, got {weight.min()}")
    return weight.reshape(-1), float(weight.sum()) if divisor is None else _divisor(divisor, 0.0)


def _parts(xp: Any, native: Any, n: int) -> Array:
    """Room for the parts of the loss of n elements."""
    return xp.empty(-(-n // native.loss_part), np.float64)


def _of_elements(
    loss: str, name: str, y: Array, targets: Array, weight: Array | None, divisor: float | None, overwrite: bool,
    n_threads: int | None, *, delta: float = 0.0,
) -> LossAndGradient:  # fmt: skip
    d_y, y = result_of(name, y, overwrite, ndim=None)
    targets = check_like("targets", targets, y.shape, y.dtype)
    if loss == "logistic" and looked_at(targets) and not (targets.min() >= 0.0 and targets.max() <= 1.0):
        raise ValueError(f"targets must be in [0, 1], got {targets.min()} to {targets.max()}")
    weight, divisor = _weighted(weight, divisor, y)
    xp, native, ex = backend_of(y, targets, weight, n_threads=n_threads)
    losses = _parts(xp, native, y.size)
    native.pointwise_loss(ex, losses, d_y.reshape(-1), y.reshape(-1), targets.reshape(-1), weight, loss, delta, divisor)
    return total(losses), d_y


def _of_pairs(
    loss: str, pos: Array, neg: Array, weight: Array | None, divisor: float | None, n_threads: int | None,
    *, margin: float = 0.0,
) -> PairGradients:  # fmt: skip
    pos = check_float_array("pos", pos, ndim=None)
    neg = check_like("neg", neg, pos.shape, pos.dtype)
    weight, divisor = _weighted(weight, divisor, pos)
    xp, native, ex = backend_of(pos, neg, weight, n_threads=n_threads)
    losses, d_pos, d_neg = _parts(xp, native, pos.size), xp.empty_like(pos), xp.empty_like(neg)
    native.pairwise_loss(
        ex, losses, d_pos.reshape(-1), d_neg.reshape(-1), pos.reshape(-1), neg.reshape(-1), weight, loss, margin,
        divisor,
    )  # fmt: skip
    return total(losses), d_pos, d_neg


def squared_error(
    predictions: Array,
    targets: Array,
    weight: Array | None = None,
    *,
    divisor: float | None = None,
    overwrite: bool = False,
    n_threads: int | None = None,
) -> LossAndGradient:
    """Squared error ``sum weight (predictions - targets)**2 / divisor``; with a mask as ``weight`` the masked MSE.

    Parameters
    ----------
    predictions : float32 or float64 array of any shape, NumPy or CuPy
    targets : array of the same shape and dtype
    weight : array of the same shape and dtype, optional
        >= 0; 0 leaves an element out.
    divisor : float, optional
        Default: the sum of the weights, which makes a mean. Where that is 0, loss and gradient are 0.
    overwrite : bool
        Write the gradient over ``predictions``, which must be a C-contiguous, writeable array.
    n_threads : int, optional

    Returns
    -------
    loss : float
    d_predictions : array like ``predictions``

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.losses import squared_error
    >>> squared_error(np.array([3.0, 5.0]), np.array([1.0, 0.0]), weight=np.array([1.0, 0.0]))
    (4.0, array([4., 0.]))
    """
    return _of_elements("squared", "predictions", predictions, targets, weight, divisor, overwrite, n_threads)


def binary_cross_entropy(
    logits: Array,
    targets: Array,
    weight: Array | None = None,
    *,
    divisor: float | None = None,
    overwrite: bool = False,
    n_threads: int | None = None,
) -> LossAndGradient:
    """Logistic loss ``-sum weight (targets log p + (1 - targets) log(1 - p)) / divisor`` with ``p = sigmoid(logits)``.

    Parameters
    ----------
    logits : float32 or float64 array of any shape
    targets : array of the same shape and dtype
        In [0, 1].
    weight, divisor, overwrite, n_threads
        As in `squared_error`.

    Returns
    -------
    loss : float
    d_logits : array like ``logits``
    """
    return _of_elements("logistic", "logits", logits, targets, weight, divisor, overwrite, n_threads)


def huber(
    predictions: Array,
    targets: Array,
    weight: Array | None = None,
    *,
    delta: float = 1.0,
    divisor: float | None = None,
    overwrite: bool = False,
    n_threads: int | None = None,
) -> LossAndGradient:
    """Huber loss: ``e**2 / 2`` where ``|e| <= delta``, else ``delta (|e| - delta / 2)``; ``e = predictions - targets``.

    Parameters
    ----------
    predictions, targets, weight, divisor, overwrite, n_threads
        As in `squared_error`.
    delta : float
        > 0.

    Returns
    -------
    loss : float
    d_predictions : array like ``predictions``
    """
    delta = check_float("delta", delta, low=0.0, low_open=True)
    return _of_elements(
        "huber", "predictions", predictions, targets, weight, divisor, overwrite, n_threads, delta=delta
    )


def bpr_pairs(
    pos: Array,
    neg: Array,
    weight: Array | None = None,
    *,
    divisor: float | None = None,
    n_threads: int | None = None,
) -> PairGradients:
    """BPR of pairs of scores: ``sum weight softplus(neg - pos) / divisor``. Rendle et al. 2009 (arXiv:1205.2618).

    Parameters
    ----------
    pos, neg : float32 or float64 arrays of one shape
    weight : array of the same shape, optional
        >= 0.
    divisor : float, optional
        Default: the sum of the weights, which makes a mean.
    n_threads : int, optional

    Returns
    -------
    loss : float
    d_pos, d_neg : arrays like ``pos``
    """
    return _of_pairs("bpr", pos, neg, weight, divisor, n_threads)


def hinge_pairs(
    pos: Array,
    neg: Array,
    weight: Array | None = None,
    *,
    margin: float = 1.0,
    divisor: float | None = None,
    n_threads: int | None = None,
) -> PairGradients:
    """Hinge loss of pairs of scores: ``sum weight max(0, margin - pos + neg) / divisor``.

    Parameters and results are those of `bpr_pairs`, and ``margin`` >= 0. With `warp_weights` it is the loss of WARP.
    """
    return _of_pairs("hinge", pos, neg, weight, divisor, n_threads, margin=check_float("margin", margin, low=0.0))


def warp_weights(
    pos: Array, neg: Array, n_items: int, *, margin: float = 1.0, n_threads: int | None = None
) -> NDArray[Any]:
    """Rank weights of WARP, ``log(1 + floor(n_items V / U))`` for V of U sampled negatives within the margin.

    Weston et al. 2011. The weight is a constant for the gradient.

    Parameters
    ----------
    pos : float32 or float64 array (n,)
    neg : array (n, U) of the same dtype
        Scores of the negatives sampled for each positive, U >= 1.
    n_items : int
        Size of the catalogue, >= 1.
    margin : float
        >= 0; a negative counts where ``margin - pos + neg > 0``.
    n_threads : int, optional

    Returns
    -------
    array (n,)
    """
    pos, neg = check_float_array("pos", pos, ndim=1), check_float_array("neg", neg, ndim=2)
    if neg.dtype != pos.dtype:
        raise TypeError(f"neg must be {pos.dtype} like pos, got {neg.dtype}")
    if len(neg) != len(pos) or neg.shape[1] < 1:
        raise ValueError(f"neg must have shape ({len(pos)}, U) with U >= 1, got {neg.shape}")
    n_items, margin = check_int("n_items", n_items, low=1, high=2**62), check_float("margin", margin, low=0.0)
    xp, native, ex = backend_of(pos, neg, n_threads=n_threads)
    weight: NDArray[Any] = xp.empty_like(pos)
    native.warp_weights(ex, weight, pos, neg, n_items, margin)
    return weight


def multinomial(
    logits: Array,
    targets: Any,
    *,
    divisor: float | None = None,
    overwrite: bool = False,
    n_threads: int | None = None,
) -> LossAndGradient:
    """Multinomial likelihood ``-sum_u sum_i targets[u, i] log softmax(logits[u])[i] / divisor``.

    Liang et al. 2018 (arXiv:1802.05814), eq. 2. A row without entries contributes nothing.

    Parameters
    ----------
    logits : float32 or float64 array (B, I)
    targets : sparse matrix or 2-D array (B, I)
        Counts or ratings, >= 0; converted to the dtype of ``logits``, and copied to its device.
    divisor : float, optional
        Default B.
    overwrite : bool
        Write the gradient over ``logits``, which must be a C-contiguous, writeable array.
    n_threads : int, optional

    Returns
    -------
    loss : float
    d_logits : array (B, I)
    """
    d_logits, logits = result_of("logits", logits, overwrite, ndim=2)
    n_rows, n_items = logits.shape
    x = check_interactions(
        "targets", targets, n_users=n_rows, n_items=n_items, allow_negative=False, dtype=logits.dtype
    )
    divisor = _divisor(divisor, max(n_rows, 1))
    xp, native, ex = backend_of(logits, n_threads=n_threads)
    losses, entries = xp.empty(n_rows, np.float64), map(xp.asarray, (x.indptr, x.indices, x.data))
    native.multinomial(ex, losses, d_logits, logits, *entries, divisor)
    return total(losses), d_logits


def softmax_kl(
    logits: Array,
    targets: Array,
    *,
    divisor: float | None = None,
    overwrite: bool = False,
    n_threads: int | None = None,
) -> LossAndGradient:
    """Kullback-Leibler divergence ``sum_b sum_i p log(p / softmax(logits[b])[i]) / divisor``, ``p = targets[b, i]``.

    Parameters
    ----------
    logits : float32 or float64 array (B, I)
    targets : array (B, I) of the same dtype
        >= 0; terms of 0 are 0. Rows need not sum to 1.
    divisor, overwrite, n_threads
        As in `multinomial`.

    Returns
    -------
    loss : float
    d_logits : array (B, I)
    """
    d_logits, logits = result_of("logits", logits, overwrite, ndim=2)
    targets = check_like("targets", targets, logits.shape, logits.dtype)
    if looked_at(targets) and not targets.min() >= 0.0:
        raise ValueError(f"targets must be >= 0 everywhere, got {targets.min()}")
    divisor = _divisor(divisor, max(len(logits), 1))
    xp, native, ex = backend_of(logits, targets, n_threads=n_threads)
    losses = xp.empty(len(logits), np.float64)
    native.softmax_kl(ex, losses, d_logits, logits, targets, divisor)
    return total(losses), d_logits


def gaussian_kl(
    mu: Array, log_var: Array, *, divisor: float | None = None, n_threads: int | None = None
) -> PairGradients:
    """Divergence of ``N(mu, exp(log_var))`` from N(0, 1): ``sum (mu**2 + exp(log_var) - 1 - log_var) / (2 divisor)``.

    To be added to the reconstruction loss, never subtracted.

    Parameters
    ----------
    mu : float32 or float64 array (B, K)
    log_var : array (B, K) of the same dtype
        Logarithms of the variances (not of the standard deviations).
    divisor : float, optional
        Default B.
    n_threads : int, optional

    Returns
    -------
    loss : float
    d_mu, d_log_var : arrays (B, K)
    """
    mu = check_float_array("mu", mu, ndim=2)
    log_var = check_like("log_var", log_var, mu.shape, mu.dtype)
    divisor = _divisor(divisor, max(len(mu), 1))
    xp, native, ex = backend_of(mu, log_var, n_threads=n_threads)
    losses, d_mu, d_log_var = _parts(xp, native, mu.size), xp.empty_like(mu), xp.empty_like(log_var)
    native.gaussian_kl(
        ex, losses, d_mu.reshape(-1), d_log_var.reshape(-1), mu.reshape(-1), log_var.reshape(-1), divisor
    )
    return total(losses), d_mu, d_log_var


def cosine_softmax(
    queries: Array,
    candidates: Array,
    *,
    gamma: float = 10.0,
    divisor: float | None = None,
    n_threads: int | None = None,
) -> PairGradients:
    """Cross-entropy of cosines: ``-sum_b log softmax_c(gamma cos(queries[b], candidates[b, c]))[0] / divisor``.

    The loss of DSSM (Huang et al. 2013): candidate 0 was clicked, the others were sampled for this query.

    Parameters
    ----------
    queries : float32 or float64 array (B, d)
    candidates : array (B, C, d) of the same dtype
        C >= 1. A vector shorter than 1e-12 has cosine 0 and gradient 0.
    gamma : float
        Smoothing factor, > 0.
    divisor : float, optional
        Default B.
    n_threads : int, optional

    Returns
    -------
    loss : float
    d_queries : array (B, d)
    d_candidates : array (B, C, d)
    """
    queries, candidates = check_float_array("queries", queries, ndim=2), check_float_array("candidates", candidates, 3)
    if candidates.dtype != queries.dtype:
        raise TypeError(f"candidates must be {queries.dtype} like queries, got {candidates.dtype}")
    (n_rows, d), (rows, n_candidates, width) = queries.shape, candidates.shape
    if (rows, width) != (n_rows, d) or n_candidates < 1:
        raise ValueError(f"candidates must have shape ({n_rows}, C, {d}) with C >= 1, got {candidates.shape}")
    gamma = check_float("gamma", gamma, low=0.0, low_open=True)
    divisor = _divisor(divisor, max(n_rows, 1))
    xp, native, ex = backend_of(queries, candidates, n_threads=n_threads)
    losses, d_queries, d_candidates = xp.empty(n_rows, np.float64), xp.empty_like(queries), xp.empty_like(candidates)
    native.cosine_softmax(ex, losses, d_queries, d_candidates, queries, candidates, gamma, divisor)
    return total(losses), d_queries, d_candidates
