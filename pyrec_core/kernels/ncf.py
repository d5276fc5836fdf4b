"""The network of neural collaborative filtering, there and back: the logit of pairs of a user and an item.

He et al. 2017 (arXiv:1708.05031), eq. 8 to 12. B pairs. Each has a row p of a table of users and a row q of a table of
items, of d elements. The first g of both are multiplied, the others are the foot of a tower of L layers::

    z_0 = [p[g:], q[g:]],  z_l = mask_l * max(0, z_{l-1} W_l + b_l),  logit = h . [p[:g] * q[:g], z_L] + c

On the CPU pairs pass all layers while these are in the cache; on a GPU the products of the tower are cuBLAS's. What
lies between the layers and is needed on the way back is kept; rows of the tables are looked up again.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._backend import Array, backend_of, is_cuda
from .._validation import check_float_array, check_like, check_rows

__all__ = ["NCFGradients", "NCFParameters", "ncf_backward", "ncf_forward"]


class NCFParameters(NamedTuple):
    """The parameters of the network, all of one dtype.

    Attributes
    ----------
    users, items : float32 or float64 arrays (n_users, d) and (n_items, d), NumPy or CuPy
    weights : sequence of arrays (n_in, n_out)
        W of each layer of the tower, the first of 2 (d - g) rows. Empty: no tower, and g = d.
    biases : sequence of arrays (n_out,)
    head : array (g + columns of the last layer,)
        h.
    offset : array (1,)
        c.
    """

    users: Array
    items: Array
    weights: Sequence[Array]
    biases: Sequence[Array]
    head: Array
    offset: Array


class NCFGradients(NamedTuple):
    """The gradients of the parameters; those of the tables are rows, one for each pair.

    Attributes
    ----------
    users, items : arrays (B, d)
    weights, biases : lists of arrays
    head, offset : arrays
    """

    users: Array
    items: Array
    weights: list[Array]
    biases: list[Array]
    head: Array
    offset: Array


def ncf_forward(
    params: NCFParameters,
    users: ArrayLike,
    items: ArrayLike,
    masks: Sequence[Array] = (),
    *,
    n_threads: int | None = None,
) -> tuple[Array, Array]:
    """Return the logits of pairs, and what `ncf_backward` needs.

    Parameters
    ----------
    params : NCFParameters
    users, items : integers (B,)
        Rows of the tables.
    masks : sequence of arrays (B, n_out), optional
        What the output of each layer is multiplied by, as in dropout. Empty: all 1.
    n_threads : int, optional

    Returns
    -------
    logits : array (B,)
    kept : array (B, sum of all n_out)
        z_1 to z_L side by side.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.kernels.ncf import NCFParameters, ncf_forward
    >>> p, q = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]])
    >>> without_tower = NCFParameters(p, q, [], [], np.array([10.0, 1.0]), np.array([0.5]))
    >>> ncf_forward(without_tower, [0, 0], [0, 1])[0]
    array([38.5, 62.5])
    """
    arrays, width, _ = _network(params, users, items, masks)
    xp, native, ex = _backend(arrays, n_threads)
    n, dtype = len(arrays[2]), arrays[0].dtype
    logits, kept = xp.empty(n, dtype), xp.empty((n, width), dtype)
    if is_cuda(logits):
        _forward_on_device(xp, native, ex, arrays, logits, kept)
    else:
        native.ncf_forward(ex, logits, kept, *arrays)
    return logits, kept


def ncf_backward(
    d_logits: Array,
    kept: Array,
    params: NCFParameters,
    users: ArrayLike,
    items: ArrayLike,
    masks: Sequence[Array] = (),
    *,
    n_threads: int | None = None,
) -> NCFGradients:
    """Gradients of `ncf_forward`.

    Parameters
    ----------
    d_logits : array (B,)
    kept : array (B, sum of all n_out)
        What `ncf_forward` returned.
    params, users, items, masks
        As they were.
    n_threads : int, optional

    Returns
    -------
    NCFGradients
    """
    arrays, width, shapes = _network(params, users, items, masks)
    n, d, dtype = len(arrays[2]), arrays[0].shape[1], arrays[0].dtype
    d_logits, kept = check_like("d_logits", d_logits, (n,), dtype), check_like("kept", kept, (n, width), dtype)
    xp, native, ex = _backend(arrays, n_threads, d_logits, kept)
    if is_cuda(kept):
        return _backward_on_device(xp, native, ex, arrays, d_logits, kept)
    d_users, d_items = np.empty((2, n, d), dtype)
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    flat = np.empty(ends[-1], dtype)
    native.ncf_backward(ex, d_users, d_items, flat, d_logits, kept, *arrays)
    *tower, head, offset = (flat[ends[i] : ends[i + 1]].reshape(shape) for i, shape in enumerate(shapes))
    return NCFGradients(d_users, d_items, tower[::2], tower[1::2], head, offset)


def _network(
    params: NCFParameters, users: ArrayLike, items: ArrayLike, masks: Sequence[Array]
) -> tuple[list[Any], int, list[tuple[int, ...]]]:
    """Check a network; return what native functions get, how many columns are kept, and the shapes of parameters."""
    p = check_float_array("params.users", params.users, ndim=2)
    dtype, d = p.dtype, p.shape[1]
    q = check_like("params.items", params.items, (len(params.items), d), dtype)
    user, item = (
        check_rows(name, ids, len(table), what, ndim=1)
        for name, ids, table, what in (("users", users, p, "user"), ("items", items, q, "item"))
    )
    if len(user) != len(item):
        raise ValueError(f"items must be as many as users ({len(user)}), got {len(item)}")
    depth = len(params.weights)
    if len(params.biases) != depth or len(masks) not in (0, depth):
        rule = f"params must have a bias, and masks may have one, for each of {depth} weights"
        raise ValueError(f"{rule}, got {len(params.biases)} biases and {len(masks)} masks")
    foot = width = len(params.weights[0]) if depth else 0
    if foot % 2 or foot > 2 * d:
        raise ValueError(f"params.weights[0] must have an even number of rows, at most {2 * d}, got {foot}")
    weights, biases, factors, shapes = [], [], [], []
    for layer, (w, b) in enumerate(zip(params.weights, params.biases, strict=True)):
        n_in, width = width, np.shape(w)[-1]
        weights.append(check_like(f"params.weights[{layer}]", w, (n_in, width), dtype))
        biases.append(check_like(f"params.biases[{layer}]", b, (width,), dtype))
        factors += [check_like(f"masks[{layer}]", masks[layer], (len(user), width), dtype)] if masks else []
        shapes += [(n_in, width), (width,)]
    shapes += [(d - foot // 2 + width,), (1,)]
    head = check_like("params.head", params.head, shapes[-2], dtype)
    offset = check_like("params.offset", params.offset, (1,), dtype)
    kept = sum(len(b) for b in biases)
    return [p, q, user, item, weights, biases, factors, head, offset], kept, shapes


def _backend(arrays: list[Any], n_threads: int | None, *others: Array) -> tuple[Any, Any, int]:
    """Return what `backend_of` does for the arrays of a network and these."""
    users, items, user, item, weights, biases, masks, head, offset = arrays
    return backend_of(users, items, user, item, *weights, *biases, *masks, head, offset, *others, n_threads=n_threads)


def _rows(arrays: list[Any]) -> tuple[Any, ...]:
    """Return the tables, the ids, and how many columns are multiplied."""
    users, items, user, item, weights = arrays[:5]
    return users, items, user, item, users.shape[1] - (len(weights[0]) // 2 if weights else 0)


def _foot(xp: Any, native: Any, ex: int, rows: tuple[Any, ...]) -> Array:
    """Return z_0, without columns where there is no tower."""
    users, _, user, _, g = rows
    foot = xp.empty((len(user), 2 * (users.shape[1] - g)), users.dtype)
    native.ncf_foot(ex, foot, *rows)
    return foot


def _forward_on_device(xp: Any, native: Any, ex: int, arrays: list[Any], logits: Array, kept: Array) -> None:
    rows, (weights, biases, masks, head, offset) = _rows(arrays), arrays[4:]
    z, column = _foot(xp, native, ex, rows), 0
    for w, bias, mask in zip(weights, biases, masks or [None] * len(weights), strict=True):
        z = xp.matmul(z, w)
        native.ncf_layer_forward(ex, z, kept, bias, mask, column)
        column += len(bias)
    native.ncf_logits(ex, logits, kept, head, offset, *rows)


def _backward_on_device(xp: Any, native: Any, ex: int, arrays: list[Any], d_logits: Array, kept: Array) -> NCFGradients:
    rows, (weights, biases, masks, head, _) = _rows(arrays), arrays[4:]
    foot, g, depth, column = _foot(xp, native, ex, rows), rows[-1], len(weights), kept.shape[1]
    masks = masks or [None] * depth
    slopes, d_z, d_weights = xp.empty_like(kept), foot, []
    if depth:
        d_z = xp.empty((len(kept), len(biases[-1])), kept.dtype)
        column -= d_z.shape[1]
        native.ncf_top_backward(ex, d_z, slopes, d_logits, head[g:], kept, masks[-1], column)
    for layer in reversed(range(depth)):
        z, d_below = foot, xp.matmul(d_z, weights[layer].T)
        if layer:
            z = xp.empty_like(d_below)
            column -= z.shape[1]
            native.ncf_layer_backward(ex, d_below, slopes, z, kept, masks[layer - 1], column)
        d_weights.append(xp.matmul(z.T, d_z))
        d_z = d_below
    d_users, d_items = xp.empty((2, len(kept), rows[0].shape[1]), kept.dtype)
    native.ncf_rows_backward(ex, d_users, d_items, d_logits, d_z, head, *rows)
    sums = xp.empty(kept.shape[1] + len(head) + 1, kept.dtype)
    native.ncf_sums(ex, sums, slopes, d_logits, kept, head, *rows)
    ends = np.cumsum([0, *map(len, biases), len(head), 1]).tolist()
    *d_biases, d_head, d_offset = (sums[first:last] for first, last in pairwise(ends))
    return NCFGradients(d_users, d_items, d_weights[::-1], d_biases, d_head, d_offset)
