"""Compressed interaction network (xDeepFM). Shapes: B batch, m fields, H and O maps, D embedding size."""

from .._backend import Array, backend_of
from .._validation import check_choice, check_float_array, check_int, check_like

__all__ = ["cin_backward", "cin_forward", "cin_pool_backward", "cin_pool_forward"]

ACTIVATIONS = ("identity", "relu")


def cin_forward(x0: Array, xk: Array, w: Array, bias: Array | None = None, *, n_threads: int | None = None) -> Array:
    """One layer: weighted sums of the products of all maps with all fields (Lian et al. 2018, arXiv:1803.05170, eq. 6).

    The products are formed in cache, a part at a time: memory beyond the result is one copy of ``w`` and about a MB a
    thread, whatever B is. On a GPU they are formed in shared memory, and there is no copy.

    Parameters
    ----------
    x0 : float32 or float64 array (B, m, D)
        Embeddings of the fields of each example.
    xk : array (B, H, D)
        Maps of the layer before; ``x0`` itself for the first layer, which takes half as long as with a copy.
    w : array (O, H, m)
        Weight of each product in each map of this layer.
    bias : array (O,), optional
        Added to all elements of a map.
    n_threads : int, optional
        Threads to use on the CPU; default: all that the process may use.

    Returns
    -------
    array (B, O, D)
        ``out[b, o, d] = sum_{h, i} w[o, h, i] * xk[b, h, d] * x0[b, i, d] + bias[o]``, before any activation.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.cin import cin_forward
    >>> x0 = np.array([[[1.0, 2.0], [3.0, 4.0]]])  # one example, two fields
    >>> cin_forward(x0, x0, np.array([[[0.0, 1.0], [0.0, 0.0]]]))  # the product of both
    array([[[3., 8.]]])
    """
    x0, xk, w = _check(x0, xk, w)
    arrays = [x0, xk, w]
    if bias is not None:
        bias = check_like("bias", bias, w.shape[:1], w.dtype)
        arrays.append(bias)
    xp, native, ex = backend_of(*arrays, n_threads=n_threads)
    out = xp.empty((x0.shape[0], w.shape[0], x0.shape[2]), x0.dtype)
    native.cin_forward(ex, out, x0, xk, w, bias)
    return out


def cin_backward(
    d_out: Array, x0: Array, xk: Array, w: Array, *, n_threads: int | None = None
) -> tuple[Array, Array, Array, Array]:
    """Gradients of `cin_forward`.

    In the first layer, where ``xk`` is ``x0``, the gradient of ``x0`` is the sum of the first two results; either alone
    then means nothing, since a pair of fields is worked on once. Memory as in the forward pass, and some 24 MB; on a
    GPU, partial sums of ``d_w`` of up to 32 MB, or 64 MB in float64.

    Parameters
    ----------
    d_out : array (B, O, D)
        Gradient with respect to the output; dtype and device of ``x0``.
    x0 : float32 or float64 array (B, m, D)
        The input of the forward pass, as ``xk`` and ``w`` are.
    xk : array (B, H, D)
        Maps of the layer before.
    w : array (O, H, m)
        Weights.
    n_threads : int, optional
        Threads to use on the CPU; default: all that the process may use.

    Returns
    -------
    d_x0 : array (B, m, D)
        Gradient of ``x0`` as the right factor only.
    d_xk : array (B, H, D)
        Gradient of ``xk``.
    d_w : array (O, H, m)
        Gradient of ``w``.
    d_bias : array (O,)
        Gradient of ``bias``.
    """
    x0, xk, w = _check(x0, xk, w)
    d_out = check_like("d_out", d_out, (x0.shape[0], w.shape[0], x0.shape[2]), x0.dtype)
    xp, native, ex = backend_of(d_out, x0, xk, w, n_threads=n_threads)
    d_x0, d_xk, d_w = xp.empty_like(x0), xp.empty_like(xk), xp.empty_like(w)
    d_bias = xp.empty(w.shape[0], w.dtype)
    native.cin_backward(ex, d_x0, d_xk, d_w, d_bias, d_out, x0, xk, w)
    return d_x0, d_xk, d_w, d_bias


