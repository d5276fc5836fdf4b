"""The feature door: models that predict a label or a number from the features of an example."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._backend import use_threads
from ..._errors import TrainingInterrupted
from ..._features import Features
from ..._random import Source
from ..._validation import as_array, check_bool, check_choice, check_float, check_int
from ...kernels.activations import activation_forward
from ...kernels.losses import binary_cross_entropy, squared_error
from ...kernels.random import integers
from ...layers import Fields, Layer
from ...metrics import global_auc, rmse
from ...optim import Optimizer
from ...train import shuffled
from .._trained import Trained, with_l2
from ._inputs import Layout, encode, learn_layout
from ._labels import check_labels, labels_of

_ROWS_AT_ONCE = 8192


class _only_for:
    """A method that only models with one loss have: for the others it does not exist, as scikit-learn wants it."""

    def __init__(self, loss: str) -> None:
        self.loss = loss

    def __call__(self, method: Any) -> Any:
        self.method = method
        self.__doc__ = method.__doc__
        return self

    def __get__(self, model: Any, owner: Any) -> Any:
        if model is None:
            return self.method
        if model.loss != self.loss:
            raise AttributeError(f"{self.method.__name__} needs loss={self.loss!r}, got {model.loss!r}")
        return self.method.__get__(model, owner)


@dataclass(kw_only=True, eq=False, repr=False)
class FeatureModel(Trained, ABC):
    """Base of the feature models: a leaf adds ``_build``, which makes its network.

    Parameters
    ----------
    loss : {"logistic", "squared"}
        "logistic" makes a classifier of two labels, "squared" a regressor.
    l2 : float >= 0
        Adds ``l2 * w`` to the gradient of each parameter that a batch touches.
    field_sizes : integers (n_fields,), optional
        Categories of each field of integer ids. Default: the largest id in training + 1.
    handle_unknown : {"row", "error"}
        Ids that training data did not have stand for the row of their field for what is unknown, or are refused. That
        row is zero, unless there was something unknown or missing in training too: then it has learned from it.
    n_epochs, batch_size, optimizer, learning_rate, early_stopping, validation_fraction, callbacks
        How to train: as in all models that are trained. The validation score is the AUC of a classifier, and minus the
        RMSE of a regressor.
    n_threads, random_state, verbose
        As in all models.

    Attributes
    ----------
    weights_ : dict of str to array
        All parameters of the network, by name.
    state_ : dict of str to array
        What else the network keeps, such as running means.
    classes_ : array (2,)
        The labels of a classifier, sorted.
    field_sizes_ : int64 (n_fields,)
        Categories of each field.
    seen_ : bool
        Which rows of the tables training data had.
    kind_ : {"ids", "numbers", "features"}
        What ``X`` was in training.
    n_slots_ : int
        Values of an example, at most.
    loss_curve_, validation_scores_ : float64, one value an epoch
    n_epochs_, n_features_in_ : int
    """

    loss: str = "logistic"
    l2: float = 0.0
    field_sizes: Any = None
    handle_unknown: str = "row"
    optimizer: str | Optimizer = "adam"
    batch_size: int = 256

    kind_: str = field(init=False)
    field_sizes_: NDArray[np.int64] = field(init=False)
    n_slots_: int = field(init=False)
    seen_: NDArray[np.bool_] = field(init=False)
    classes_: NDArray[Any] = field(init=False)
    state_: dict[str, NDArray[Any]] = field(init=False)

    def fit(self, X: Any, y: ArrayLike | None = None, validation_data: Any = None, resume: Any = None) -> Self:
        """Learn from examples.

        Parameters
        ----------
        X : integers (n, n_fields), numbers (n, n_features), or Features
            Integer ids count from 0 within each field. A dense or sparse matrix of floats has one feature a column,
            whose embedding is weighted by its value; networks see the columns of a dense one side by side, and of a
            sparse one the values that each row has. `Features` have categories and numbers side by side.
        y : labels or numbers (n,), optional
            Default: the target of `Features`.
        validation_data : tuple (X, y) or Features, optional
            Scored after each epoch.
        resume : path, optional
            A file that `pyrec_core.train.Checkpoint` wrote for the same parameters and data.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            A parameter, ``X`` or ``y`` of the wrong type.
        ValueError
            A parameter out of range, negative ids, NaN or infinity, other than two labels for a classifier, a loss that
            is not finite, a checkpoint of another training.
        KeyboardInterrupt
            Ctrl-C: the model is then fitted as far as training came.
        """
        self._check_parameters()
        X, y = _with_target(X, y)
        layout = learn_layout(X, self.field_sizes)
        fields = encode(X, layout, None, self.handle_unknown)
        target, labels = check_labels(y, len(fields.ids), self.loss, None)
        source, snapshot, about = self._beginning(resume, fields.ids, target)
        validation = None
        if validation_data is None and self.early_stopping:
            kept, held_out = _held_out(len(target), self.validation_fraction, source)
            validation = fields.take(held_out), target[held_out]
            fields, target = fields.take(kept), target[kept]
        state = self._layout_state(layout, fields, labels)
        if validation_data is not None:
            other, labels_of_other = validation_data if isinstance(validation_data, tuple) else (validation_data, None)
            other, labels_of_other = _with_target(other, labels_of_other)
            held_out_fields = encode(other, layout, state["seen_"], self.handle_unknown)
            validation = held_out_fields, check_labels(labels_of_other, len(held_out_fields.ids), self.loss, labels)[0]
        network = self._build(layout, source)
        validate = None if validation is None else _Scorer(network, *validation, self.loss)

        def batches(epoch: int) -> Any:
            return self._batches(len(target), source)

        try:
            learned = self._train(
                network, batches, lambda rows: self._step(network, fields.take(rows), target[rows]), source, snapshot,
                about, n_examples=float(len(target)), validate=validate,
            )  # fmt: skip
        except TrainingInterrupted as stop:
            self._set_trained(network, source, {**state, **stop.learned})
            raise
        self._set_trained(network, source, {**state, **learned})
        return self

    def partial_fit(self, X: Any, y: ArrayLike | None = None, classes: ArrayLike | None = None) -> Self:
        """Make one pass over a part of the data: for data larger than memory, or that come later.

        Parameters
        ----------
        X, y
            As in `fit`. The first call decides the fields and their sizes (see ``field_sizes``); categories that it
            lacks are learned later only if ``field_sizes`` leaves room for them. What the optimizer keeps lives on
            between the calls, but not in a model file.
        classes : (2,), optional
            The two labels, where the first part might have one only.

        Returns
        -------
        self
        """
        self._check_parameters()
        X, y = _with_target(X, y)
        first = not self.__sklearn_is_fitted__()
        layout = learn_layout(X, self.field_sizes) if first else self._layout()
        fields = encode(X, layout, None, self.handle_unknown)
        known = classes if first else getattr(self, "classes_", None)
        target, labels = check_labels(y, len(fields.ids), self.loss, known)
        if first:
            source, _, _ = self._beginning(None, fields.ids, target)
            network = self._build(layout, source)
            state = self._layout_state(layout, fields, labels)
            losses, epoch = np.empty(0), 0
        else:
            network, source = self._network()
            state = {**self._fitted_attributes(), "seen_": self.seen_ | _rows_in(fields, layout)}
            losses, epoch = self.loss_curve_, self.n_epochs_
        optimizer, total = self._optimizer(), 0.0
        with use_threads(self.n_threads):
            source.begin(epoch)
            for rows in self._batches(len(target), source):
                loss, n = self._step(network, fields.take(rows), target[rows])
                optimizer.step(network.params())
                total += loss * n
        learned = {
            "weights_": {name: p.value for name, p in network.named_params().items()},
            "loss_curve_": np.append(losses, total / len(target)),
            "validation_scores_": np.empty(0),
            "n_epochs_": epoch + 1,
        }
        self._set_trained(network, source, {**state, **learned})
        return self

    @_only_for("logistic")
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the logits of a classifier (n,): positive where the second label is the likelier one."""
        return self._outputs(X)

    @_only_for("logistic")
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each of the two labels (n, 2), in the order of ``classes_``."""
        p = activation_forward(self._outputs(X), "sigmoid", n_threads=self.n_threads)
        return np.stack([1.0 - p, p], axis=1)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the labels of a classifier, or the numbers of a regressor (n,).

        Parameters
        ----------
        X
            Of the kind that `fit` was given.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        TypeError
            Another kind of input than in training.
        ValueError
            Another number of fields, negative ids, unknown ids where ``handle_unknown`` is "error".
        """
        outputs = self._outputs(X)
        return labels_of(outputs > 0, self.classes_) if hasattr(self, "classes_") else outputs

    def score(self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy of a classifier, or the coefficient of determination of a regressor."""
        X, y = _with_target(X, y)
        predicted = self.predict(X)
        truth = as_array("y", y) if y is not None else None
        if truth is None or truth.shape != predicted.shape:
            raise ValueError(f"y must have shape {predicted.shape}, got {None if truth is None else truth.shape}")
        weights = None if sample_weight is None else np.asarray(sample_weight, np.float64)
        if hasattr(self, "classes_"):
            return float(np.average(truth == predicted, weights=weights))
        mean = np.average(truth, weights=weights)
        rest = np.average((truth - predicted) ** 2, weights=weights)
        spread = np.average((truth - mean) ** 2, weights=weights)
        return float(1.0 - rest / spread) if spread > 0 else float(rest == 0.0)

    @abstractmethod
    def _build(self, layout: Layout, source: Source) -> Layer:
        """Return the network: from `Fields` to outputs (n, 1)."""

    def _batches(self, n: int, source: Source) -> Iterator[NDArray[np.int64]]:
        return shuffled(n, self.batch_size, source, fewest=2)  # one example has no mean to be normalised by

    def _step(self, network: Layer, fields: Fields, target: NDArray[np.float32]) -> tuple[float, float]:
        outputs, backprop = network.forward(fields, train=True)
        loss = binary_cross_entropy if self.loss == "logistic" else squared_error
        value, d_outputs = loss(outputs, target[:, None].astype(outputs.dtype), divisor=len(target))
        backprop(d_outputs)
        return value, len(target)

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        self.check_fitted()
        self._check_parameters()
        fields = encode(X, self._layout(), self.seen_, self.handle_unknown, type(self).__name__)
        network, _ = self._network()
        return _run(network, fields, self.n_threads)

    def _layout(self) -> Layout:
        return Layout(self.kind_, self.field_sizes_, self.n_slots_)

    def _layout_state(self, layout: Layout, fields: Fields, labels: NDArray[Any] | None) -> dict[str, Any]:
        state: dict[str, Any] = {
            "kind_": layout.kind, "field_sizes_": layout.sizes, "n_slots_": layout.n_slots,
            "n_features_in_": len(layout.sizes), "seen_": _rows_in(fields, layout),
        }  # fmt: skip
        return state if labels is None else {**state, "classes_": labels}

    def _set_trained(self, network: Layer, source: Source, state: dict[str, Any]) -> None:
        self._set_fitted({**state, "state_": network.state()})
        vars(self)["_made"] = network, source

    def _network(self) -> tuple[Layer, Source]:
        """Return the network of the fitted weights, and where it takes random numbers from."""
        made: tuple[Layer, Source] | None = vars(self).get("_made")
        if made is None:
            source = Source(0 if self.random_state is None else self.random_state)
            network = self._build(self._layout(), source)
            for name, p in network.named_params().items():
                p.value = self.weights_[name]
            network.load_state(self.state_)
            vars(self)["_made"] = made = network, source
        return made

    def _optimizer(self) -> Optimizer:
        return with_l2(super()._optimizer(), self.l2)

    def _check_parameters(self) -> None:
        self._check_trained()
        check_choice("loss", self.loss, ("logistic", "squared"))
        check_choice("handle_unknown", self.handle_unknown, ("row", "error"))
        check_float("l2", self.l2, low=0.0)
        if self.n_threads is not None:
            check_int("n_threads", self.n_threads, low=1)
        if self.verbose is not None:
            check_bool("verbose", self.verbose)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, RegressorTags

        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if self.loss == "logistic":
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags(multi_class=False)
        else:
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        return tags


class _Scorer:
    """Scores a network in training on held-out examples: larger is better."""

    def __init__(self, network: Layer, fields: Fields, target: NDArray[np.float32], loss: str) -> None:
        self.network, self.fields, self.target, self.loss = network, fields, target, loss

    def __call__(self) -> float:
        outputs = _run(self.network, self.fields, None)
        return global_auc(self.target, outputs) if self.loss == "logistic" else -rmse(self.target, outputs)


def _run(network: Layer, fields: Fields, n_threads: int | None) -> NDArray[np.float64]:
    n = len(fields.ids)
    outputs = np.empty(n)
    with use_threads(n_threads):
        for first in range(0, n, _ROWS_AT_ONCE):
            rows = np.arange(first, min(n, first + _ROWS_AT_ONCE))
            outputs[rows] = network(fields.take(rows))[:, 0]
    return outputs


def _rows_in(fields: Fields, layout: Layout) -> NDArray[np.bool_]:
    seen = np.zeros(layout.n_rows, bool)
    seen[fields.ids.reshape(-1)] = True
    return seen


def _with_target(X: Any, y: ArrayLike | None) -> tuple[Any, ArrayLike | None]:
    return X, X.target if y is None and isinstance(X, Features) else y


def _held_out(n: int, share: float, source: Source) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which examples are kept, and which are held out."""
    order = np.argsort(integers(n, 2**63 - 1, **source.take("split", n)), kind="stable")
    n_out = max(1, int(n * share))
    return np.sort(order[n_out:]), np.sort(order[:n_out])
