"""The check of external ids."""

import pickle
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .._interactions import Interactions
from ..models import load
from ._tools import N_ITEMS, N_USERS, copy, matrix, refuses, require, same, to_score


def check_ids(model: Any) -> None:
    """Ids come back as they went in, whatever they are, and name the same users and items in every method."""
    X = matrix()
    user, item = X.nonzero()
    plain, rng = copy(model).fit(X), np.random.default_rng(0)
    names = np.array([f"id {number:03d}" for number in rng.permutation(500)[:N_USERS]])
    numbers = rng.permutation(10**6)[:N_USERS] - 500_000
    for ids in (names, names.astype(np.dtypes.StringDType()), numbers, np.sort(numbers)):
        user_ids, item_ids = ids, ids[::-1][-N_ITEMS:]
        data = Interactions(user, item, user_ids=user_ids, item_ids=item_ids)
        _check_named(copy(model).fit(data), plain, data)
    events = Interactions(user, item, n_items=N_ITEMS)
    asked = (events, X) if model.answers_new_users else (np.arange(N_USERS), np.arange(N_USERS))
    same(copy(model).fit(events).recommend(asked[0]), plain.recommend(asked[1]), "Interactions without external ids")


def _check_named(named: Any, plain: Any, data: Interactions) -> None:
    """Compare a model that was fitted with external ids with one of the same matrix without."""
    user_ids, item_ids = np.asarray(data.user_ids), np.asarray(data.item_ids)
    users, some = np.arange(N_USERS), np.array([0, 3, 4, 11, N_ITEMS - 1])
    require(np.array_equal(named.user_ids_, user_ids), "user_ids_ must be the ids of the users")
    require(np.array_equal(named.item_ids_, item_ids), "item_ids_ must be the ids of the items")
    with tempfile.TemporaryDirectory() as folder:
        named.save(Path(folder) / "model")
        for other in (named, load(Path(folder) / "model"), pickle.loads(pickle.dumps(named))):
            for k in (3, N_ITEMS):  # lists that are filled, and lists that are not
                rows = [(data, None)] if named.answers_new_users else []
                for given, chosen in [(user_ids, None), (user_ids, some), *rows]:
                    items, scores = plain.recommend(users, k, candidates=chosen)
                    found = other.recommend(given, k, candidates=None if chosen is None else item_ids[chosen])
                    _same_names(found, items, scores, item_ids)
            items, scores = plain.recommend(7)
            _same_names(other.recommend(user_ids.tolist()[7]), items, scores, item_ids)
            pairs = other.predict(user_ids[:, None], item_ids)
            np.testing.assert_array_equal(pairs, plain.predict(users[:, None], np.arange(N_ITEMS)))
            more = to_score(plain, data.matrix())
            user, item = more.nonzero()
            events = Interactions(user[::-1], item[::-1], user_ids=user_ids, item_ids=item_ids)
            require(other.score(events) == plain.score(more), "score must be the same with external ids")
    try:
        items, scores = plain.similar_items(some, k=4)
    except ValueError:
        pass
    else:
        _same_names(named.similar_items(item_ids[some], k=4), items, scores, item_ids)
    of_other_kind, stranger = (0, "?") if user_ids.dtype.kind in "UT" else ("a", -(10**7))
    for call in (named.recommend, partial(named.predict, items=item_ids[0]), partial(named.predict, user_ids[0])):
        refuses(TypeError, f"{of_other_kind!r} among {user_ids.dtype}", call, [of_other_kind])
        refuses(ValueError, f"the unknown id {stranger!r}", call, [stranger])
    refuses(ValueError, "an unknown candidate", named.recommend, user_ids[:1], candidates=[stranger])
    strangers = Interactions.from_arrays([0, 0], [item_ids.tolist()[0], stranger])
    refuses(ValueError, "rows with an unknown item", named.recommend, strangers)


def _same_names(found: tuple[Any, Any], items: Any, scores: Any, item_ids: Any) -> None:
    filled = items >= 0
    dtype = item_ids.dtype if filled.all() else np.dtype(object)
    require(found[0].dtype == dtype, f"items must be {dtype}, got {found[0].dtype}")
    wanted = np.where(filled, item_ids.astype(object)[items], None)
    same((found[0].astype(object), found[1]), (wanted, scores), "external ids against dense ones")
