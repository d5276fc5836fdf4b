"""Feature interactions. Shapes: B batch, F fields, D embedding size."""

from .._backend import Array, backend_of
from .._validation import check_float_array, check_like

__all__ = [
    "attention_pooling_backward",
    "attention_pooling_forward",
    "bi_interaction_backward",
    "bi_interaction_forward",
    "fm_backward",
    "fm_forward",
    "inner_products_backward",
    "inner_products_forward",
]

_RUNS = 128  # of examples, at most: the gradients of weights are first summed over each
_RUN = 16  # examples of a run, at least


def bi_interaction_forward(emb: Array, *, n_threads: int | None = None) -> Array:
    """Sum of the element-wise products of all pairs of fields (He & Chua 2017, arXiv:1708.05027, eq. 3).

    Parameters
    ----------
    emb : float32 or float64 array (B, F, D), NumPy or CuPy
        Embeddings of the fields of each example.
    n_threads : int, optional
        Threads to use on the CPU; default: all that the process may use.

    Returns
    -------
    array (B, D) of the same kind and dtype

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.interaction import bi_interaction_forward
    >>> bi_interaction_forward(np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]))
    array([[23., 44.]])
    """
    emb = check_float_array("emb", emb, ndim=3)
    xp, native, ex = backend_of(emb, n_threads=n_threads)
    out = xp.empty((emb.shape[0], emb.shape[2]), emb.dtype)
    native.bi_interaction_forward(ex, out, emb)
    return out


def bi_interaction_backward(d_out: Array, emb: Array, *, n_threads: int | None = None) -> Array:
    """Gradient of `bi_interaction_forward`.

    Parameters
    ----------
    d_out : array (B, D)
        Gradient with respect to the output; dtype and device of ``emb``.
    emb : float32 or float64 array (B, F, D)
        The input of the forward pass.
    n_threads : int, optional
        Threads to use on the CPU; default: all that the process may use.

    Returns
    -------
    array (B, F, D)
        ``d_emb[b, f] = d_out[b] * (sum_j emb[b, j] - emb[b, f])``.
    """
    emb = check_float_array("emb", emb, ndim=3)
    d_out = check_like("d_out", d_out, (emb.shape[0], emb.shape[2]), emb.dtype)
    xp, native, ex = backend_of(d_out, emb, n_threads=n_threads)
    d_emb = xp.empty_like(emb)
    native.bi_interaction_backward(ex, d_emb, d_out, emb)
    return d_emb


def fm_forward(emb: Array, *, n_threads: int | None = None) -> Array:
    """Sum of the inner products of all pairs of fields: the pairs of a factorization machine (Rendle 2010).

    The sum over D of `bi_interaction_forward`, as one pass.

    Parameters
    ----------
    emb : float32 or float64 array (B, F, D), NumPy or CuPy
        Embeddings of the fields of each example, each multiplied by the field's value.
    n_threads : int, optional
        Threads to use on the CPU; default: all that the process may use.

    Returns
    -------
    array (B,) of the same kind and dtype

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.interaction import fm_forward
    >>> fm_forward(np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]))
    array([67.])
    """
    emb = check_float_array("emb", emb, ndim=3)
    xp, native, ex = backend_of(emb, n_threads=n_threads)
    out = xp.empty(emb.shape[0], emb.dtype)
    native.fm_forward(ex, out, emb)
    return out


def fm_backward(d_out: Array, emb: Array, *, n_threads: int | None = None) -> Array:
    """Gradient of `fm_forward`.

    Parameters
    ----------
    d_out : array (B,)
        Gradient with respect to the output; dtype and device of ``emb``.
    emb : float32 or float64 array (B, F, D)
        The input of the forward pass.
    n_threads : int, optional
        Threads to use on the CPU; default: all that the process may use.

    Returns
    -------
    array (B, F, D)
        ``d_emb[b, f] = d_out[b] * (sum_j emb[b, j] - emb[b, f])``.
    """
    emb = check_float_array("emb", emb, ndim=3)
    d_out = check_like("d_out", d_out, emb.shape[:1], emb.dtype)
    xp, native, ex = backend_of(d_out, emb, n_threads=n_threads)
    d_emb = xp.empty_like(emb)
    native.fm_backward(ex, d_emb, d_out, emb)
    return d_emb


def inner_products_forward(emb: Array, *, n_threads: int | None = None) -> Array:
    """Inner products of all pairs of fields (Qu et al. 2016, arXiv:1611.00144, eq. 9).

    Parameters
    ----------
    emb : float32 or float64 array (B, F, D), NumPy or CuPy
        Embeddings of the fields of each example.
    n_threads : int, optional
        Threads to use on the CPU; default: all that the process may use.

    Returns
    -------
    array (B, F (F - 1) / 2) of the same kind and dtype
        Of the fields (0, 1), (0, 2), ..., (1, 2), ...: the order of ``np.triu_indices(F, 1)``.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.interaction import inner_products_forward
    >>> inner_products_forward(np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]))
    array([[11., 17., 39.]])
    """
    emb = check_float_array("emb", emb, ndim=3)
    xp, native, ex = backend_of(emb, n_threads=n_threads)
    out = xp.empty((len(emb), _n_pairs(emb)), emb.dtype)
    native.inner_products_forward(ex, out, emb)
    return out


