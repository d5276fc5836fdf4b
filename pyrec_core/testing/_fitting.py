"""Checks of parameters, ``fit``, ``score`` and model files."""

import os
import pickle
import tempfile
from contextlib import suppress
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._errors import NotFittedError
from ..models import load
from ._sharing import require_shareable
from ._tools import N_ITEMS, N_USERS, copy, matrix, refuses, require, same, to_score


def check_parameters(model: Any) -> None:
    """``__init__`` stores and nothing else; parameters come back as they went in."""
    params = model.get_params()
    require(vars(model) == params, "__init__ must store the parameters only")
    odd: dict[str, Any] = {name: object() for name in params}
    require(type(model)(**odd).get_params() == odd, "__init__ must store any value as it is")
    defaults = {field.name: field.default for field in fields(model) if field.init}
    require(type(model)().get_params() == defaults, "__init__ must store the defaults as they are")
    again = copy(model).set_params(**params).get_params()
    require(again == params, "set_params must take what get_params gives")
    refuses(ValueError, "set_params of an unknown name", model.set_params, no_such_parameter=1)
    require(repr(model).startswith(type(model).__name__ + "("), f"repr must name the class, got {model!r}")
    require(model != copy(model) and model == model, "models must be equal by identity")


def check_not_fitted(model: Any) -> None:
    """Every verb of an unfitted model raises NotFittedError."""
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("check_fitted", ()), ("recommend", ([0],)), ("predict", (0, 0)), ("similar_items", ([0],)),
        ("score", (matrix(),)), ("save", (os.devnull,)),
    ]  # fmt: skip
    for verb, args in calls:
        refuses(NotFittedError, f"{verb} before fit", getattr(model, verb), *args)


def check_fit(model: Any) -> None:
    """``fit`` returns self, keeps the parameters and the caller's matrix, and sets the attributes."""
    X, params = matrix(), model.get_params()
    before = X.copy()
    require(model.fit(X) is model, "fit must return self")
    require(model.get_params() == params, "fit must not change parameters")
    for part in ("data", "indices", "indptr"):
        require(getattr(X, part) == getattr(before, part), "fit must not change X")
    sizes = (model.n_users_, model.n_items_, model.n_features_in_)
    require(sizes == (N_USERS, N_ITEMS, N_ITEMS), f"sizes must be those of X, got {sizes}")
    X.data[:] = 7
    require((model.interactions_ != before).nnz == 0, "interactions_ must not share memory with X")


def check_fit_refuses(model: Any) -> None:
    """Bad matrices and weights are refused, with the right kind of error, and leave the model unfitted."""
    X = matrix().toarray()
    with_nan = X.copy()
    with_nan[0, 0] = np.nan
    refuses(ValueError, "NaN", model.fit, with_nan)
    refuses(TypeError, "object dtype", model.fit, X.astype(object))
    refuses(TypeError, "complex dtype", model.fit, X.astype(complex))
    refuses(ValueError, "a 1-D array", model.fit, X[0])
    refuses(ValueError, "no users", model.fit, X[:0])
    refuses(ValueError, "no items", model.fit, X[:, :0])
    for weights in (np.ones(N_USERS + 1), np.full(N_USERS, -1.0), np.full(N_USERS, np.nan)):
        refuses(ValueError, f"sample_weight {weights[:2]}...", model.fit, X, sample_weight=weights)
    refuses(ValueError, "n_threads 0", copy(model).set_params(n_threads=0).fit, X)
    refuses(NotFittedError, "recommend after a failed fit", model.recommend, [0])


def check_input_formats(model: Any) -> None:
    """Every sparse format, dense arrays and dtypes with the same values give the same model."""
    X = matrix()
    doubled = sp.coo_array((np.full(2 * X.nnz, 0.5, "f4"), np.tile(X.nonzero(), 2)), shape=X.shape)
    wanted = copy(model).fit(X).recommend(np.arange(N_USERS))
    formats = [X.tocsc(), X.tocoo(), X.tolil(), sp.csr_matrix(X), X.toarray(), doubled]
    for given in [*formats, X.astype(bool), X.astype(np.int8), X.astype(np.float64)]:
        found = copy(model).fit(given).recommend(np.arange(N_USERS))
        same(found, wanted, f"{type(given).__name__} of {given.dtype}")


def check_sample_weight(model: Any) -> None:
    """A user of weight 2 counts as two users, a user of weight 0 not at all."""
    X = matrix()
    weights = np.arange(N_USERS) % 3
    weighted = copy(model).fit(X, sample_weight=weights)
    if not model.answers_new_users:  # two users would be others than one
        some = np.flatnonzero(weights)
        chosen = copy(model).fit(X, sample_weight=np.minimum(weights, 1)).recommend(some, exclude_seen=False)
        without = copy(model).fit(sp.diags_array(np.minimum(weights, 1.0)) @ X).recommend(some, exclude_seen=False)
        same(chosen, without, "users of weight 0 against users without items")
        require(weighted.recommend(some, exclude_seen=False)[1] != chosen[1], "a weight of 2 must count")
        return
    repeated = copy(model).fit(X[np.repeat(np.arange(N_USERS), weights)])
    rows = X[:10]
    found, wanted = (m.recommend(rows, k=N_ITEMS, exclude_seen=False) for m in (weighted, repeated))
    a, b = (np.take_along_axis(s, np.argsort(i, axis=1), axis=1) for i, s in (found, wanted))
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4, err_msg="weights against repeats")


