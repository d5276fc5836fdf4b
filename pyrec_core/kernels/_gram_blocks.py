"""Inverses of Gram matrices on a device, block by block in the memory of the matrix.

The matrix lies on the device, or on the host if it is too large for the device, which in both cases works on copies of
blocks: a column of them and a few more at a time. But for the diagonal blocks, all work is dense products, made by the
library of the device.
"""

from importlib import import_module
from typing import Any

import numpy as np

from .. import _memory
from .._backend import Array, backend_on, device_of, to_device
from .linalg import Progress

# Of a block, by where the matrix lies: from the host, a block should take no longer to come than to be multiplied.
MOST_COLUMNS = {"cuda": 2048, "cpu": 8192}
_SINGLE_BLOCKS = 6  # that a device holds at a time, beside a column of them


class Blocks:
    """The lower triangle of a square matrix, cut into blocks: ``n`` in a column, of ``columns`` columns each."""

    def __init__(self, a: Array, columns: int) -> None:
        self.xp: Any = backend_on("cuda")[0]
        self._a = a
        self._spans = [slice(first, min(first + columns, len(a))) for first in range(0, len(a), columns)]
        self.n = len(self._spans)

    def get(self, i: int, j: int) -> Array:
        """Return a copy of block (i, j), on the device."""
        return self.xp.array(self._a[self._spans[i], self._spans[j]], order="C")

    def put(self, i: int, j: int, block: Array) -> None:
        """Write a block that lies on the device."""
        self._a[self._spans[i], self._spans[j]] = to_device(block, device_of(self._a))

    def wait(self) -> None:
        """Return when the device has done what it was given so far: Ctrl-C is heard between blocks, not at the end."""
        self.xp.cuda.get_current_stream().synchronize()


def workspace(n: int, itemsize: int, columns: int | None = None) -> int:
    """Return the bytes that a device needs beside an (n, n) matrix, by default one that lies there."""
    columns = min(n, MOST_COLUMNS["cuda"]) if columns is None else columns
    return (n + _SINGLE_BLOCKS * columns) * columns * itemsize


def blocks_of(a: Array) -> Blocks:
    """Return a matrix in blocks, as large as is good and as the memory of the device allows.

    Raises
    ------
    NotEnoughMemoryError
        Not even columns of single elements fit.
    """
    n, itemsize = len(a), a.dtype.itemsize
    columns = max(1, min(n, MOST_COLUMNS[device_of(a)]))
    while columns > 1 and workspace(n, itemsize, columns) > _memory.device_memory():
        columns = (columns + 1) // 2
    what = f"a column of blocks, {a.dtype} {(n, columns)},"
    advice = "Free memory of the GPU, or work on the CPU."
    _memory.require_memory(workspace(n, itemsize, columns), what, advice, device="cuda")
    return Blocks(a, columns)


def invert_lower_(m: Blocks, l2: float, least: float, report: Progress) -> None:
    """Inverse of a symmetric positive definite matrix plus ``l2`` on its diagonal, in place, in the lower triangle.

    Parameters
    ----------
    m : Blocks
        Only the lower triangle is read. The diagonal blocks of the result hold no meaning above the diagonal.
    l2 : float
    least : float
        A squared pivot that is no larger than this share of what its row began with may be nothing but rounding.
    report : callable
        Called with the share of the work done since the last call; the shares add up to 1.

    Raises
    ------
    numpy.linalg.LinAlgError
        The matrix is not positive definite.
    ValueError
        It has NaN or infinity.
    """
    total = m.n * (m.n + 1) * (m.n + 2) / 2  # products of two blocks, a third of them in each of three passes

    def done(products: float) -> None:
        report(products / total)

    for j in range(m.n):
        _factor_column(m, j, l2, least, done)
    for j in range(m.n):
        _invert_column(m, j, done)


def _factor_column(m: Blocks, j: int, l2: float, least: float, done: Progress) -> None:
    """Column j of the Cholesky factor L from those before it; on the diagonal, the inverse of its block instead."""
    xp = m.xp
    row = [m.get(j, k) for k in range(j)]
    for i in range(j, m.n):
        block = m.get(i, j)
        if i == j:
            block = xp.tril(block)
            own = xp.arange(len(block))
            block[own, own] += block.dtype.type(l2)
            before = block[own, own].astype(np.float64)
        if not xp.isfinite(block).all():  # here the device is waited for
            raise ValueError("gram must be finite, got NaN or infinity")
        for k in range(j):
            block -= xp.matmul(m.get(i, k), row[k].T)
        if i == j:
            inverse = _inverse_factor(xp, block, least * before)
            m.put(j, j, inverse)
        else:
            m.put(i, j, xp.matmul(block, inverse.T))
        done(j + 1)


def _inverse_factor(xp: Any, block: Array, least: Array) -> Array:
    """Inverse of the Cholesky factor of a block, whose squared pivots must exceed ``least``."""
    try:
        with import_module("cupyx").errstate(linalg="raise"):  # otherwise what has no factor gives anything
            factor = xp.linalg.cholesky(block)
    except np.linalg.LinAlgError:
        raise np.linalg.LinAlgError("a leading minor is not positive") from None
    own = xp.arange(len(block))
    if not (factor[own, own].astype(np.float64) ** 2 > least).all():
        raise np.linalg.LinAlgError(f"a pivot vanishes to the precision of {block.dtype}")
    unit = xp.eye(len(block), dtype=block.dtype)
    return import_module("cupyx.scipy.linalg").solve_triangular(factor, unit, lower=True)


def _invert_column(m: Blocks, j: int, done: Progress) -> None:
    """Column j of the inverse, from the diagonal on, over that of L, which the columns behind it do not need."""
    xp = m.xp
    column = {j: m.get(j, j)}
    for i in range(j + 1, m.n):  # L X = identity
        rest = xp.matmul(m.get(i, j), column[j])
        for k in range(j + 1, i):
            rest += xp.matmul(m.get(i, k), column[k])
        column[i] = -xp.matmul(m.get(i, i), rest)
        m.wait()
        done(i - j + 1)
    for i in reversed(range(j, m.n)):  # L^T P = X
        rest = column[i]
        for k in range(i + 1, m.n):
            rest -= xp.matmul(m.get(k, i).T, column[k])
        column[i] = xp.matmul(m.get(i, i).T, rest)
        m.wait()
        done(m.n - i + (i == j))  # X begins with a block that was there
    for i, block in column.items():
        m.put(i, j, block)


def mirror_(m: Blocks) -> None:
    """Make a symmetric matrix of its lower triangle, in place."""
    for j in range(m.n):
        m.put(j, j, _symmetric(m, j))
        for i in range(j + 1, m.n):
            m.put(j, i, m.get(i, j).T)


def ease_from_inverse_(m: Blocks) -> None:
    """From the lower triangle of the inverse P to the weights of EASE, in place."""
    pivots = [m.get(j, j).diagonal().copy() for j in range(m.n)]
    for j in range(m.n):
        own = 0 - _symmetric(m, j) / pivots[j]  # from 0, so that an item without interactions gets +0, not -0
        at = m.xp.arange(len(own))
        own[at, at] = 0
        m.put(j, j, own)
        for i in range(j + 1, m.n):
            below = m.get(i, j)
            m.put(i, j, 0 - below / pivots[j])
            m.put(j, i, 0 - below.T / pivots[i])
        m.wait()


def _symmetric(m: Blocks, j: int) -> Array:
    block = m.get(j, j)
    return m.xp.tril(block) + m.xp.tril(block, -1).T
