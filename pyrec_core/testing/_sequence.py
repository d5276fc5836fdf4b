"""Checks of the sequence door: ``recommend_next``, ``predict_next``, live sessions and ranks; and their list."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ._fitting import check_parameters
from ._sequence_fitting import (
    check_deterministic,
    check_fit,
    check_fit_refuses,
    check_ids,
    check_input_formats,
    check_not_fitted,
    check_refit,
    check_save_and_load,
    check_score,
    check_threads_share_model,
)
from ._tools import N_ITEMS, clicks, fitted, refuses, require, same, warned

PREFIXES: list[list[int]] = [[1], [0, 1, 2], [], [5, 5, 5], [2, 0, 1, 2, 0], [N_ITEMS - 1]]


def check_recommend_shapes(model: Any) -> None:
    """One prefix gives (k,), several (n, k), none (0, k); items are int32; the form of the question does not matter."""
    data = clicks()
    model = fitted(model, data)
    rows = np.array([[1, 2], [3, 0]])
    for given, shape in (([1, 2], (4,)), (np.array([1, 2]), (4,)), (np.array([], int), (4,)), (rows, (2, 4)),
                         (PREFIXES, (6, 4)), ([], (0, 4)), ([[]], (1, 4)), (data, (40, 4)), (rows[:0], (0, 4)),
                         ((data.items, data.offsets), (40, 4)), (([], [0]), (0, 4))):  # fmt: skip
        items, scores = model.recommend_next(given, k=4)
        require(items.shape == shape and scores.shape == shape, f"shapes must be {shape}, got {items.shape}")
        require(items.dtype == np.int32, f"items must be int32, got {items.dtype}")
        require(scores.dtype == model.predict_next(data).dtype, f"scores must be those of predict_next: {scores.dtype}")
    wanted = model.recommend_next(data)
    same(model.recommend_next((data.items, data.offsets)), wanted, "(items, offsets) against Sessions")
    as_lists = [part.tolist() for part in np.split(data.items, data.offsets[1:-1])]
    same(model.recommend_next(as_lists), wanted, "lists against Sessions")
    one = model.recommend_next(as_lists[-1])
    np.testing.assert_allclose(one[1], wanted[1][-1], rtol=1e-4, err_msg="one prefix against many")


def check_recommend_refuses(model: Any) -> None:
    """Wrong prefixes and k are refused, with the right kind of error."""
    model = fitted(model, clicks())
    wrong_types: tuple[Any, ...] = (
        None, 3, "a", [0.5], [[True]], ["a"], [["a"]], ([0.5], [0, 1]), ([0, 1], [0.0, 2.0])
    )  # fmt: skip
    wrong_values: tuple[Any, ...] = (
        ([0, 1], [0, 1]), ([0, 1], [1, 2]), ([0, 1], [0, 2, 1, 2]), ([0, 1], []), np.zeros((1, 1, 2), int)
    )  # fmt: skip
    for verb in (model.recommend_next, model.predict_next, model.next_ranks, model.score):
        for given in wrong_types:
            refuses(TypeError, f"{verb.__name__} of {given!r}", verb, given)
        for given in wrong_values:
            refuses(ValueError, f"{verb.__name__} of {given!r}", verb, given)
    refuses(ValueError, "k = 0", model.recommend_next, [[0]], k=0)
    refuses(TypeError, "k = 2.0", model.recommend_next, [[0]], k=2.0)
    refuses(TypeError, "exclude_seen = 1", model.recommend_next, [[0]], exclude_seen=1)
    refuses(ValueError, "ties = 'lucky'", model.next_ranks, [[0, 1]], ties="lucky")
    for click in ([1], [1, 2], None, 0.5, "a"):
        refuses(TypeError, f"a click on {click!r}", model.session().click, click)
    refuses(ValueError, "k = 0 of a session", model.session().click(1).recommend, 0)


def check_recommend_order(model: Any) -> None:
    """Scores descend, ties by the smaller id; each item comes once; short lists are padded."""
    model = fitted(model, clicks())
    items, scores = model.recommend_next(PREFIXES, k=N_ITEMS)
    require(np.sort(items, axis=1) == np.arange(N_ITEMS), "each item must be ranked once")
    require(scores[:, 1:] <= scores[:, :-1], "scores must descend")
    require((items[:, 1:] > items[:, :-1])[scores[:, 1:] == scores[:, :-1]], "ties must be ordered by id")
    same(model.recommend_next(PREFIXES, k=3), (items[:, :3], scores[:, :3]), "k = 3 against k = all")
    longer = model.recommend_next(PREFIXES, k=N_ITEMS + 2)
    same((longer[0][:, :-2], longer[1][:, :-2]), (items, scores), "k = more than all against k = all")
    require((longer[0][:, -2:] == -1) & (longer[1][:, -2:] == -np.inf), "the rest must be -1 and -inf")


def check_empty_prefix(model: Any) -> None:
    """After nothing the items are ranked by popularity."""
    data = clicks()
    model, counts = fitted(model, data), np.bincount(data.items, minlength=N_ITEMS)
    require(model.predict_next([[], [1]])[0] == counts, "scores after nothing must be the counts")
    by_popularity = np.argsort(-counts, kind="stable")
    for items in (model.recommend_next([[1], []], k=N_ITEMS)[0][1], model.session().recommend(N_ITEMS)[0]):
        require(np.array_equal(items, by_popularity), "after nothing items must be ranked by popularity")


def check_unknown_items(model: Any) -> None:
    """Unknown items are left out, with one warning a call."""
    model = fitted(model, clicks())
    strange = [[N_ITEMS, 0, -1, 1], [N_ITEMS + 1], [2, 10**9]]
    for verb, known in ((model.recommend_next, [[0, 1], [], [2]]), (model.predict_next, [[0, 1], [], [2]])):
        found, messages = warned(verb, strange)
        require(len(messages) == 1, f"{verb.__name__} must give one warning, got {messages}")
        require(str(N_ITEMS) in messages[0], f"the warning must name unknown items, got {messages[0]!r}")
        same(tuple(found), tuple(verb(known)), "unknown items must be left out")
    found, messages = warned(model.next_ranks, [[0, N_ITEMS, 1]])
    require(len(messages) == 1 and found == model.next_ranks([[0, 1]]), "unknown items must be left out of sessions")
    session = model.session().click(0)
    _, messages = warned(session.click, N_ITEMS)
    require(len(messages) == 1, f"a click on an unknown item must give one warning, got {messages}")
    require(session.clicks == [0], f"unknown items must not be among the clicks, got {session.clicks}")
    same(session.recommend(), model.session().click(0).recommend(), "an unknown click must be left out")


def check_exclude_seen(model: Any) -> None:
    """Items of the prefix are left out on demand, and are the only ones that are."""
    model = fitted(model, clicks())
    whole, scores = model.recommend_next(PREFIXES, k=N_ITEMS)
    items, best = model.recommend_next(PREFIXES, k=N_ITEMS, exclude_seen=True)
    for row, seen in enumerate(PREFIXES):
        left = ~np.isin(whole[row], seen)
        same((items[row, : left.sum()], best[row, : left.sum()]), (whole[row][left], scores[row][left]), "exclude_seen")
        require(items[row, left.sum() :] == -1, "seen items must be left out")


def check_predict(model: Any) -> None:
    """``predict_next`` gives the scores that ``recommend_next`` ranks by, in the order of the ids."""
    model = fitted(model, clicks())
    items, scores = model.recommend_next(PREFIXES, k=N_ITEMS)
    found = model.predict_next(PREFIXES)
    require(found.shape == (len(PREFIXES), N_ITEMS), f"shape must be (n, n_items), got {found.shape}")
    require(found.dtype in (np.float32, np.float64), f"scores must be float, got {found.dtype}")
    require(np.take_along_axis(found, items, axis=1) == scores, "scores must be those of recommend_next")
    require(model.predict_next([]).shape == (0, N_ITEMS), "no prefixes must give (0, n_items)")
    one = model.predict_next(PREFIXES[1])
    require(one.shape == (N_ITEMS,), f"one prefix must give (n_items,), got {one.shape}")
    np.testing.assert_allclose(one, found[1], rtol=1e-4, atol=1e-6, err_msg="one prefix against many")


def check_unseen_item(model: Any) -> None:
    """An item that nobody clicked gets finite scores, and may be clicked."""
    model = fitted(model, clicks())
    require(np.isfinite(model.predict_next(clicks())[:, -1]), "scores of an unseen item must be finite")
    require(np.isfinite(model.predict_next([N_ITEMS - 1])), "scores after an unseen item must be finite")


def check_live_session(model: Any) -> None:
    """After each click a session recommends what ``recommend_next`` does, whatever other sessions do."""
    model = fitted(model, clicks())
    sessions = [(model.session(), prefix) for prefix in PREFIXES]
    for n in range(max(map(len, PREFIXES)) + 1):
        for session, prefix in sessions:
            if 0 < n <= len(prefix):
                require(session.click(prefix[n - 1]) is session, "click must return the session")
            so_far = prefix[:n]
            require(session.clicks == so_far, f"clicks must be {so_far}, got {session.clicks}")
            for exclude_seen in (False, True):
                found = session.recommend(N_ITEMS, exclude_seen)
                _require_near(found, model.recommend_next([so_far], N_ITEMS, exclude_seen), so_far)
    items, scores = session.recommend()
    require(items.shape == scores.shape == (20,), f"a session must recommend 20 items by default, got {items.shape}")


def _require_near(found: tuple[Any, Any], wanted: tuple[Any, Any], clicked: list[int]) -> None:
    """Rounding may differ, and with it the order of items that are almost tied."""
    scores, (items, best) = np.full((2, N_ITEMS + 1), -np.inf), (part[0] for part in wanted)
    scores[0, found[0]], scores[1, items] = found[1], best
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4, atol=1e-6, err_msg=f"a session after {clicked}")
    require(found[1].dtype == best.dtype, f"scores must be {best.dtype} as of recommend_next, got {found[1].dtype}")
    require(found[1][1:] <= found[1][:-1], "scores of a session must descend")


def check_next_ranks(model: Any) -> None:
    """Ranks are those of the true next items in ``predict_next``, for all ways to count ties."""
    data = clicks(seed=2)
    model = fitted(model, clicks())
    sessions = [part.tolist() for part in np.split(data.items, data.offsets[1:-1])]
    pairs = [(session[:n], session[n]) for session in sessions for n in range(1, len(session))]
    scores, targets = model.predict_next([prefix for prefix, _ in pairs]), np.array([target for _, target in pairs])
    own = scores[np.arange(len(targets)), targets][:, None]
    before, tied = (scores > own).sum(axis=1), scores == own
    wanted = {
        "conservative": before + tied.sum(axis=1),
        "standard": before + 1.0,
        "median": before + (1 + tied.sum(axis=1)) / 2,
        "id": before + 1.0 + (tied & (np.arange(N_ITEMS) < targets[:, None])).sum(axis=1),
    }
    for ties, ranks in wanted.items():
        found = model.next_ranks(data, ties=ties)
        require(found.dtype == np.float64, f"ranks must be float64, got {found.dtype}")
        require(np.array_equal(found, ranks), f"ranks must be those of predict_next, for ties={ties!r}")
        require(np.array_equal(model.next_ranks(sessions, ties=ties), ranks), "ranks of lists must be the same")
    require(np.array_equal(model.next_ranks(data), wanted["conservative"]), "ties must be counted against the model")
    require(model.next_ranks([]).shape == (0,), "no sessions must give no ranks")


CHECKS: tuple[Callable[[Any], None], ...] = (
    check_parameters, check_not_fitted, check_fit, check_fit_refuses, check_input_formats, check_recommend_shapes,
    check_recommend_refuses, check_recommend_order, check_empty_prefix, check_unknown_items, check_exclude_seen,
    check_predict, check_unseen_item, check_live_session, check_next_ranks, check_score, check_deterministic,
    check_refit, check_threads_share_model, check_save_and_load, check_ids,
)  # fmt: skip
