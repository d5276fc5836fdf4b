"""MovieLens for tests: in the folder that PYREC_DATA names, else the test is skipped."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from files import real

from pyrec_core.datasets import load_movielens, load_ncf

N_NEGATIVES = 99


def folder_of(name):
    folder = os.environ.get("PYREC_DATA")
    if not folder:
        pytest.skip("the environment variable PYREC_DATA does not name a folder of data sets")
    return real(Path(folder), name)


def splitmix64(x):
    with np.errstate(over="ignore"):
        x = x.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def matrix(user, item, shape):
    return sp.csr_array((np.ones(len(user), np.float32), (user, item)), shape=shape)


@cache
def ml100k_hash_split():
    """Training and test matrix: all ratings positive, test where a hash of the raw ids is 0 or 1 mod 10."""
    data = load_movielens(folder_of("ml-100k"))
    test = splitmix64(65536 * data.user_ids[data.user].astype(np.int64) + data.item_ids[data.item]) % np.uint64(10) < 2
    return tuple(matrix(data.user[part], data.item[part], data.shape) for part in (~test, test))


@cache
def ml100k_leave_one_out():
    """Training matrix, test item (n,) and 99 negatives (n, 99): the last by time, ties the larger id."""
    data = load_movielens(folder_of("ml-100k"))
    order = np.lexsort((data.item, data.time, data.user))
    user, item = data.user[order], data.item[order]
    last = np.append(user[1:] != user[:-1], True)
    everything = data.matrix().toarray() > 0
    negatives = np.array([_hash_negatives(u, seen) for u, seen in enumerate(everything)])
    return matrix(user[~last], item[~last], data.shape), item[last], negatives


def _hash_negatives(user, seen):
    drawn = (splitmix64(1000003 * (user + 1) + np.arange(4000)) % np.uint64(1682)).astype(np.int64)
    drawn = drawn[~seen[drawn]]
    _, first = np.unique(drawn, return_index=True)
    return drawn[np.sort(first)][:N_NEGATIVES]


@cache
def ml1m_leave_one_out():
    """Training matrix, test item (n,) and 99 negatives (n, 99; -1 for none) of each user, as published with NCF."""
    split = load_ncf(folder_of("ml-1m"))
    return split.train, split.test.indices, split.negatives
