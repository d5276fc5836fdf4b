"""The feature door: models that predict a label or a number from the features of an example."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._backend import use_threads
from ..._errors import TrainingInterrupted
from ..._random import Source
from ..._validation import as_array, check_bool, check_choice, check_float, check_int
from ...kernels.activations import activation_forward
from ...layers import Fields, Layer
from ...optim import Optimizer
from ...train import first_rows, measuring, shuffled
from .._trained import Trained, trusting, weights_of, with_l2
from ._encoder import FeatureEncoder
from ._inputs import Layout, encode, learn_layout
from ._labels import check_labels, labels_of
from ._running import Scorer, held_out_rows, on_device, only_for, rows_in, run, step_of, with_target

_INNER = "encoder__"


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
    encoder : FeatureEncoder, optional
        What makes `Features` of the ``X`` that are given to `fit` and to the other methods. It is itself left as it is;
        the one that is fitted, to each training anew, is kept and saved as ``encoder_``. Its parameters can be set as
        ``encoder__<name>``.
    negative_rate : float in (0, 1]
        Share of the negative examples (of the first label) that training data kept of those that there were. Logits
        are then shifted by its logarithm, so that probabilities are those of all examples: ``p / (p + (1 - p) /
        negative_rate)`` for a probability p among what was kept (King & Zeng 2001; He et al. 2014).
    n_epochs, batch_size, optimizer, learning_rate, early_stopping, validation_fraction, callbacks
        How to train: as in all models that are trained. The validation score is the AUC of a classifier, and minus the
        RMSE of a regressor.
    device, n_threads, random_state, verbose
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
        Values of an example, at most; a list of categories is one.
    n_cross_rows_ : int
        Weights of all crosses.
    encoder_ : FeatureEncoder
        The fitted one, where there is one.
    loss_curve_, validation_scores_ : float64, one value an epoch
    n_epochs_, n_features_in_ : int
    """

    loss: str = "logistic"
    l2: float = 0.0
    field_sizes: Any = None
    handle_unknown: str = "row"
    encoder: Any = None
    negative_rate: float = 1.0
    optimizer: str | Optimizer = "adam"
    batch_size: int = 256

    kind_: str = field(init=False)
    field_sizes_: NDArray[np.int64] = field(init=False)
    n_slots_: int = field(init=False)
    n_cross_rows_: int = field(init=False)
    encoder_: FeatureEncoder = field(init=False)
    seen_: NDArray[np.bool_] = field(init=False)
    classes_: NDArray[Any] = field(init=False)
    state_: dict[str, NDArray[Any]] = field(init=False)

    _linear: ClassVar[bool] = True  # whether there is a linear part, which gives crosses their weights

    def fit(self, X: Any, y: ArrayLike | None = None, validation_data: Any = None, resume: Any = None) -> Self:
        """Learn from examples.

        Parameters
        ----------
        X : integers (n, n_fields), numbers (n, n_features), or Features; with an encoder a table that it reads
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
        ImportError
            ``device="cuda"`` where that cannot be used; the message says why.
        TypeError
            A parameter, ``X`` or ``y`` of the wrong type.
        ValueError
            A parameter out of range, negative ids, NaN or infinity, other than two labels for a classifier, a loss that
            is not finite, a checkpoint of another training.
        NotEnoughMemoryError
            Not enough memory on a GPU; the message names the array, and a ``batch_size`` that fits if it is that.
        KeyboardInterrupt
            Ctrl-C: the model is then fitted as far as training came.
        """
        self._check_parameters()
        X, y = with_target(X, y)
        encoder = self._new_encoder()
        X = X if encoder is None else encoder.fit_transform(X)
        layout = self._learn_layout(X)
        fields = encode(X, layout, None, self.handle_unknown)
        target, labels = check_labels(y, fields.n_examples, self.loss, None)
        source, snapshot, about = self._beginning(resume, target, *(part for part in fields if part is not None))
        validation = None
        if validation_data is None and self.early_stopping:
            kept, held_out = held_out_rows(len(target), self.validation_fraction, source)
            validation = fields.take(held_out), target[held_out]
            fields, target = fields.take(kept), target[kept]
        state = self._layout_state(layout, fields, labels, encoder)
        if validation_data is not None:
            other, labels_of_other = validation_data if isinstance(validation_data, tuple) else (validation_data, None)
            other, labels_of_other = with_target(other, labels_of_other)
            other = other if encoder is None else encoder.transform(other)
            shown = encode(other, layout, state["seen_"], self.handle_unknown)
            validation = shown, check_labels(labels_of_other, shown.n_examples, self.loss, labels)[0]
        network = self._build(layout, source)
        network.to(self.device)
        validate = None if validation is None else Scorer(network, *validation, self.loss, self.device)
        fields, target = on_device(fields, target, self.device)
        step = step_of(network, fields, target, self.loss)
        try:
            learned = self._train(
                network, lambda epoch: self._batches(len(target), source), step, source, snapshot, about,
                n_examples=float(len(target)), validate=validate, part=first_rows,
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
            As in `fit`. The first call decides the fields and their sizes (see ``field_sizes``), and fits the encoder;
            categories that it lacks are learned later only if ``field_sizes`` leaves room for them. What the optimizer
            keeps lives on between the calls, but not in a model file.
        classes : (2,), optional
            The two labels, where the first part might have one only.

        Returns
        -------
        self
        """
        self._check_parameters()
        X, y = with_target(X, y)
        first = not self.__sklearn_is_fitted__()
        encoder = self._new_encoder() if first else getattr(self, "encoder_", None)
        if encoder is not None:
            X = encoder.fit_transform(X) if first else encoder.transform(X)
        layout = self._learn_layout(X) if first else self._layout()
        fields = encode(X, layout, None, self.handle_unknown)
        known = classes if first else getattr(self, "classes_", None)
        target, labels = check_labels(y, fields.n_examples, self.loss, known)
        if first:
            source, _, _ = self._beginning(None)
            network = self._build(layout, source)
            network.to(self.device)
            state = self._layout_state(layout, fields, labels, encoder)
            losses, epoch = np.empty(0), 0
        else:
            network, source = self._network()
            state = {**self._fitted_attributes(), "seen_": self.seen_ | rows_in(fields, layout)}
            losses, epoch = self.loss_curve_, self.n_epochs_
        fields, target = on_device(fields, target, self.device)
        step = trusting(step_of(network, fields, target, self.loss))
        step = measuring(step, network, self.batch_size, first_rows)
        optimizer, total = self._optimizer_of(network), 0.0
        with use_threads(self.n_threads):
            source.begin(epoch)
            for rows in self._batches(len(target), source):
                loss, n = step(rows)
                optimizer.step(network.params())
                total += loss * n
        learned = {
            "weights_": weights_of(network),
            "loss_curve_": np.append(losses, total / len(target)),
            "validation_scores_": np.empty(0),
            "n_epochs_": epoch + 1,
        }
        self._set_trained(network, source, {**state, **learned})
        return self

    @only_for("logistic")
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the logits of a classifier (n,): positive where the second label is the likelier one."""
        return self._outputs(X)

    @only_for("logistic")
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
        X, y = with_target(X, y)
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
        # one example has no mean to be normalised by
        return shuffled(n, self.batch_size, source, fewest=2, device=self.device)

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        self.check_fitted()
        self._check_parameters()
        encoder = getattr(self, "encoder_", None)
        X = X if encoder is None else encoder.transform(X)
        fields = encode(X, self._layout(), self.seen_, self.handle_unknown, type(self).__name__)
        network, _ = self._network()
        outputs = run(network, fields, self.n_threads, self.device)
        return outputs + np.log(self.negative_rate) if self.loss == "logistic" else outputs

    def _new_encoder(self) -> FeatureEncoder | None:
        return None if self.encoder is None else type(self.encoder)(**self.encoder.get_params())

    def _learn_layout(self, X: Any) -> Layout:
        layout = learn_layout(X, self.field_sizes)
        if layout.n_cross_rows and not self._linear:
            name, n = type(self).__name__, X.crosses.shape[1]
            raise ValueError(f"X must have no crosses for {name}, which has no linear part to weight them, got {n}")
        return layout

    def _layout(self) -> Layout:
        return Layout(self.kind_, self.field_sizes_, self.n_slots_, getattr(self, "n_cross_rows_", 0))

    def _layout_state(
        self, layout: Layout, fields: Fields, labels: NDArray[Any] | None, encoder: FeatureEncoder | None
    ) -> dict[str, Any]:
        state: dict[str, Any] = {
            "kind_": layout.kind, "field_sizes_": layout.sizes, "n_slots_": layout.n_slots,
            "n_cross_rows_": layout.n_cross_rows, "seen_": rows_in(fields, layout),
            "n_features_in_": len(layout.sizes) if encoder is None else encoder.n_features_in_,
        }  # fmt: skip
        optional = {"classes_": labels, "encoder_": encoder}
        return state | {name: value for name, value in optional.items() if value is not None}

    def _set_trained(self, network: Layer, source: Source, state: dict[str, Any]) -> None:
        self._set_fitted({**state, "state_": network.state()})
        vars(self)["_made"] = network, source

    def _network(self) -> tuple[Layer, Source]:
        """Return the network of the fitted weights, on the device, and where it takes random numbers from."""
        made: tuple[Layer, Source] | None = vars(self).get("_made")
        if made is None:
            source = Source(0 if self.random_state is None else self.random_state)
            network = self._build(self._layout(), source)
            for name, p in network.named_params().items():
                p.value = self.weights_[name]
            network.load_state(self.state_)
            vars(self)["_made"] = made = network, source
        made[0].to(self.device)  # which may be another one than it was made or used on before
        return made

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name; ``deep``: those of the encoder too, as ``encoder__<name>``."""
        params = super().get_params()
        if deep and isinstance(self.encoder, FeatureEncoder):
            params |= {f"{_INNER}{name}": value for name, value in self.encoder.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, and those of the encoder as ``encoder__<name>``.

        Raises
        ------
        ValueError
            A name is not a parameter of this model, or of its encoder.
        """
        super().set_params(**{name: value for name, value in params.items() if not name.startswith(_INNER)})
        inner = {name.removeprefix(_INNER): value for name, value in params.items() if name.startswith(_INNER)}
        if inner and not isinstance(self.encoder, FeatureEncoder):
            raise ValueError(f"encoder must be a FeatureEncoder to have {', '.join(inner)}, got {self.encoder!r}")
        if inner:
            self.encoder.set_params(**inner)
        return self

    def _saved_parameters(self) -> dict[str, Any]:
        params = super()._saved_parameters()
        return {**params, "encoder": None if self.encoder is None else self.encoder._saved_parameters()}

    @classmethod
    def _from_saved(cls, params: dict[str, Any]) -> Self:
        inner = params.get("encoder")
        return super()._from_saved({**params, "encoder": None if inner is None else FeatureEncoder._from_saved(inner)})

    def _optimizer(self) -> Optimizer:
        return with_l2(super()._optimizer(), self.l2)

    def _check_parameters(self) -> None:
        self._check_trained()
        check_choice("loss", self.loss, ("logistic", "squared"))
        check_choice("handle_unknown", self.handle_unknown, ("row", "error"))
        check_float("l2", self.l2, low=0.0)
        if self.encoder is not None and not isinstance(self.encoder, FeatureEncoder):
            raise TypeError(f"encoder must be a FeatureEncoder, got {type(self.encoder).__name__}")
        rate = check_float("negative_rate", self.negative_rate, low=0.0, high=1.0, low_open=True)
        if rate < 1.0 and self.loss != "logistic":
            raise ValueError(f"negative_rate must be 1 for loss={self.loss!r}, got {rate}")
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
