"""The conformance suite: what every model of the interaction door promises, as small checks.

It is part of the package so that models written elsewhere can be tested by it too.
"""

import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from ._errors import NotFittedError
from ._sharing import require_shareable
from .models import load

__all__ = ["check_estimator", "estimator_checks"]

Check = Callable[[Any], None]
N_USERS, N_ITEMS = 60, 25


def check_estimator(model: Any) -> None:
    """Run all conformance checks on an interaction model.

    Parameters
    ----------
    model : interaction model
        An instance; it is left as it is, the checks work on copies with its parameters.

    Raises
    ------
    AssertionError
        A promise is broken; the message starts with the name of the check.

    Examples
    --------
    >>> from pyrec_core import Popularity
    >>> from pyrec_core.testing import check_estimator
    >>> check_estimator(Popularity())
    """
    for _, check in estimator_checks(model):
        check()


def estimator_checks(model: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the name of each conformance check and a function without arguments that runs it on ``model``.

    Examples
    --------
    Under pytest: ``@pytest.mark.parametrize("name, check", estimator_checks(MyModel()))``.

    >>> from pyrec_core import Popularity
    >>> from pyrec_core.testing import estimator_checks
    >>> next(estimator_checks(Popularity()))[0]
    'check_parameters'
    """
    for check in CHECKS:
        yield check.__name__, partial(_run, check, model)


def _run(check: Check, model: Any) -> None:
    try:
        check(_copy(model))
    except Exception as error:
        detail = f"{error}" if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
        raise AssertionError(f"{check.__name__}: {type(model).__name__}: {detail.strip()}") from error


def _copy(model: Any) -> Any:
    return type(model)(**model.get_params())


def _matrix(n_users: int = N_USERS, seed: int = 0) -> Any:
    """Binary float32 CSR; every user has 2 items or more, the last item has no user."""
    rng = np.random.default_rng(seed)
    dense = rng.random((n_users, N_ITEMS)) < np.linspace(0.5, 0.05, N_ITEMS)
    dense[:, :2] |= ~dense[:, :2].any(axis=1, keepdims=True)
    dense[np.arange(n_users), 2 + np.arange(n_users) % (N_ITEMS - 3)] = True
    dense[:, -1] = False
    return sp.csr_array(dense.astype(np.float32))


def _require(condition: Any, message: str) -> None:
    if not np.all(condition):
        raise AssertionError(message)


def _refuses(error: type[Exception], what: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    try:
        call(*args, **kwargs)
    except error:
        return
    except Exception as other:
        kind = type(other).__name__
        raise AssertionError(f"{what} must raise {error.__name__}, got {kind}: {other}") from other
    raise AssertionError(f"{what} must raise {error.__name__}, nothing was raised")


def _same(a: tuple[Any, Any], b: tuple[Any, Any], what: str) -> None:
    np.testing.assert_array_equal(a[0], b[0], err_msg=f"items differ: {what}")
    np.testing.assert_array_equal(a[1], b[1], err_msg=f"scores differ: {what}")


def check_parameters(model: Any) -> None:
    """``__init__`` stores and nothing else; parameters come back as they went in."""
    params = model.get_params()
    _require(vars(model) == params, "__init__ must store the parameters only")
    odd: dict[str, Any] = {name: object() for name in params}
    _require(type(model)(**odd).get_params() == odd, "__init__ must store any value as it is")
    defaults = {field.name: field.default for field in fields(model) if field.init}
    _require(type(model)().get_params() == defaults, "__init__ must store the defaults as they are")
    again = _copy(model).set_params(**params).get_params()
    _require(again == params, "set_params must take what get_params gives")
    _refuses(ValueError, "set_params of an unknown name", model.set_params, no_such_parameter=1)
    _require(repr(model).startswith(type(model).__name__ + "("), f"repr must name the class, got {model!r}")
    _require(model != _copy(model) and model == model, "models must be equal by identity")


def check_not_fitted(model: Any) -> None:
    """Every verb of an unfitted model raises NotFittedError."""
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("check_fitted", ()), ("recommend", ([0],)), ("predict", (0, 0)), ("similar_items", ([0],)),
        ("score", (_matrix(),)), ("save", (os.devnull,)),
    ]  # fmt: skip
    for verb, args in calls:
        _refuses(NotFittedError, f"{verb} before fit", getattr(model, verb), *args)


def check_fit(model: Any) -> None:
    """``fit`` returns self, keeps the parameters and the caller's matrix, and sets the attributes."""
    X, params = _matrix(), model.get_params()
    before = X.copy()
    _require(model.fit(X) is model, "fit must return self")
    _require(model.get_params() == params, "fit must not change parameters")
    for part in ("data", "indices", "indptr"):
        _require(getattr(X, part) == getattr(before, part), "fit must not change X")
    sizes = (model.n_users_, model.n_items_, model.n_features_in_)
    _require(sizes == (N_USERS, N_ITEMS, N_ITEMS), f"sizes must be those of X, got {sizes}")
    X.data[:] = 7
    _require((model.interactions_ != before).nnz == 0, "interactions_ must not share memory with X")


def check_fit_refuses(model: Any) -> None:
    """Bad matrices and weights are refused, with the right kind of error, and leave the model unfitted."""
    X = _matrix().toarray()
    with_nan = X.copy()
    with_nan[0, 0] = np.nan
    _refuses(ValueError, "NaN", model.fit, with_nan)
    _refuses(TypeError, "object dtype", model.fit, X.astype(object))
    _refuses(TypeError, "complex dtype", model.fit, X.astype(complex))
    _refuses(ValueError, "a 1-D array", model.fit, X[0])
    _refuses(ValueError, "no users", model.fit, X[:0])
    _refuses(ValueError, "no items", model.fit, X[:, :0])
    for weights in (np.ones(N_USERS + 1), np.full(N_USERS, -1.0), np.full(N_USERS, np.nan)):
        _refuses(ValueError, f"sample_weight {weights[:2]}...", model.fit, X, sample_weight=weights)
    _refuses(ValueError, "n_threads 0", _copy(model).set_params(n_threads=0).fit, X)
    _refuses(NotFittedError, "recommend after a failed fit", model.recommend, [0])


def check_input_formats(model: Any) -> None:
    """Every sparse format, dense arrays and dtypes with the same values give the same model."""
    X = _matrix()
    doubled = sp.coo_array((np.full(2 * X.nnz, 0.5, "f4"), np.tile(X.nonzero(), 2)), shape=X.shape)
    wanted = _copy(model).fit(X).recommend(np.arange(N_USERS))
    formats = [X.tocsc(), X.tocoo(), X.tolil(), sp.csr_matrix(X), X.toarray(), doubled]
    for given in [*formats, X.astype(bool), X.astype(np.int8), X.astype(np.float64)]:
        found = _copy(model).fit(given).recommend(np.arange(N_USERS))
        _same(found, wanted, f"{type(given).__name__} of {given.dtype}")


def check_recommend_shapes(model: Any) -> None:
    """One user gives (k,), several (n, k), none (0, k); items are int32; short lists are padded."""
    X = _matrix()
    model.fit(X)
    for users, shape in ((3, (4,)), (np.int64(3), (4,)), ([3, 0, 3], (3, 4)), ([], (0, 4)), (X[:5], (5, 4)),
                         (X[:5].toarray(), (5, 4)), (X[:0], (0, 4))):  # fmt: skip
        items, scores = model.recommend(users, k=4)
        _require(items.shape == shape and scores.shape == shape, f"shapes must be {shape}, got {items.shape}")
        _require(items.dtype == np.int32, f"items must be int32, got {items.dtype}")
        _require(scores.dtype in (np.float32, np.float64), f"scores must be float, got {scores.dtype}")
    items, scores = model.recommend(np.arange(N_USERS), k=N_ITEMS + 5)
    n_ranked = N_ITEMS - np.diff(X.indptr)
    for row, n in enumerate(n_ranked):
        _require((items[row, :n] >= 0) & np.isfinite(scores[row, :n]), "all unseen items must be ranked")
        _require((items[row, n:] == -1) & (scores[row, n:] == -np.inf), "the rest must be -1 and -inf")


def check_recommend_refuses(model: Any) -> None:
    """Wrong users, k and candidates are refused, with the right kind of error."""
    X = _matrix()
    recommend = model.fit(X).recommend
    wrong_types = (True, [True, False], [0.0, 1.0], 1.5, "a", None, ["a"])
    for users in wrong_types:
        _refuses(TypeError, f"users {users!r}", recommend, users)
    wrong_values = (-1, N_USERS, [0, N_USERS], X[:, :-1], X[:2].toarray()[:, :-1], np.zeros((1, 1, N_ITEMS)))
    for given in wrong_values:
        _refuses(ValueError, "users out of range or of a wrong shape", recommend, given)
    _refuses(ValueError, "k = 0", recommend, [0], k=0)
    _refuses(TypeError, "k = 2.0", recommend, [0], k=2.0)
    _refuses(TypeError, "exclude_seen = 1", recommend, [0], exclude_seen=1)
    _refuses(ValueError, "an unknown candidate", recommend, [0], candidates=[N_ITEMS])
    _refuses(TypeError, "a mask as candidates", recommend, [0], candidates=np.ones(N_ITEMS, bool))
    _refuses(ValueError, "candidates for another number of users", recommend, [0], candidates=X[:2])


def check_recommend_order(model: Any) -> None:
    """Scores descend, ties by the smaller id; each item comes once; a longer list starts with the shorter."""
    model.fit(_matrix())
    users = np.arange(N_USERS)
    items, scores = model.recommend(users, k=N_ITEMS, exclude_seen=False)
    _require(np.sort(items, axis=1) == np.arange(N_ITEMS), "each item must be ranked once")
    _require(scores[:, 1:] <= scores[:, :-1], "scores must descend")
    tied = scores[:, 1:] == scores[:, :-1]
    _require((items[:, 1:] > items[:, :-1])[tied], "ties must be ordered by id")
    short = model.recommend(users, k=3, exclude_seen=False)
    _same(short, (items[:, :3], scores[:, :3]), "k = 3 against k = all")


def check_exclude_seen(model: Any) -> None:
    """Seen items are never recommended, and are the only ones that are left out."""
    X = _matrix()
    items, _ = model.fit(X).recommend(np.arange(N_USERS), k=N_ITEMS)
    for row, seen in zip(items, X.toarray() > 0, strict=True):
        _require(set(row[row >= 0]) == set(np.flatnonzero(~seen)), "exactly the unseen items must be ranked")


def check_candidates(model: Any) -> None:
    """Only candidates are ranked, in the order of the whole ranking; seen ones stay excluded."""
    X = _matrix()
    users, some = np.arange(N_USERS), np.array([0, 3, 4, 11, N_ITEMS - 1])
    whole, scores = model.fit(X).recommend(users, k=N_ITEMS)
    per_user = sp.csr_array(np.isin(np.arange(N_ITEMS), some) * np.ones((N_USERS, 1), np.float32))
    shared = model.recommend(users, k=5, candidates=some)
    for row in range(N_USERS):
        keep = np.isin(whole[row], some)
        n = keep.sum()
        _same((shared[0][row, :n], shared[1][row, :n]), (whole[row][keep], scores[row][keep]), "candidates")
        _require(shared[0][row, n:] == -1, "nothing but candidates must be ranked")
    _same(model.recommend(users, k=5, candidates=per_user), shared, "candidates as a matrix")
    _require(model.recommend(users, candidates=[])[0] == -1, "no candidates must give empty lists")


def check_rows_are_users(model: Any) -> None:
    """New users with the rows of training users get what the training users get."""
    X = _matrix()
    users = np.arange(N_USERS)[::-1]
    model.fit(X)
    _same(model.recommend(X[users]), model.recommend(users), "rows against ids")
    _same(model.recommend(X[users].toarray()), model.recommend(users), "dense rows against ids")
    one = model.recommend(7)
    _same((one[0][None], one[1][None]), model.recommend([7]), "one user against a list of one")


def check_predict(model: Any) -> None:
    """``predict`` gives the scores that ``recommend`` ranks by, of any broadcast shape."""
    model.fit(_matrix())
    users = np.arange(N_USERS)
    items, scores = model.recommend(users, k=N_ITEMS, exclude_seen=False)
    found = model.predict(users[:, None], items)
    _require(found.shape == items.shape, f"shape must be {items.shape}, got {found.shape}")
    _require(found.dtype == scores.dtype, f"dtype must be that of recommend, got {found.dtype}")
    np.testing.assert_allclose(found, scores, rtol=1e-4, atol=1e-6 * max(1.0, np.abs(scores).max()))
    _require(model.predict([0, 1, 2], [5, 4, 3]).shape == (3,), "pairs of lists must give (n,)")
    _require(model.predict([], []).shape == (0,), "no pairs must give (0,)")
    _require(isinstance(model.predict(0, 1), np.floating), "one pair must give a NumPy scalar")
    cube = model.predict(np.zeros((2, 1, 3), int), np.zeros((4, 1), int))
    _require(cube.shape == (2, 4, 3), "shapes must broadcast")
    for bad in ((N_USERS, 0), (0, N_ITEMS), (-1, 0), ([0, 1], [0, 1, 2])):
        _refuses(ValueError, f"pairs {bad}", model.predict, *bad)
    for wrong in ((0.5, 0), (0, [True])):
        _refuses(TypeError, f"pairs {wrong}", model.predict, *wrong)


def check_similar_items(model: Any) -> None:
    """An item is not similar to itself; a model without a notion of similarity raises ValueError."""
    model.fit(_matrix())
    try:
        items, scores = model.similar_items(np.arange(N_ITEMS), k=N_ITEMS)
    except ValueError:
        return
    _require(items.shape == scores.shape == (N_ITEMS, N_ITEMS), f"shape must be (n, k), got {items.shape}")
    _require(not (items == np.arange(N_ITEMS)[:, None]).any(), "an item must not be its own neighbour")
    one = model.similar_items(4, k=N_ITEMS)
    _same(one, (items[4], scores[4]), "one item against all")
    _refuses(ValueError, "an unknown item", model.similar_items, [N_ITEMS])
    _refuses(TypeError, "a float item", model.similar_items, [0.5])


def check_unseen_item(model: Any) -> None:
    """An item and a user without interactions get finite scores."""
    X = sp.vstack([_matrix(), sp.csr_array((1, N_ITEMS), dtype=np.float32)], format="csr")
    model.fit(X)
    found = model.predict(np.arange(N_USERS + 1), N_ITEMS - 1)
    _require(np.isfinite(found), "scores of an unseen item must be finite")
    items, scores = model.recommend(N_USERS, k=N_ITEMS)
    _require(np.isfinite(scores) & (items >= 0), "a user without items must get a whole ranking")


def check_sample_weight(model: Any) -> None:
    """A user of weight 2 counts as two users, a user of weight 0 not at all."""
    X = _matrix()
    weights = np.arange(N_USERS) % 3
    weighted = _copy(model).fit(X, sample_weight=weights)
    repeated = _copy(model).fit(X[np.repeat(np.arange(N_USERS), weights)])
    rows = X[:10]
    found, wanted = (m.recommend(rows, k=N_ITEMS, exclude_seen=False) for m in (weighted, repeated))
    a, b = (np.take_along_axis(s, np.argsort(i, axis=1), axis=1) for i, s in (found, wanted))
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4, err_msg="weights against repeats")