def inner_products_backward(d_out: Array, emb: Array, *, n_threads: int | None = None) -> Array:
    """Gradient of `inner_products_forward`.

    Parameters
    ----------
    d_out : array (B, F (F - 1) / 2)
        Gradient with respect to the output; dtype and device of ``emb``.
    emb : float32 or float64 array (B, F, D)
        The input of the forward pass.
    n_threads : int, optional
        Threads to use on the CPU; default: all that the process may use.

    Returns
    -------
    array (B, F, D)
        ``d_emb[:, i]`` is the sum over all other fields j of the gradient of pair (i, j) times ``emb[:, j]``.
    """
    emb = check_float_array("emb", emb, ndim=3)
    d_out = check_like("d_out", d_out, (len(emb), _n_pairs(emb)), emb.dtype)
    xp, native, ex = backend_of(d_out, emb, n_threads=n_threads)
    d_emb = xp.empty_like(emb)
    native.inner_products_backward(ex, d_emb, d_out, emb)
    return d_emb


def attention_pooling_forward(
    emb: Array, w: Array, b: Array, h: Array, *, n_threads: int | None = None
) -> tuple[Array, Array]:
    """Products of all pairs of fields, averaged with weights that a network gives to each pair.

    Xiao et al. 2017, arXiv:1708.04617, eq. 4 and 5. With ``p[t] = emb[:, i] * emb[:, j]`` and the scores
    ``s[t] = h . relu(w p[t] + b)``, the weights of an example are the softmax of its scores.

    Parameters
    ----------
    emb : float32 or float64 array (B, F, D), NumPy or CuPy
        Embeddings of the fields of each example.
    w : array (A, D)
        Weights of the A hidden units of the network; dtype and device of ``emb``, like all that follow.
    b : array (A,)
        Their biases.
    h : array (A,)
        Weights of the units in the score.
    n_threads : int, optional
        Threads to use on the CPU; default: all that the process may use.

    Returns
    -------
    pooled : array (B, D)
        ``sum_t exp(s[t] - log_sum) p[t]``; 0 where there is no pair.
    log_sum : array (B,)
        ``log sum_t exp(s[t])``, which the way back needs; -inf where there is no pair.

    Raises
    ------
    ValueError
        On CUDA, where the D products and A units of a pair do not fit 48 KB.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.interaction import attention_pooling_forward
    >>> emb = np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])  # products (3, 8), (5, 12), (15, 24)
    >>> pooled, log_sum = attention_pooling_forward(emb, np.eye(2), np.zeros(2), np.zeros(2))  # all weights 1 / 3
    >>> pooled, log_sum
    (array([[ 7.66666667, 14.66666667]]), array([1.09861229]))
    """
    emb, w, b, h = _check_attention(emb, w, b, h)
    xp, native, ex = backend_of(emb, w, b, h, n_threads=n_threads)
    pooled, log_sum = xp.empty((len(emb), emb.shape[2]), emb.dtype), xp.empty(len(emb), emb.dtype)
    native.attention_pooling_forward(ex, pooled, log_sum, emb, w, b, h)
    return pooled, log_sum


def attention_pooling_backward(
    d_pooled: Array,
    pooled: Array,
    log_sum: Array,
    emb: Array,
    w: Array,
    b: Array,
    h: Array,
    *,
    n_threads: int | None = None,
) -> tuple[Array, Array, Array, Array]:
    """Gradients of `attention_pooling_forward`.

    Products, hidden units and weights are made again, a few pairs at a time: kept, they would be many times as large
    as all else.

    Parameters
    ----------
    d_pooled : array (B, D)
        Gradient with respect to ``pooled``; dtype and device of ``emb``, like all that follow.
    pooled : array (B, D)
    log_sum : array (B,)
        What the forward pass gave.
    emb : float32 or float64 array (B, F, D)
    w : array (A, D)
    b, h : array (A,)
        The inputs of the forward pass.
    n_threads : int, optional
        Threads to use on the CPU; default: all that the process may use.

    Returns
    -------
    d_emb : array (B, F, D)
    d_w : array (A, D)
    d_b, d_h : array (A,)
    """
    emb, w, b, h = _check_attention(emb, w, b, h)
    (B, _, D), A = emb.shape, len(w)
    d_pooled = check_like("d_pooled", d_pooled, (B, D), emb.dtype)
    pooled = check_like("pooled", pooled, (B, D), emb.dtype)
    log_sum = check_like("log_sum", log_sum, (B,), emb.dtype)
    xp, native, ex = backend_of(d_pooled, pooled, log_sum, emb, w, b, h, n_threads=n_threads)
    gradients = xp.empty_like(emb), xp.empty_like(w), xp.empty_like(b), xp.empty_like(h)
    sums = xp.empty((max(1, min(_RUNS, -(-B // _RUN))), A, D + 2), "float64")
    native.attention_pooling_backward(ex, *gradients, sums, d_pooled, pooled, log_sum, emb, w, b, h)
    return gradients


def _n_pairs(emb: Array) -> int:
    n_fields: int = emb.shape[1]
    return n_fields * (n_fields - 1) // 2


def _check_attention(emb: Array, w: Array, b: Array, h: Array) -> tuple[Array, Array, Array, Array]:
    emb, w = check_float_array("emb", emb, ndim=3), check_float_array("w", w, ndim=2)
    w = check_like("w", w, (len(w), emb.shape[2]), emb.dtype)
    return emb, w, check_like("b", b, (len(w),), emb.dtype), check_like("h", h, (len(w),), emb.dtype)
