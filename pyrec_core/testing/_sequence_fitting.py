"""Checks of the sequence door: ``fit``, ``score``, external ids and model files."""

import os
import pickle
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import NotFittedError
from .._sessions import Sessions
from ..models import load
from ._sharing import require_shareable
from ._tools import N_ITEMS, clicks, copy, fitted, refuses, require, same, warned

SCORE_DEPTH = 20


def check_not_fitted(model: Any) -> None:
    """Every verb of an unfitted model raises NotFittedError."""
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("check_fitted", ()), ("recommend_next", ([[0]],)), ("predict_next", ([[0]],)), ("session", ()),
        ("next_ranks", ([[0, 1]],)), ("score", ([[0, 1]],)), ("save", (os.devnull,)),
    ]  # fmt: skip
    for verb, args in calls:
        refuses(NotFittedError, f"{verb} before fit", getattr(model, verb), *args)


def check_fit(model: Any) -> None:
    """``fit`` returns self, keeps the parameters and the caller's arrays, and sets the attributes."""
    data, untouched, params = clicks(), clicks(), model.get_params()
    require(model.fit(data) is model, "fit must return self")
    require(model.get_params() == params, "fit must not change parameters")
    for part in ("items", "offsets"):
        require(getattr(data, part) == getattr(untouched, part), f"fit must not change {part}")
    sizes = (model.n_items_, model.n_features_in_)
    require(sizes == (N_ITEMS, N_ITEMS), f"sizes must be that of the catalogue, got {sizes}")
    counts = np.bincount(data.items, minlength=N_ITEMS)
    require(np.array_equal(model.item_counts_, counts), "item_counts_ must count the events of each item")
    require(model.item_ids_ is None, f"item_ids_ must be None without external ids, got {model.item_ids_}")
    before = model.predict_next(untouched)
    data.items[:] = 0
    require(model.predict_next(untouched) == before, "the model must not share memory with the sessions")


def check_fit_refuses(model: Any) -> None:
    """Bad sessions and parameters are refused, with the right kind of error, and leave the model unfitted."""
    data = clicks()
    wrong_types = (None, 3, [[0, 1]], data.matrix(), (data.items.astype(float), data.offsets), (data.items, [0.0, 1.0]))
    for given in wrong_types:
        refuses(TypeError, f"sessions of type {type(given).__name__}", model.fit, given)
    alone = np.arange(4)
    wrong_values: tuple[Any, ...] = (
        ([0, 1], [0, 1]), ([0, 1, 2], [0, 2, 1, 3]), ([-1, 0], [0, 2]), (alone[:3], alone), ([], [0])
    )  # fmt: skip
    for given in wrong_values:
        refuses(ValueError, f"sessions {given}", model.fit, given)
    refuses(ValueError, "n_threads 0", copy(model).set_params(n_threads=0).fit, data)
    refuses(TypeError, "verbose 1", copy(model).set_params(verbose=1).fit, data)
    refuses(NotFittedError, "recommend_next after a failed fit", model.recommend_next, [[0]])


def check_input_formats(model: Any) -> None:
    """Sessions, and items and offsets in arrays of any integers or in lists, give the same model."""
    data = clicks()
    seen = Sessions(data.items, data.offsets)  # without the items that nobody clicked
    wanted = fitted(model, seen).recommend_next(data)
    for items, offsets in ((seen.items, seen.offsets), (seen.items.tolist(), seen.offsets.tolist()),
                           (seen.items.astype(np.uint8), seen.offsets.astype(np.int32))):  # fmt: skip
        same(fitted(model, (items, offsets)).recommend_next(data), wanted, f"{type(items).__name__} of ids")
    timed = Sessions(seen.items, seen.offsets, time=np.arange(len(seen.items)))
    same(fitted(model, timed).recommend_next(data), wanted, "sessions in the order of time")


def check_score(model: Any) -> None:
    """``score`` is MRR@20 over all positions, ties against the model."""
    data = clicks(seed=1)
    fitted_model = fitted(model, clicks())
    ranks = fitted_model.next_ranks(data)
    value = fitted_model.score(data)
    require(isinstance(value, float), f"score must be a float, got {value!r}")
    wanted = np.where(ranks <= SCORE_DEPTH, 1 / ranks, 0.0).mean()
    require(np.isclose(value, wanted, rtol=1e-12), f"score must be MRR@{SCORE_DEPTH}, {wanted}, got {value}")
    require(fitted_model.score((data.items, data.offsets)) == value, "score must be the same of items and offsets")
    nothing: tuple[list[list[int]], ...] = ([], [[]], [[0], [1]])
    for given in nothing:
        refuses(ValueError, f"score of {given}", fitted_model.score, given)


def check_deterministic(model: Any) -> None:
    """The same data and seed give the same bits, for any number of threads."""
    data = clicks()
    wanted = fitted(model, data, n_threads=1)
    for n_threads in (1, 2, 3, None):
        again = fitted(model, data, n_threads=n_threads)
        same(again.recommend_next(data), wanted.recommend_next(data), f"n_threads={n_threads}")
        require(again.predict_next(data) == wanted.predict_next(data), f"scores differ: n_threads={n_threads}")
        require(again.next_ranks(data) == wanted.next_ranks(data), f"ranks differ: n_threads={n_threads}")


