"""What all models share: parameters, representation, model files, and the scikit-learn contract."""

import os
from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from inspect import isabstract
from typing import Any, Self

import numpy as np
import scipy.sparse as sp

from .. import _persist
from .._errors import not_fitted_error


@dataclass(kw_only=True, eq=False, repr=False)
class Estimator:
    """Base of all models: a dataclass of hyper-parameters, which ``__init__`` only stores.

    ``fit`` checks the parameters and sets attributes whose names end in ``_``: NumPy arrays, SciPy CSR
    arrays, dicts of arrays, numbers, strings, tuples or models. They and the parameters are all that a model file or a
    pickle holds; what a model makes of them to save work is kept in ``_made``, and forgotten.
    They are declared with ``field(init=False)``, which makes them no parameters.
    """

    n_features_in_: int = field(init=False)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name. ``deep`` is there for scikit-learn; parameters are flat.

        Examples
        --------
        >>> from pyrec_core import EASE
        >>> EASE(l2=200.0).get_params()["l2"]
        200.0
        """
        return {p.name: getattr(self, p.name) for p in parameters(self)}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; what was fitted stays until the next ``fit``.

        Raises
        ------
        ValueError
            A name is not a parameter of this model.

        Examples
        --------
        >>> from pyrec_core import EASE
        >>> EASE().set_params(l2=200.0)
        EASE(l2=200.0)
        """
        valid = [p.name for p in parameters(self)]
        unknown = [name for name in params if name not in valid]
        if unknown:
            raise ValueError(
                f"params must be among {', '.join(valid)} for {type(self).__name__}, got {', '.join(unknown)}"
            )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        values = [(p.name, getattr(self, p.name), p.default) for p in parameters(self)]
        changed = [f"{name}={value!r}" for name, value, default in values if repr(value) != repr(default)]
        return f"{type(self).__name__}({', '.join(changed)})"

    def check_fitted(self) -> None:
        """Raise `NotFittedError` unless ``fit`` has completed.

        Examples
        --------
        >>> from pyrec_core import EASE, NotFittedError
        >>> try:
        ...     EASE().check_fitted()
        ... except NotFittedError as error:
        ...     print(error)
        EASE must be fitted first, call fit
        """
        if not self.__sklearn_is_fitted__():
            raise not_fitted_error(f"{type(self).__name__} must be fitted first, call fit")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to exactly ``path``, without pickle; `pyrec_core.load` reads it.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        """
        self._save(path, self._fitted_attributes())

    def _save(self, path: str | os.PathLike[str], state: dict[str, Any]) -> None:
        self.check_fitted()
        _persist.save(path, *_plain(self, state))

    def _saved_parameters(self) -> dict[str, Any]:
        """Return the parameters as a model file holds them."""
        return self.get_params(deep=False)

    @classmethod
    def _from_saved(cls, params: dict[str, Any]) -> Self:
        """Make a model of what `_saved_parameters` returned."""
        return cls(**params)

    def _fitted_attributes(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name.endswith("_")}

    def _set_fitted(self, state: dict[str, Any]) -> None:
        """Replace all that an earlier ``fit`` has set, after everything that can fail or be interrupted."""
        stale = self._fitted_attributes().keys() - state.keys()
        vars(self).pop("_made", None)
        vars(self).update(state)
        for name in stale:
            delattr(self, name)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_made"}

    def __sklearn_is_fitted__(self) -> bool:
        return "n_features_in_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags  # only scikit-learn calls this

        return Tags(estimator_type=None, target_tags=TargetTags(required=False), input_tags=InputTags(sparse=True))


def parameters(model: Estimator) -> list[Field[Any]]:
    """Return the dataclass fields that are parameters, base classes first."""
    return [p for p in fields(model) if p.init]


def load(path: str | os.PathLike[str], *, mmap: bool = False) -> Any:
    """Return the fitted model that ``model.save(path)`` wrote.

    Parameters
    ----------
    path : str or path-like
    mmap : bool
        Map the arrays of the file instead of reading them: processes then share the memory. The file must
        stay in place, and damage to the arrays is not noticed.

    Returns
    -------
    model
        Of the class that was saved.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is damaged, no model file, of a newer format, or holds a model this version does not know.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from pyrec_core import Popularity, load
    >>> path = os.path.join(tempfile.mkdtemp(), "model")
    >>> Popularity().fit(np.eye(3)).save(path)
    >>> load(path)
    Popularity()
    """
    header, arrays = _persist.load(path, mmap)
    known = {cls.__name__: cls for cls in _subclasses(Estimator) if hasattr(cls, "fit") and not isabstract(cls)}
    name = header.get("class")
    if name not in known:
        raise ValueError(
            f"path must name a file with one of the models {', '.join(sorted(known))}, "
            f"got {os.fspath(path)!r} with {name!r}, written by version {header.get('package_version')}"
        )
    try:
        return _restored(known, header, arrays)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"path must name a model file, got {os.fspath(path)!r} with a wrong content: {error}"
        raise ValueError(message) from error


def _plain(model: Estimator, state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the header and the arrays of a file with a model of this state, and with the models in it."""
    arrays: dict[str, np.ndarray] = {}
    sparse: dict[str, tuple[int, ...]] = {}
    tables: list[str] = []
    models: dict[str, dict[str, Any]] = {}
    scalars: dict[str, Any] = {}
    for name, value in state.items():
        if sp.issparse(value):
            sparse[name] = value.shape
            arrays |= {f"{name}.{part}": getattr(value, part) for part in ("data", "indices", "indptr")}
        elif isinstance(value, np.ndarray):
            arrays[name] = value
        elif isinstance(value, dict):  # of arrays by name
            tables.append(name)
            arrays |= {f"{name}/{key}": array for key, array in value.items()}
        elif isinstance(value, Estimator):
            models[name], parts = _plain(value, value._fitted_attributes())
            arrays |= {f"{name}/{key}": array for key, array in parts.items()}
        else:
            scalars[name] = value
    header = {
        "class": type(model).__name__,
        "parameters": model._saved_parameters(),
        "attributes": scalars,
        "sparse": sparse,
        **({"tables": tables} if tables else {}),
        **({"models": models} if models else {}),
    }
    return header, arrays