def check_deterministic(model: Any) -> None:
    """The same data give the same bits, for any number of threads."""
    X, users = _matrix(), np.arange(N_USERS)
    wanted = _copy(model).set_params(n_threads=1).fit(X).recommend(users)
    for n_threads in (1, 2, 3, None):
        again = _copy(model).set_params(n_threads=n_threads).fit(X).recommend(users)
        _same(again, wanted, f"n_threads={n_threads}")


def check_refit(model: Any) -> None:
    """A second ``fit`` forgets the first."""
    X = _matrix(seed=1)[:40, :20]
    once = _copy(model).fit(X)
    twice = model.fit(_matrix()).fit(X)
    _require((twice.n_users_, twice.n_items_) == X.shape, "sizes must be those of the second X")
    _same(twice.recommend(np.arange(40)), once.recommend(np.arange(40)), "second fit against the only one")


def check_threads_share_model(model: Any) -> None:
    """Threads may use one fitted model at the same time: its verbs only read it."""
    X = _matrix()
    model.fit(X)
    calls = [partial(model.recommend, np.arange(N_USERS)), partial(model.recommend, X), partial(model.predict, 5, 3),
             partial(model.score, X)]  # fmt: skip
    with suppress(ValueError):  # a model without a notion of similarity
        model.similar_items(0)
        calls.append(partial(model.similar_items, np.arange(N_ITEMS)))
    require_shareable(model, calls)


