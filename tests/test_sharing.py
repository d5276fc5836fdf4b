import threading
import time

import numpy as np
import pytest
import scipy.sparse as sp

from pyrec_core.testing._sharing import require_shareable


class Counter:
    """Something to call; its faults are switched on one by one."""

    def __init__(self):
        self.weights_ = np.arange(5.0)
        self.sparse_ = sp.csr_array(np.eye(3))
        self.buffer_ = None

    def read(self):
        return self.weights_ * 2, self.sparse_ @ np.ones(3)

    def write_inside(self):
        self.weights_[0] += 1
        return 0

    def write_sparse(self):
        self.sparse_.data[0] = 7
        return 0

    def add(self):
        self.notes = 1
        return 0

    def remember_while_busy(self):
        """Right alone, and leaves nothing behind; wrong where two threads meet inside."""
        mine = self.buffer_ = threading.get_ident()
        time.sleep(0.01)
        same = self.buffer_ == mine
        self.buffer_ = None
        return same

    def fails(self):
        raise ValueError("broken")


def test_reading_may_be_shared():
    model = Counter()
    require_shareable(model, [model.read, lambda: model.weights_.sum()])


def test_the_notes_of_scipy_are_no_change():
    model = Counter()
    require_shareable(model, [lambda: model.sparse_.has_sorted_indices, lambda: model.sparse_.has_canonical_format])


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        ("write_inside", "got changes of weights_"),
        ("write_sparse", "got changes of sparse_"),
        ("add", "got changes of notes"),
        ("remember_while_busy", "several threads at once"),
    ],
)
def test_faults_are_found(verb, message):
    model = Counter()
    with pytest.raises(AssertionError, match=message):
        require_shareable(model, [model.read, getattr(model, verb)])


def test_what_a_call_raises_is_raised():
    model = Counter()
    with pytest.raises(ValueError, match="broken"):
        require_shareable(model, [model.fails])
