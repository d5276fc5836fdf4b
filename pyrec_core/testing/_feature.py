"""Checks of the feature door; scikit-learn's own suite of checks asks the rest."""

import os
import pickle
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._errors import NotFittedError
from ..models import load
from ..models.feature import FeatureModel
from ._fitting import check_parameters
from ._sharing import require_shareable
from ._tools import copy, refuses, require

Table = tuple[NDArray[Any], NDArray[Any]]
_SIZES = (5, 4, 3)


def examples(seed: int = 0) -> Table:
    """Integer ids of three fields, and a target that the first two decide; the first field lacks its last category."""
    rng = np.random.default_rng(seed)
    X = np.stack([rng.integers(0, size, 120) for size in (4, *_SIZES[1:])], axis=1)
    return X, (X[:, 0] + X[:, 1]) % 2


def _fitted(model: Any, data: Table, **params: Any) -> Any:
    return copy(model).set_params(**{"random_state": 0, **params}).fit(*data)


def _outputs(model: FeatureModel, X: Any) -> NDArray[Any]:
    outputs: NDArray[Any] = model.decision_function(X) if hasattr(model, "classes_") else model.predict(X)
    return outputs


def _same(a: NDArray[Any], b: NDArray[Any], what: str) -> None:
    require(a.shape == b.shape and a.tobytes() == b.tobytes(), f"outputs must be the same bits: {what}")


def check_not_fitted(model: Any) -> None:
    """Every verb of an unfitted model raises NotFittedError."""
    X, y = examples()
    for verb, args in (("check_fitted", ()), ("predict", (X,)), ("score", (X, y)), ("save", (os.devnull,))):
        refuses(NotFittedError, f"{verb} before fit", getattr(model, verb), *args)


def check_fit(model: Any) -> None:
    """``fit`` returns self, keeps the parameters and the caller's arrays, and sets the attributes."""
    X, y = examples()
    params, before = model.get_params(), (X.copy(), y.copy())
    require(model.fit(X, y) is model, "fit must return self")
    require(model.get_params() == params, "fit must not change parameters")
    require(np.array_equal(X, before[0]) and np.array_equal(y, before[1]), "fit must not change X and y")
    require(model.n_features_in_ == X.shape[1], "n_features_in_ must be the number of fields")
    require(len(model.loss_curve_) == model.n_epochs_, "loss_curve_ must have a value an epoch")


def check_fit_refuses(model: Any) -> None:
    """Bad examples and labels are refused, and leave the model unfitted."""
    X, y = examples()
    refuses(ValueError, "negative ids", model.fit, -X - 1, y)
    refuses(ValueError, "1-D X", model.fit, X[:, 0], y)
    refuses(ValueError, "no examples", model.fit, X[:0], y[:0])
    refuses(ValueError, "fewer labels than rows", model.fit, X, y[:-1])
    refuses(ValueError, "no labels", model.fit, X)
    refuses(TypeError, "strings", model.fit, X.astype(str), y)
    refuses(ValueError, "n_threads 0", copy(model).set_params(n_threads=0).fit, X, y)
    refuses(NotFittedError, "predict after a failed fit", model.predict, X)


def check_predict(model: Any) -> None:
    """Predictions have a value a row, whatever the other rows are, and the labels that training had."""
    X, y = examples()
    model = _fitted(model, (X, y))
    whole = model.predict(X)
    require(whole.shape == y.shape, f"predict must return shape {y.shape}, got {whole.shape}")
    np.testing.assert_allclose(_outputs(model, X[7:9]), _outputs(model, X)[7:9], rtol=1e-5, atol=1e-6)
    if model.loss == "logistic":
        p = model.predict_proba(X)
        require(p.shape == (len(y), 2), f"predict_proba must return shape {(len(y), 2)}, got {p.shape}")
        np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-12)
        names = np.array(["no", "yes"])
        named = _fitted(model, (X, names[y]))
        require(named.predict(X) == names[whole], "labels must come back as they went in")
    refuses(ValueError, "another number of fields", model.predict, X[:, :2])


def check_unknown(model: Any) -> None:
    """Ids that training lacked are all the same to the model, or refused."""
    data = examples()
    model = _fitted(model, data, field_sizes=_SIZES)
    strangers = data[0][:2].copy()
    strangers[:, 0] = 4, 10_000  # within the size that was given, and beyond it
    strangers[1, 1:] = strangers[0, 1:]
    outputs = _outputs(model, strangers)
    require(np.isfinite(outputs), "unknown ids must have finite outputs")
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-6)
    refuses(ValueError, "unknown ids", model.set_params(handle_unknown="error").predict, strangers)


def check_deterministic(model: Any) -> None:
    """The same data and seed give the same bits, for any number of threads."""
    data = examples()
    wanted = _outputs(_fitted(model, data, n_threads=1), data[0])
    for n_threads in (1, 2, 3, None):
        _same(_outputs(_fitted(model, data, n_threads=n_threads), data[0]), wanted, f"n_threads={n_threads}")


def check_refit(model: Any) -> None:
    """A second ``fit`` forgets the first."""
    data, other = examples(), examples(seed=1)
    twice = _fitted(model, other).fit(*data)
    _same(_outputs(twice, data[0]), _outputs(_fitted(model, data), data[0]), "second fit against the only one")


def check_threads_share_model(model: Any) -> None:
    """Threads may use one fitted model at the same time: its verbs only read it."""
    X, y = examples()
    model = _fitted(model, (X, y))
    require_shareable(model, [partial(model.predict, X), partial(model.predict, X[:5]), partial(model.score, X, y)])


def check_save_and_load(model: Any) -> None:
    """A saved and a pickled model answer with the same bits."""
    data = examples()
    model = _fitted(model, data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.without.suffix"
        model.save(path)
        require([file.name for file in Path(folder).iterdir()] == [path.name], "save must write exactly its path")
        for other in (load(path), pickle.loads(pickle.dumps(model))):
            require(type(other) is type(model), "the class must return")
            require(other.get_params() == model.get_params(), "parameters must return")
            _same(_outputs(other, data[0]), _outputs(model, data[0]), "after a round trip")


CHECKS = (
    check_parameters, check_not_fitted, check_fit, check_fit_refuses, check_predict, check_unknown, check_deterministic,
    check_refit, check_threads_share_model, check_save_and_load,
)  # fmt: skip
