"""Gram matrices on devices."""

from unittest.mock import Mock

import numpy as np
import pytest
from devices import check_equals_cpu
from helpers import cases, random_sparse
from hypothesis import settings

from pyrec_core import NotEnoughMemoryError, _memory
from pyrec_core.kernels import _gram_blocks
from pyrec_core.kernels import gram as module
from pyrec_core.kernels.gram import denoising_weights, ease_weights, gram

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def check_gram(devices, X, *args):
    want = gram(X, *args)
    got = []
    for device in devices:
        with device as on:
            got.append(on.get(gram(X, *args, device="cuda")))
            assert got[-1].dtype == want.dtype
            tolerance = 1e-12 if want.dtype == np.float64 else 1e-6
            np.testing.assert_allclose(got[-1], want, rtol=tolerance, atol=tolerance)
            assert (got[-1] == got[-1].T).all()
    assert all((g == got[0]).all() for g in got)


@dtypes
@settings(max_examples=10)
@cases(ndim=2)
def test_gram_equals_cpu(devices, dtype, shape, seed):
    rng = np.random.default_rng(seed)
    X = random_sparse(rng, *shape, dtype=dtype)
    check_gram(devices, X)
    check_gram(devices, X, rng.normal(size=shape[0]))
    check_gram(devices, random_sparse(rng, *shape, dtype=dtype, ones=True))


def test_more_columns_than_a_block_sums(devices):
    rng = np.random.default_rng(0)
    X = random_sparse(rng, 3, 2051, density=0.002)
    check_gram(devices, X[:, np.argsort(rng.random(2051))])


@dtypes
@pytest.mark.parametrize("row_bytes", [1, 1000, 10**9])
def test_rows_are_made_on_a_device_for_a_matrix_on_the_host(devices, monkeypatch, dtype, row_bytes):
    monkeypatch.setattr(module, "_ROW_BYTES", row_bytes)
    rng = np.random.default_rng(2)
    X, weights = random_sparse(rng, 30, 41, dtype=dtype), rng.random(30)
    for device in devices:
        with device as on:
            out = np.empty((41, 41), dtype)
            assert gram(X, weights, out=out, device="cuda") is out
            np.testing.assert_array_equal(out, on.get(gram(X, weights, device="cuda")))
            there = on.put(np.empty((41, 41), dtype))
            gram(X, weights, out=there, device="cuda")
            np.testing.assert_array_equal(out, on.get(there))


def test_where_the_result_goes_is_checked(devices):
    for device in devices:
        with device as on:
            for where in ("cpu", "cuda"):
                with pytest.raises(
                    ValueError, match=r"out must be float32 of shape \(3, 3\), got float32 of shape \(2, 2\)"
                ):
                    gram(np.eye(3, dtype=np.float32), out=np.empty((2, 2), np.float32), device=where)
            with pytest.raises(TypeError, match="out must be a NumPy array where device is 'cpu'"):
                gram(np.eye(3, dtype=np.float32), out=on.put(np.empty((3, 3), np.float32)))
            with pytest.raises(TypeError, match="gram must be a NumPy array where device is 'cpu'"):
                ease_weights(on.put(np.eye(3)), 1.0, device="cpu")