def _restored(known: dict[str, type[Estimator]], header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Estimator:
    """Return the model that `_plain` took apart."""
    model = known[header["class"]]._from_saved(header["parameters"])
    sparse = {key: _sparse(key, arrays, tuple(shape)) for key, shape in header["sparse"].items()}
    inner: dict[str, dict[str, Any]] = header.get("models", {})
    tables: dict[str, dict[str, Any]] = {key: {} for key in (*header.get("tables", ()), *inner)}
    dense = {key: array for key, array in arrays.items() if key.partition(".")[0] not in sparse}
    for key in [key for key in dense if key.partition("/")[0] in tables]:
        table, _, part = key.partition("/")
        tables[table][part] = dense.pop(key)
    models = {key: _restored(known, about, tables.pop(key)) for key, about in inner.items()}
    state = {**dense, **sparse, **tables, **models, **header["attributes"]}
    if not all(key.endswith("_") for key in state):
        raise ValueError(f"unexpected attributes among {', '.join(sorted(state))}")
    model._set_fitted(state)
    model.check_fitted()
    return model


def _sparse(name: str, arrays: dict[str, np.ndarray], shape: tuple[int, ...]) -> Any:
    parts = [arrays[f"{name}.{part}"] for part in ("data", "indices", "indptr")]
    X = sp.csr_array(tuple(parts), shape=shape)
    X.check_format(full_check=True)  # native code will trust these indices
    return X


def _subclasses(cls: type[Estimator]) -> Iterator[type[Estimator]]:
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)