def check_refit(model: Any) -> None:
    """A second ``fit`` forgets the first, external ids included."""
    small = Sessions(np.array([0, 1, 2, 3, 1, 2, 3, 0, 1, 2]), np.array([0, 4, 8, 10]))
    once = fitted(model, small)
    names = np.array([f"id {number}" for number in range(N_ITEMS)][::-1])
    twice = fitted(model, Sessions(clicks().items, clicks().offsets, item_ids=names))
    twice.recommend_next([names[:2]])
    twice.fit(small)
    require(twice.item_ids_ is None, "external ids must be those of the second fit")
    require((twice.n_items_, twice.n_features_in_) == (4, 4), "sizes must be those of the second fit")
    same(twice.recommend_next(small), once.recommend_next(small), "second fit against the only one")


def check_threads_share_model(model: Any) -> None:
    """Threads may use one fitted model at the same time: its verbs only read it."""
    data = clicks()
    model = fitted(model, data)

    def live() -> Any:
        session = model.session()
        return [session.click(item).recommend(3) for item in (1, 0, 2)]

    calls = [partial(verb, data) for verb in (model.recommend_next, model.predict_next, model.next_ranks, model.score)]
    require_shareable(model, [*calls, partial(model.recommend_next, [3, 1]), live])


def check_save_and_load(model: Any) -> None:
    """A saved and a pickled model answer with the same bits, and so does one whose file is mapped."""
    data = clicks()
    model = fitted(model, data)
    wanted, ranks = model.recommend_next(data), model.next_ranks(data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.without.suffix"
        model.save(path)
        require([file.name for file in Path(folder).iterdir()] == [path.name], "save must write exactly its path")
        for other in (load(path), load(path, mmap=True), pickle.loads(pickle.dumps(model))):
            require(repr(other) == repr(model), f"class and parameters must return, got {other!r}")
            same(other.recommend_next(data), wanted, "after a round trip")
            require(other.next_ranks(data) == ranks, "ranks differ after a round trip")
            same(other.session().click(1).recommend(), model.session().click(1).recommend(), "a session, after one")


def check_ids(model: Any) -> None:
    """Ids come back as they went in, whatever they are, and name the same items in every method."""
    data = clicks()
    plain, rng = fitted(model, data), np.random.default_rng(0)
    names = np.array([f"id {number:03d}" for number in rng.permutation(500)[:N_ITEMS]])
    numbers = rng.permutation(10**6)[:N_ITEMS] - 500_000
    for ids in (names, names.astype(np.dtypes.StringDType()), numbers, np.sort(numbers)):
        named = fitted(model, Sessions(data.items, data.offsets, item_ids=ids))
        require(np.array_equal(named.item_ids_, ids), "item_ids_ must be the ids of the items")
        with tempfile.TemporaryDirectory() as folder:
            named.save(Path(folder) / "model")
            for other in (named, load(Path(folder) / "model"), pickle.loads(pickle.dumps(named))):
                _check_named(other, plain, data, ids)


def _check_named(named: Any, plain: Any, data: Sessions, ids: Any) -> None:
    """Compare a model that was fitted with external ids with one of the same sessions without."""
    as_list = [ids[part] for part in np.split(data.items, data.offsets[1:-1])]
    renumbered = Sessions(N_ITEMS - 1 - data.items, data.offsets, item_ids=ids[::-1])
    same_ids = Sessions(data.items, data.offsets, item_ids=ids)
    for given in (same_ids, renumbered, (ids[data.items], data.offsets), as_list):
        for k, exclude_seen in ((3, False), (N_ITEMS, True)):  # lists that are filled, and lists that are not
            _same_names(named.recommend_next(given, k, exclude_seen), plain.recommend_next(data, k, exclude_seen), ids)
        require(named.predict_next(given) == plain.predict_next(data), "scores must not depend on external ids")
        require(named.next_ranks(given) == plain.next_ranks(data), "ranks must not depend on external ids")
        require(named.score(given) == plain.score(data), "score must not depend on external ids")
    one = ids.tolist()[3]
    _same_names(named.recommend_next([one]), plain.recommend_next([3]), ids)
    session = named.session().click(one)
    _same_names(session.recommend(), plain.session().click(3).recommend(), ids)
    require(session.clicks == [one], f"clicks must be the ids, got {session.clicks}")
    of_other_kind, stranger = (0, "?") if ids.dtype.kind in "UT" else ("a", -(10**7))
    for call in (named.recommend_next, named.predict_next, named.next_ranks):
        refuses(TypeError, f"{of_other_kind!r} among {ids.dtype}", call, [of_other_kind])
    refuses(TypeError, f"{of_other_kind!r} among {ids.dtype}", session.click, of_other_kind)
    found, messages = warned(named.recommend_next, [[stranger, one]])
    require(len(messages) == 1 and repr(stranger) in messages[0], f"one warning must name {stranger!r}: {messages}")
    same(found, named.recommend_next([[one]]), "an unknown id must be left out")


def _same_names(found: tuple[Any, Any], wanted: tuple[Any, Any], ids: Any) -> None:
    items, scores = wanted
    filled = items >= 0
    dtype = ids.dtype if filled.all() else np.dtype(object)
    require(found[0].dtype == dtype, f"items must be {dtype}, got {found[0].dtype}")
    same((found[0].astype(object), found[1]), (np.where(filled, ids.astype(object)[items], None), scores), "names")
