import numpy as np
import pytest
import scipy.sparse as sp
from split_data import random_matrix

from pyrec_core import Interactions
from pyrec_core.split import per_user, sample_negatives, strong_generalisation

SPLITS = [
    lambda data: per_user(data, validation_size=0.2),
    lambda data: strong_generalisation(data, n_test=5, n_validation=5),
    lambda data: sample_negatives(per_user(data), 3),
    lambda data: sample_negatives(per_user(data), 3, popularity=0.5),
]


def flat(split):
    inner = split.validation
    return [
        part.toarray() if sp.issparse(part) else part
        for part in (split.train, split.test, split.fold_in, split.negatives, inner and inner.test)
        if part is not None
    ]


@pytest.mark.parametrize("make", SPLITS)
def test_any_kind_of_matrix_gives_the_same_split_and_stays_unchanged(make):
    data = random_matrix(0, 60, 40).astype(np.float32)
    unsorted = sp.csr_array(data[:, ::-1])
    unsorted.indices = 39 - unsorted.indices
    unsorted.has_sorted_indices = False
    user, item = np.nonzero(data)
    events = Interactions(user, item, n_users=60, n_items=40)
    binary = (data > 0).astype(np.int8)
    for given_data, same_data in [
        (data, sp.coo_array(data)),
        (data, sp.csr_matrix(data)),
        (data, unsorted),
        (binary, binary.tolist()),
        (binary, events),
    ]:
        expected, found = flat(make(given_data)), flat(make(same_data))
        assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
    assert not unsorted.has_sorted_indices


def test_repr_says_what_is_in_it():
    data = np.vstack([np.ones((10, 20)), np.eye(3, 20), np.zeros((2, 20))])
    split = strong_generalisation(data, n_test=2, n_validation=1)
    assert repr(split) == (
        "Split(train 7 x 20 with 140 entries, fold_in 2 x 20 with 32 entries, test 2 x 20 with 8 entries, "
        "validation 4 entries, 3 users dropped)"
    )
    assert str(split) == f"{split!r}\ndropped, users with fewer than 5 items: 3 users, 0 items, 3 events"
    split = sample_negatives(per_user(np.eye(9)), 5)
    assert repr(split) == "Split(train 9 x 9 with 9 entries, test 9 x 9 with 0 entries, 5 uniform negatives a user)"


def test_what_validation_dropped_is_said_apart():
    data = np.ones((12, 8))
    data = np.hstack([data, np.eye(12)])  # whoever is held out has an item of their own
    split = strong_generalisation(data, n_test=2, n_validation=3)
    assert str(split).splitlines()[1:] == [
        "dropped, held-out items unseen in training: 0 users, 2 items, 2 events",
        "dropped from validation, held-out items unseen in training: 0 users, 3 items, 3 events",
    ]
