"""Feature interactions. Shapes: B batch, F fields, D embedding size."""

from .._backend import Array, backend_of
from .._validation import check_float_array, check_like

__all__ = ["bi_interaction_backward", "bi_interaction_forward", "fm_backward", "fm_forward"]


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
