"""Checks of ``recommend``, ``predict`` and ``similar_items``."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from .._interactions import Interactions
from ._tools import N_ITEMS, N_USERS, matrix, refuses, require, same


def check_recommend_shapes(model: Any) -> None:
    """One user gives (k,), several (n, k), none (0, k); items are int32; short lists are padded."""
    X = matrix()
    model.fit(X)
    rows = [(X[:5], (5, 4)), (X[:5].toarray(), (5, 4)), (X[:0], (0, 4))] if model.answers_new_users else []
    for users, shape in [(3, (4,)), (np.int64(3), (4,)), ([3, 0, 3], (3, 4)), ([], (0, 4)), *rows]:
        items, scores = model.recommend(users, k=4)
        require(items.shape == shape and scores.shape == shape, f"shapes must be {shape}, got {items.shape}")
        require(items.dtype == np.int32, f"items must be int32, got {items.dtype}")
        require(scores.dtype in (np.float32, np.float64), f"scores must be float, got {scores.dtype}")
    items, scores = model.recommend(np.arange(N_USERS), k=N_ITEMS + 5)
    n_ranked = N_ITEMS - np.diff(X.indptr)
    for row, n in enumerate(n_ranked):
        require((items[row, :n] >= 0) & np.isfinite(scores[row, :n]), "all unseen items must be ranked")
        require((items[row, n:] == -1) & (scores[row, n:] == -np.inf), "the rest must be -1 and -inf")


def check_recommend_refuses(model: Any) -> None:
    """Wrong users, k and candidates are refused, with the right kind of error."""
    X = matrix()
    recommend = model.fit(X).recommend
    wrong_types = (True, [True, False], [0.0, 1.0], 1.5, "a", None, ["a"])
    for users in wrong_types:
        refuses(TypeError, f"users {users!r}", recommend, users)
    wrong_values = (-1, N_USERS, [0, N_USERS], X[:, :-1], X[:2].toarray()[:, :-1], np.zeros((1, 1, N_ITEMS)))
    for given in wrong_values:
        refuses(ValueError, "users out of range or of a wrong shape", recommend, given)
    refuses(ValueError, "k = 0", recommend, [0], k=0)
    refuses(TypeError, "k = 2.0", recommend, [0], k=2.0)
    refuses(TypeError, "exclude_seen = 1", recommend, [0], exclude_seen=1)
    refuses(ValueError, "an unknown candidate", recommend, [0], candidates=[N_ITEMS])
    refuses(TypeError, "a mask as candidates", recommend, [0], candidates=np.ones(N_ITEMS, bool))
    refuses(ValueError, "candidates for another number of users", recommend, [0], candidates=X[:2])


def check_recommend_order(model: Any) -> None:
    """Scores descend, ties by the smaller id; each item comes once; a longer list starts with the shorter."""
    model.fit(matrix())
    users = np.arange(N_USERS)
    items, scores = model.recommend(users, k=N_ITEMS, exclude_seen=False)
    require(np.sort(items, axis=1) == np.arange(N_ITEMS), "each item must be ranked once")
    require(scores[:, 1:] <= scores[:, :-1], "scores must descend")
    tied = scores[:, 1:] == scores[:, :-1]
    require((items[:, 1:] > items[:, :-1])[tied], "ties must be ordered by id")
    short = model.recommend(users, k=3, exclude_seen=False)
    same(short, (items[:, :3], scores[:, :3]), "k = 3 against k = all")


def check_exclude_seen(model: Any) -> None:
    """Seen items are never recommended, and are the only ones that are left out."""
    X = matrix()
    items, _ = model.fit(X).recommend(np.arange(N_USERS), k=N_ITEMS)
    for row, seen in zip(items, X.toarray() > 0, strict=True):
        require(set(row[row >= 0]) == set(np.flatnonzero(~seen)), "exactly the unseen items must be ranked")


def check_candidates(model: Any) -> None:
    """Only candidates are ranked, in the order of the whole ranking; seen ones stay excluded."""
    X = matrix()
    users, some = np.arange(N_USERS), np.array([0, 3, 4, 11, N_ITEMS - 1])
    whole, scores = model.fit(X).recommend(users, k=N_ITEMS)
    per_user = sp.csr_array(np.isin(np.arange(N_ITEMS), some) * np.ones((N_USERS, 1), np.float32))
    shared = model.recommend(users, k=5, candidates=some)
    # Products of factors, which models of known users have, are summed otherwise for a few items than for all.
    rtol, atol = (0.0, 0.0) if model.answers_new_users else (1e-5, 1e-6)
    for row in range(N_USERS):
        keep = np.isin(whole[row], some)
        n = keep.sum()
        require(shared[0][row, :n] == whole[row][keep], "candidates must come in the order of the whole ranking")
        np.testing.assert_allclose(shared[1][row, :n], scores[row][keep], rtol=rtol, atol=atol)
        require(shared[0][row, n:] == -1, "nothing but candidates must be ranked")
    same(model.recommend(users, k=5, candidates=per_user), shared, "candidates as a matrix")
    require(model.recommend(users, candidates=[])[0] == -1, "no candidates must give empty lists")


def check_rows_are_users(model: Any) -> None:
    """New users with the rows of training users get what these get, or are refused where the model cannot know them."""
    X = matrix()
    users = np.arange(N_USERS)[::-1]
    model.fit(X)
    if model.answers_new_users:
        same(model.recommend(X[users]), model.recommend(users), "rows against ids")
        same(model.recommend(X[users].toarray()), model.recommend(users), "dense rows against ids")
    else:
        user, item = X.nonzero()
        for given in (X, X[users].toarray(), Interactions(user, item, n_items=N_ITEMS)):
            refuses(ValueError, "rows of new users", model.recommend, given)
    one = model.recommend(7)
    same((one[0][None], one[1][None]), model.recommend([7]), "one user against a list of one")


def check_predict(model: Any) -> None:
    """``predict`` gives the scores that ``recommend`` ranks by, of any broadcast shape."""
    model.fit(matrix())
    users = np.arange(N_USERS)
    items, scores = model.recommend(users, k=N_ITEMS, exclude_seen=False)
    found = model.predict(users[:, None], items)
    require(found.shape == items.shape, f"shape must be {items.shape}, got {found.shape}")
    require(found.dtype == scores.dtype, f"dtype must be that of recommend, got {found.dtype}")
    np.testing.assert_allclose(found, scores, rtol=1e-4, atol=1e-6 * max(1.0, np.abs(scores).max()))
    require(model.predict([0, 1, 2], [5, 4, 3]).shape == (3,), "pairs of lists must give (n,)")
    require(model.predict([], []).shape == (0,), "no pairs must give (0,)")
    require(isinstance(model.predict(0, 1), np.floating), "one pair must give a NumPy scalar")
    cube = model.predict(np.zeros((2, 1, 3), int), np.zeros((4, 1), int))
    require(cube.shape == (2, 4, 3), "shapes must broadcast")
    for bad in ((N_USERS, 0), (0, N_ITEMS), (-1, 0), ([0, 1], [0, 1, 2])):
        refuses(ValueError, f"pairs {bad}", model.predict, *bad)
    for wrong in ((0.5, 0), (0, [True])):
        refuses(TypeError, f"pairs {wrong}", model.predict, *wrong)


def check_similar_items(model: Any) -> None:
    """An item is not similar to itself; a model without a notion of similarity raises ValueError."""
    model.fit(matrix())
    try:
        items, scores = model.similar_items(np.arange(N_ITEMS), k=N_ITEMS)
    except ValueError:
        return
    require(items.shape == scores.shape == (N_ITEMS, N_ITEMS), f"shape must be (n, k), got {items.shape}")
    require(not (items == np.arange(N_ITEMS)[:, None]).any(), "an item must not be its own neighbour")
    one = model.similar_items(4, k=N_ITEMS)
    same(one, (items[4], scores[4]), "one item against all")
    refuses(ValueError, "an unknown item", model.similar_items, [N_ITEMS])
    refuses(TypeError, "a float item", model.similar_items, [0.5])


def check_unseen_item(model: Any) -> None:
    """An item and a user without interactions get finite scores."""
    X = sp.vstack([matrix(), sp.csr_array((1, N_ITEMS), dtype=np.float32)], format="csr")
    model.fit(X)
    found = model.predict(np.arange(N_USERS + 1), N_ITEMS - 1)
    require(np.isfinite(found), "scores of an unseen item must be finite")
    items, scores = model.recommend(N_USERS, k=N_ITEMS)
    require(np.isfinite(scores) & (items >= 0), "a user without items must get a whole ranking")