def check_deterministic(model: Any) -> None:
    """The same data give the same bits, for any number of threads."""
    X, users = matrix(), np.arange(N_USERS)
    wanted = copy(model).set_params(n_threads=1).fit(X).recommend(users)
    for n_threads in (1, 2, 3, None):
        again = copy(model).set_params(n_threads=n_threads).fit(X).recommend(users)
        same(again, wanted, f"n_threads={n_threads}")


def check_refit(model: Any) -> None:
    """A second ``fit`` forgets the first."""
    X = matrix(seed=1)[:40, :20]
    once = copy(model).fit(X)
    twice = model.fit(matrix()).fit(X)
    require((twice.n_users_, twice.n_items_) == X.shape, "sizes must be those of the second X")
    same(twice.recommend(np.arange(40)), once.recommend(np.arange(40)), "second fit against the only one")


def check_threads_share_model(model: Any) -> None:
    """Threads may use one fitted model at the same time: its verbs only read it."""
    X = matrix()
    model.fit(X)
    calls = [
        partial(model.recommend, np.arange(N_USERS)), partial(model.predict, 5, 3),
        partial(model.score, to_score(model, X)),
    ]  # fmt: skip
    if model.answers_new_users:
        calls.append(partial(model.recommend, X))
    with suppress(ValueError):  # a model without a notion of similarity
        model.similar_items(0)
        calls.append(partial(model.similar_items, np.arange(N_ITEMS)))
    if hasattr(model, "explain"):
        calls.append(partial(model.explain, np.arange(N_USERS), 3))
    require_shareable(model, calls)


def check_save_and_load(model: Any) -> None:
    """A saved and a pickled model answer with the same bits; without interactions only rows are served."""
    X = matrix()
    model.fit(X)
    users = np.arange(N_USERS)
    wanted = model.recommend(users)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.without.suffix"
        model.save(path)
        require([file.name for file in Path(folder).iterdir()] == [path.name], "save must write exactly its path")
        for other in (load(path), pickle.loads(pickle.dumps(model))):
            require(
                type(other) is type(model) and other.get_params() == model.get_params(),
                "parameters must return",
            )
            same(other.recommend(users), wanted, "after a round trip")
        model.save(path, include_interactions=False)
        bare = load(path)
        if model.answers_new_users:
            same(bare.recommend(X), wanted, "rows, without interactions")
        refuses(ValueError, "user ids without interactions", bare.recommend, users)
        refuses(ValueError, "user ids without interactions", bare.predict, 0, 0)


def check_score(model: Any) -> None:
    """``score`` is a share, the same in each call, and follows ``random_state``, or is of what known users have new."""
    X = matrix()
    if not model.answers_new_users:
        _check_score_of_known_users(model, X)
        return
    model.fit(X[:40])
    value = model.score(X[40:])
    require(isinstance(value, float) and 0 <= value <= 1, f"score must be a float in 0..1, got {value!r}")
    require(model.score(X[40:]) == value, "score must be the same again")
    require(model.set_params(random_state=0).score(X[40:]) == value, "random_state=None must be 0")
    others = {model.set_params(random_state=seed).score(X[40:]) for seed in range(1, 6)}
    require(others != {value}, "random_state must choose the hidden items")
    refuses(ValueError, "rows with one item", model.score, np.eye(N_ITEMS))
    refuses(ValueError, "another number of items", model.score, X[:, :-1])


def _check_score_of_known_users(model: Any, X: Any) -> None:
    more = to_score(model, X)
    hidden = (more.toarray() > 0) & (X.toarray() == 0)
    value = model.fit(X).score(more)
    require(isinstance(value, float) and 0 <= value <= 1, f"score must be a float in 0..1, got {value!r}")
    require(model.score(more) == value, "score must be the same again")
    require(model.score(sp.csr_array(hidden)) == value, "score must not depend on what training had")
    some = np.arange(N_USERS) % 2
    halves = [model.score(more, sample_weight=weight) for weight in (some, 1 - some)]
    require(min(halves) <= value <= max(halves), "sample_weight must choose the users of the mean")
    refuses(ValueError, "nothing new", model.score, X)
    refuses(ValueError, "rows of other users", model.score, X[::-1] + matrix(seed=1))
    refuses(ValueError, "another number of users", model.score, more[:-1])
    refuses(ValueError, "another number of items", model.score, more[:, :-1])