def cin_pool_forward(
    a: Array, n_pooled: int, n_hidden: int, *, activation: str = "identity", n_threads: int | None = None
) -> tuple[Array, Array]:
    """Activate, pool and split what `cin_forward` gives (Lian et al. 2018, arXiv:1803.05170, eq. 7), in one pass.

    With ``n_pooled + n_hidden`` maps every map serves one purpose; with both numbers as large as the layer, each map
    both; after the last layer ``n_hidden`` is 0.

    Parameters
    ----------
    a : float32 or float64 array (B, O, D)
        Maps of a layer before the activation.
    n_pooled : int, 0 to O
        How many maps, from the first on, are summed over D for the output of the network.
    n_hidden : int, 0 to O
        How many maps, up to the last, go to the next layer.
    activation : {"identity", "relu"}, default "identity"
        Applied to each element first.
    n_threads : int, optional
        Threads to use on the CPU; default: all that the process may use.

    Returns
    -------
    pooled : array (B, n_pooled)
        Sums of the first maps.
    hidden : array (B, n_hidden, D)
        The last maps.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.cin import cin_pool_forward
    >>> cin_pool_forward(np.array([[[1.0, 2.0], [-3.0, 4.0]]]), 1, 1, activation="relu")
    (array([[3.]]), array([[[0., 4.]]]))
    """
    a = check_float_array("a", a, ndim=3)
    n_pooled = check_int("n_pooled", n_pooled, low=0, high=a.shape[1])
    n_hidden = check_int("n_hidden", n_hidden, low=0, high=a.shape[1])
    relu = check_choice("activation", activation, ACTIVATIONS) == "relu"
    xp, native, ex = backend_of(a, n_threads=n_threads)
    pooled = xp.empty((a.shape[0], n_pooled), a.dtype)
    hidden = xp.empty((a.shape[0], n_hidden, a.shape[2]), a.dtype)
    native.cin_pool_forward(ex, pooled, hidden, a, relu)
    return pooled, hidden


def cin_pool_backward(
    d_pooled: Array, d_hidden: Array, a: Array, *, activation: str = "identity", n_threads: int | None = None
) -> Array:
    """Gradient of `cin_pool_forward`: the ``d_out`` of `cin_backward`.

    Parameters
    ----------
    d_pooled : array (B, n_pooled)
        Gradient with respect to ``pooled``; dtype and device of ``a``.
    d_hidden : array (B, n_hidden, D)
        Gradient with respect to ``hidden``.
    a : float32 or float64 array (B, O, D)
        The input of the forward pass.
    activation : {"identity", "relu"}, default "identity"
        As in the forward pass.
    n_threads : int, optional
        Threads to use on the CPU; default: all that the process may use.

    Returns
    -------
    array (B, O, D)
    """
    a = check_float_array("a", a, ndim=3)
    B, O, D = a.shape
    d_pooled = check_float_array("d_pooled", d_pooled, ndim=2)
    d_hidden = check_float_array("d_hidden", d_hidden, ndim=3)
    d_pooled = check_like("d_pooled", d_pooled, (B, min(O, d_pooled.shape[1])), a.dtype)
    d_hidden = check_like("d_hidden", d_hidden, (B, min(O, d_hidden.shape[1]), D), a.dtype)
    relu = check_choice("activation", activation, ACTIVATIONS) == "relu"
    xp, native, ex = backend_of(d_pooled, d_hidden, a, n_threads=n_threads)
    d_a = xp.empty_like(a)
    native.cin_pool_backward(ex, d_a, d_pooled, d_hidden, a, relu)
    return d_a


def _check(x0: Array, xk: Array, w: Array) -> tuple[Array, Array, Array]:
    """The inputs of a layer, of one dtype and with sizes that fit; ``w`` says how many maps ``xk`` has."""
    x0 = check_float_array("x0", x0, ndim=3)
    w = check_float_array("w", w, ndim=3)
    w = check_like("w", w, (*w.shape[:2], x0.shape[1]), x0.dtype)
    xk = check_like("xk", xk, (x0.shape[0], w.shape[1], x0.shape[2]), x0.dtype)
    return x0, xk, w
