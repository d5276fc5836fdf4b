"""What the tests of splits share: small data with everything that may go wrong in it, and what any part must be."""

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

SEED = st.integers(0, 2**32 - 1)


def random_matrix(seed, n_users=30, n_items=20, density=0.3):
    rng = np.random.default_rng(seed)
    share = rng.random((n_users, 1)) * 2 * density  # users with none and with many items
    return np.where(rng.random((n_users, n_items)) < share, rng.integers(1, 6, (n_users, n_items)), 0)


def assert_parts_are(data, *parts):
    """The parts are disjoint, and together they are the data with its values."""
    dense = [part.toarray() for part in parts]
    assert (sum((part != 0).astype(int) for part in dense) <= 1).all()
    np.testing.assert_array_equal(sum(dense), data)


def assert_valid(X):
    assert isinstance(X, sp.csr_array)
    assert X.dtype == np.float32
    X.check_format(full_check=True)
    assert all((np.diff(X.indices[a:b]) > 0).all() for a, b in zip(X.indptr[:-1], X.indptr[1:], strict=True))


def rows(sessions):
    """The items of each session as a list."""
    where = zip(sessions.offsets[:-1], sessions.offsets[1:], strict=True)
    return [sessions.items[a:b].tolist() for a, b in where]


def same(a, b):
    return a.shape == b.shape and (a != b).nnz == 0


def timed(seed):
    """A matrix, the times of its entries (0 is one of them, and there are ties) dense, and sparse."""
    data = random_matrix(seed)
    time = np.random.default_rng(seed + 1).integers(0, 4, data.shape)
    user, item = np.nonzero(data)
    return data, time, sp.coo_array((time[user, item], (user, item)), shape=data.shape)
