"""Models that rank from a table of scores, and the ranks that they should give."""

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

from pyrec_core.split import Split

SEED = st.integers(0, 2**32 - 1)


class TableModel:
    """Ranks by a table of scores (n_users, n_items), new users by the row at which they come."""

    def __init__(self, scores, seen=None, with_scores=False):
        self.scores, self.seen, self.with_scores = np.asarray(scores, float), seen, with_scores
        self.next_row = 0
        self.calls = []

    def recommend(self, users, k=10, exclude_seen=True):
        if sp.issparse(users):
            scores = self.scores[self.next_row : self.next_row + users.shape[0]].copy()
            self.next_row += users.shape[0]
            seen = users.toarray() != 0
        else:
            scores, seen = self.scores[users].copy(), self.seen.toarray()[users] != 0
        self.calls.append(scores.shape[0])
        if exclude_seen:
            scores[seen] = -np.inf
        items = np.full((len(scores), k), -1, np.int32)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        items[:, : order.shape[1]] = np.where(np.take_along_axis(scores, order, 1) == -np.inf, -1, order)
        return items, np.take_along_axis(scores, order, 1) if self.with_scores else None

    def predict(self, users, items):
        return self.scores[users, items]


def problem(seed, n_users=23, n_items=17):
    rng = np.random.default_rng(seed)
    X = (rng.random((n_users, n_items)) < rng.random((n_users, 1)) * 0.7).astype(float)
    return X, rng.integers(0, 6, (n_users, n_items)).astype(float)  # few levels of score: many ties


def full_ranks(scores, test, seen):
    """Ranks by counting: items that score more, and equal ones with a smaller id, come before."""
    lists = []
    for user in range(len(test)):
        wanted = np.flatnonzero(test[user])
        rankable = np.flatnonzero(~seen[user])
        lists.append(
            [
                1 + sum((scores[user, j], -j) > (scores[user, i], -i) for j in rankable)
                for i in wanted
                if not seen[user, i]
            ]
        )
    return lists


def one_user(negatives, train=(), test=(0,), n_items=6):
    def row(items):
        return sp.csr_array(np.isin(np.arange(n_items), items)[None].astype(np.float32))

    return Split(row(list(train)), row(list(test)), negatives=np.array([negatives], np.int32))