def of_items(n_items, dtype):
    """A Gram matrix, with an item that nobody has."""
    G = gram(random_sparse(np.random.default_rng(1), 60, n_items, dtype=dtype, ones=True))
    G[n_items // 2 : n_items // 2 + 1] = G[:, n_items // 2 : n_items // 2 + 1] = 0
    return G


def spoiled_above(a):
    """The matrix with NaN above the diagonal, which is not to be read."""
    a[np.triu_indices(len(a), 1)] = np.nan
    return a


@dtypes
@pytest.mark.parametrize("n_items", [0, 1, 2, 7, 19])
@pytest.mark.parametrize("columns", [1, 3, 8, 2048])
@pytest.mark.parametrize("overwrite", [False, True])
def test_ease_weights_equal_cpu(devices, block_columns, dtype, n_items, columns, overwrite):
    block_columns(columns)
    G = of_items(n_items, dtype)
    want = ease_weights(G, 5.0)
    # float32: sums in other orders, with the rounding that the condition of the matrix magnifies
    rtol = 1e-4 if dtype == "float32" else None
    check_equals_cpu(devices, ease_weights, spoiled_above(G.copy()), 5.0, overwrite=overwrite, rtol=rtol)
    for device in devices:
        with device:
            a = spoiled_above(G.copy())
            got = ease_weights(a, 5.0, overwrite=overwrite, device="cuda")
            np.testing.assert_allclose(got, want, rtol=rtol or 1e-12, atol=rtol or 1e-12)
            assert (got is a) == overwrite or n_items == 0
            assert not np.signbit(got[n_items // 2 : n_items // 2 + 1]).any()


@dtypes
@pytest.mark.parametrize("columns", [1, 3, 2048])
@pytest.mark.parametrize("n_items", [0, 1, 23])
def test_denoising_weights_equal_cpu(devices, block_columns, dtype, columns, n_items):
    block_columns(columns)
    X = random_sparse(np.random.default_rng(1), 60, n_items, dtype=dtype, ones=True)
    G, sums = gram(X), np.asarray(X.sum(axis=0)).astype(dtype)
    rtol = 1e-4 if dtype == "float32" else None  # as above
    check_equals_cpu(devices, denoising_weights, G, sums, 60.0, 0.3, 2.0, rtol=rtol)
    want = denoising_weights(G, sums, 60.0, 0.3, 2.0)
    for device in devices:
        with device as on:
            for got, expected in zip(denoising_weights(G, sums, 60.0, 0.3, 2.0, device="cuda"), want, strict=True):
                np.testing.assert_allclose(got, expected, rtol=rtol or 1e-12, atol=rtol or 1e-12)
            with pytest.raises(TypeError, match="all be NumPy arrays or all CuPy arrays, got both"):
                denoising_weights(on.put(G), sums, 60.0, 0.3, 2.0)


@pytest.fixture
def block_columns(monkeypatch):
    """Sets how many columns the blocks of a matrix have, wherever it lies."""

    def at_most(columns):
        for where in ("cpu", "cuda"):
            monkeypatch.setitem(_gram_blocks.MOST_COLUMNS, where, columns)

    return at_most


def both(on, a):
    """A matrix on the device, and one on the host."""
    return {"device": None, "gram": on.put(a)}, {"device": "cuda", "gram": a}


@dtypes
@pytest.mark.parametrize("columns", [1, 3, 2048])
def test_matrices_that_are_not_definite_are_refused(devices, block_columns, dtype, columns):
    block_columns(columns)
    rng = np.random.default_rng(3)
    A = rng.integers(0, 2, (50, 12)).astype(dtype)
    A[:, 9] = A[:, 1]  # two items that always occur together
    negative = -np.eye(12, dtype=dtype)
    negative[:9, :9] = np.eye(9)  # what comes last is negative
    for device in devices:
        with device as on:
            for wrong in (np.ones((12, 12), dtype), A.T @ A, negative, np.zeros((12, 12), dtype)):
                for arguments in both(on, wrong):
                    with pytest.raises(ValueError, match=r"l2 must be large enough .* got l2=0\.0"):
                        ease_weights(**arguments, l2=0.0)
            with pytest.raises(ValueError, match="l2 must be large enough"):
                denoising_weights(on.put(negative), on.put(np.ones(12, dtype)), 10.0, 0.0, 0.0)


@dtypes
@pytest.mark.parametrize("columns", [1, 3, 2048])
@pytest.mark.parametrize("at", [(0, 0), (11, 11), (7, 2), (2, 1)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(devices, block_columns, dtype, columns, at, value):
    block_columns(columns)
    wrong = 5 * np.eye(12, dtype=dtype)
    wrong[at] = value
    for device in devices:
        with device as on:
            for arguments in both(on, wrong):
                with pytest.raises(ValueError, match="gram must be finite, got NaN or infinity"):
                    ease_weights(**arguments, l2=1.0)


def test_matrices_that_are_not_square_are_refused(devices):
    for device in devices:
        with device as on:
            for arguments in both(on, np.ones((3, 4))):
                with pytest.raises(ValueError, match="gram must be square"):
                    ease_weights(**arguments, l2=1.0)


@pytest.mark.parametrize("columns", [1, 3, 2048])
def test_the_shares_of_the_work_add_up_and_ctrl_c_is_heard_between_them(devices, block_columns, columns):
    block_columns(columns)
    G = of_items(13, "float64")
    for device in devices:
        with device as on:
            for arguments in both(on, G):
                shares = []
                ease_weights(**arguments, l2=1.0, progress=shares.append)
                blocks = -(-13 // columns)
                assert len(shares) == blocks * (3 * blocks + 1) // 2
                assert min(shares) > 0
                np.testing.assert_allclose(sum(shares), 1.0, rtol=1e-12)
                interrupt = Mock(side_effect=KeyboardInterrupt)
                with pytest.raises(KeyboardInterrupt):
                    ease_weights(**arguments, l2=1.0, progress=interrupt)
                interrupt.assert_called_once_with(shares[0])


def test_blocks_are_as_large_as_the_device_has_room_for(devices, monkeypatch):
    G = of_items(40, "float32")
    want = ease_weights(G, 5.0)
    for device in devices:
        with device, monkeypatch.context() as patched:
            for room, columns in ((44_800, 40), (44_799, 20), (6000, 10), (200, 1)):
                patched.setattr(_memory, "device_memory", lambda room=room: room)
                assert _gram_blocks.blocks_of(G).n == -(-40 // columns)
                assert columns == 1 or _gram_blocks.workspace(40, 4, columns) <= room
                np.testing.assert_allclose(ease_weights(G, 5.0, device="cuda"), want, rtol=1e-4, atol=1e-4)
            patched.setattr(_memory, "device_memory", lambda: 100)
            with pytest.raises(NotEnoughMemoryError, match=r"a column of blocks, float32 \(40, 1\), needs 184"):
                ease_weights(G, 5.0, device="cuda")
