"""The network of neural collaborative filtering, there and back: the logit of pairs of a user and an item.

He et al. 2017 (arXiv:1708.05031), eq. 8 to 12. B pairs. Each has a row p of a table of users and a row q of a table of
items, of d elements. The first g of both are multiplied, the others are the foot of a tower of L layers::

    z_0 = [p[g:], q[g:]],  z_l = mask_l * max(0, z_{l-1} W_l + b_l),  logit = h . [p[:g] * q[:g], z_L] + c

Pairs pass all layers while these are in the cache. What lies between the layers and is needed on the way back is kept;
rows of the tables are looked up again.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._backend import Array, check_threads, cpu
from .._validation import check_float_array, check_ids, check_like

__all__ = ["NCFGradients", "NCFParameters", "ncf_backward", "ncf_forward"]


class NCFParameters(NamedTuple):
    """The parameters of the network, all of one dtype.

    Attributes
    ----------
    users, items : float32 or float64 arrays (n_users, d) and (n_items, d)
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

    users: NDArray[Any]
    items: NDArray[Any]
    weights: list[NDArray[Any]]
    biases: list[NDArray[Any]]
    head: NDArray[Any]
    offset: NDArray[Any]


def ncf_forward(
    params: NCFParameters,
    users: ArrayLike,
    items: ArrayLike,
    masks: Sequence[Array] = (),
    *,
    n_threads: int | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
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
    n, dtype = len(arrays[2]), arrays[0].dtype
    logits, kept = np.empty(n, dtype), np.empty((n, width), dtype)
    cpu().ncf_forward(check_threads(n_threads), logits, kept, *arrays)
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
    d_users, d_items = np.empty((2, n, d), dtype)
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    flat = np.empty(ends[-1], dtype)
    cpu().ncf_backward(check_threads(n_threads), d_users, d_items, flat, d_logits, kept, *arrays)
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
        check_ids(name, ids, len(table), what).astype(np.int32)
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