def check_save_and_load(model: Any) -> None:
    """A saved and a pickled model answer with the same bits; without interactions only rows are served."""
    X = _matrix()
    model.fit(X)
    users = np.arange(N_USERS)
    wanted = model.recommend(users)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.without.suffix"
        model.save(path)
        _require([file.name for file in Path(folder).iterdir()] == [path.name], "save must write exactly its path")
        for other in (load(path), pickle.loads(pickle.dumps(model))):
            _require(
                type(other) is type(model) and other.get_params() == model.get_params(),
                "parameters must return",
            )
            _same(other.recommend(users), wanted, "after a round trip")
        model.save(path, include_interactions=False)
        bare = load(path)
        _same(bare.recommend(X), wanted, "rows, without interactions")
        _refuses(ValueError, "user ids without interactions", bare.recommend, users)
        _refuses(ValueError, "user ids without interactions", bare.predict, 0, 0)


def check_score(model: Any) -> None:
    """``score`` is a share, the same in each call, and follows ``random_state``."""
    X = _matrix()
    model.fit(X[:40])
    value = model.score(X[40:])
    _require(isinstance(value, float) and 0 <= value <= 1, f"score must be a float in 0..1, got {value!r}")
    _require(model.score(X[40:]) == value, "score must be the same again")
    _require(model.set_params(random_state=0).score(X[40:]) == value, "random_state=None must be 0")
    others = {model.set_params(random_state=seed).score(X[40:]) for seed in range(1, 6)}
    _require(others != {value}, "random_state must choose the hidden items")
    _refuses(ValueError, "rows with one item", model.score, np.eye(N_ITEMS))
    _refuses(ValueError, "another number of items", model.score, X[:, :-1])


CHECKS: tuple[Check, ...] = (
    check_parameters, check_not_fitted, check_fit, check_fit_refuses, check_input_formats,
    check_recommend_shapes, check_recommend_refuses, check_recommend_order, check_exclude_seen,
    check_candidates, check_rows_are_users, check_predict, check_similar_items, check_unseen_item,
    check_sample_weight, check_deterministic, check_refit, check_threads_share_model,
    check_save_and_load, check_score,
)  # fmt: skip
