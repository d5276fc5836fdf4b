"""Synthetic interactions with the skew of real ones, made once and kept in the temporary directory."""

import os
import tempfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp

SEED = 20240607
HEAD = 10.0  # item popularity falls as 1 / (rank + HEAD), user activity is lognormal(0, 1)


def interactions(n_users: int, n_items: int, nnz: int) -> sp.csr_array:
    """Return a binary float32 matrix (n_users, n_items) with exactly ``nnz`` entries, the same in each run."""
    path = Path(tempfile.gettempdir()) / "pyrec_core_bench" / f"zipf_{n_users}x{n_items}_{nnz}_{SEED}.npz"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        own = path.with_name(f"{os.getpid()}_{path.name}")  # another process may be making the same file
        sp.save_npz(own, sp.csr_matrix(_draw(n_users, n_items, nnz)), compressed=False)
        own.replace(path)
    return sp.csr_array(sp.load_npz(path))


def _draw(n_users: int, n_items: int, nnz: int) -> sp.csr_array:
    if nnz > n_users * n_items // 2:
        raise ValueError(f"nnz must be at most half of the matrix, got {nnz}")
    rng = np.random.default_rng(SEED)
    of_user = np.cumsum(rng.lognormal(0.0, 1.0, n_users))
    of_item = np.cumsum(1.0 / (np.arange(n_items) + HEAD))
    found = np.empty(0, np.int64)
    while len(found) < nnz:  # pairs that were drawn before do not count
        n = 2 * (nnz - len(found)) + 1000
        user = np.searchsorted(of_user, rng.random(n) * of_user[-1], side="right")
        item = np.searchsorted(of_item, rng.random(n) * of_item[-1], side="right")
        pairs = np.minimum(user, n_users - 1) * n_items + np.minimum(item, n_items - 1)
        found = np.union1d(found, pairs)
    found = np.sort(rng.choice(found, nnz, replace=False))
    item = rng.permutation(n_items)[found % n_items]  # so that an item's id says nothing about its popularity
    X = sp.csr_array((np.ones(nnz, np.float32), (found // n_items, item)), shape=(n_users, n_items))
    X.sort_indices()
    return X
