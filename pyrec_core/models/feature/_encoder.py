"""From the columns of a table to `Features`: what is learned of training data and kept with a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..._crosses import collision_rate
from ..._features import Features
from ..._frames import is_frame
from ..._lists import Column
from .._estimator import Estimator
from ._columns import encode_columns, learn_categories, learn_edges, learn_scale, read_columns
from ._plan import Plan

_BY_COLUMN = ("scaling", "bins", "multi_pooling")


@dataclass(kw_only=True, eq=False, repr=False)
class FeatureEncoder(Estimator):
    """Makes `Features` of tables: categories, numbers, and lists of categories.

    Tables are data frames of pandas, Polars or Arrow, whose columns have names; mappings of columns; or 2-D arrays,
    whose columns have numbers. All models of the feature door take what it makes, as a step of a pipeline before them
    or as their parameter ``encoder``; then it is saved with the model.

    What training did not have stands for the row of its field that is for the unknown, as do missing entries (None,
    NaN, empty strings) and rare categories. A model learns of that row wherever training data have it.

    Parameters
    ----------
    categorical : column or sequence of columns
        Integers, strings, booleans, or whole floats. Each has the categories of training, sorted.
    numerical : column or sequence of columns
        Numbers, scaled or in bins. A number that is missing has the row for the unknown, with the value 1.
    multi : column or sequence of columns
        Each cell a list or an array of integers or strings, or a string to be split. A missing or empty one counts as
        one unknown category.
    min_count : int >= 1
        Categories that occur in fewer rows (of a multi-valued column: fewer times) count as unknown.
    scaling : {"standard", "log", None}, or mapping of columns to these
        Of numbers that are not in bins: less their mean and divided by their standard deviation; the same of
        ``sign(x) log(1 + |x|)``, for counts; or as they are. Columns that a mapping lacks: "standard".
    bins : int >= 2, or mapping of columns to such, optional
        Number of bins, at the quantiles of training data, that numbers are put in: then each bin is a category.
        Columns that a mapping lacks are scaled. None: all are.
    multi_pooling : {"mean", "sum"}, or mapping of columns to these
        What is made of the embeddings, and of the weights, of the categories of a list. Columns that a mapping lacks:
        "mean".
    separator : str
        Of the parts of a string in a multi-valued column. Empty parts do not count.
    crosses : sequence of tuples of columns
        Combinations of two or more categorical columns or such in bins. Each is hashed to ``cross_size`` rows of its
        own, which linear parts of models (`WideDeep`, `LogisticRegression` and others) give weights.
    cross_size : int >= 2
        More of them collide less and take more memory.

    Attributes
    ----------
    categories_ : dict of str to array
        The categories of each categorical or multi-valued column, in the order of their ids.
    scales_ : dict of str to float64 (2,)
        Mean and standard deviation of each scaled column.
    edges_ : dict of str to float64 (n_bins - 1,)
        What separates the bins of each column that has them.
    collision_rates_ : float64 (n_crosses,)
        Share of the distinct combinations in training that have a row together with another.
    n_features_in_ : int
        Columns of the table in training.

    Examples
    --------
    >>> from pyrec_core import FeatureEncoder
    >>> films = {"city": ["Rome", "Bonn", "Rome"], "age": [30, 41, 19], "genres": ["action|crime", "", "crime"]}
    >>> encoder = FeatureEncoder(categorical="city", numerical="age", multi="genres")
    >>> encoder.fit_transform(films)
    Features(3 rows, 3 fields, 1 of lists, 5 categories)
    >>> encoder.categories_["genres"].tolist()
    ['action', 'crime']
    >>> encoder.transform({"city": ["Oslo"], "age": [30.0], "genres": [["crime", "war"]]}).ids
    array([[-1,  0]], dtype=int32)
    """

    categorical: Any = ()
    numerical: Any = ()
    multi: Any = ()
    min_count: int = 1
    scaling: Any = "standard"
    bins: Any = None
    multi_pooling: Any = "mean"
    separator: str = "|"
    crosses: Any = ()
    cross_size: int = 2**18

    categories_: dict[str, NDArray[Any]] = field(init=False)
    scales_: dict[str, NDArray[np.float64]] = field(init=False)
    edges_: dict[str, NDArray[np.float64]] = field(init=False)
    collision_rates_: NDArray[np.float64] = field(init=False)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn categories, scales and bins.

        Parameters
        ----------
        X : data frame, mapping of columns, or 2-D array
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ImportError
            A data frame without narwhals (the extra ``frames``).
        TypeError
            A parameter or a column of the wrong type.
        ValueError
            A parameter out of range, columns that ``X`` lacks, infinity, no rows.
        """
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Features:
        """Learn from a table, and return its features: `fit` and `transform`, with the table read once."""
        plan = Plan.of(self)
        read, n_columns = read_columns(plan, X)
        state: dict[str, Any] = {"categories_": {}, "scales_": {}, "edges_": {}, "n_features_in_": n_columns}
        for name, column in read.items():
            if isinstance(column, np.ndarray) and name in plan.bins:
                state["edges_"][name] = learn_edges(column, plan.bins[name])
            elif isinstance(column, np.ndarray):
                state["scales_"][name] = learn_scale(column, plan.scaling[name])
            else:
                entries = column.entries if isinstance(column, Column) else column
                state["categories_"][name] = learn_categories(entries, plan.min_count)
        features, bits = encode_columns(plan, read, state)
        state["collision_rates_"] = np.array([collision_rate(each, plan.cross_size) for each in bits])
        self._set_fitted(state)
        return features

    def transform(self, X: Any) -> Features:
        """Return the features of a table that has the columns of training, at any place.

        Raises
        ------
        NotFittedError
            Not fitted.
        TypeError
            A column of another kind than in training.
        ValueError
            Columns that ``X`` lacks, another number of columns of an array, infinity.
        """
        self.check_fitted()
        plan = Plan.of(self)
        read, n_columns = read_columns(plan, X)
        named = is_frame(X) or isinstance(X, Mapping)
        if not named and n_columns != self.n_features_in_:
            raise ValueError(
                f"X has {n_columns} features, but FeatureEncoder is expecting {self.n_features_in_} features as input"
            )
        return encode_columns(plan, read, self._fitted_attributes())[0]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the fields, and then of the crosses. ``input_features`` is there for scikit-learn."""
        self.check_fitted()
        plan = Plan.of(self)
        return np.array([*plan.columns, *map("*".join, plan.crosses)], dtype=object)

    def _saved_parameters(self) -> dict[str, Any]:
        params = self.get_params()
        maps = {name: tuple(params[name].items()) for name in _BY_COLUMN if isinstance(params[name], Mapping)}
        return {**params, **maps}  # in JSON keys would become strings

    @classmethod
    def _from_saved(cls, params: dict[str, Any]) -> Self:
        maps = {name: dict(params[name]) for name in _BY_COLUMN if isinstance(params[name], tuple)}
        return cls(**{**params, **maps})

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, TransformerTags

        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags()
        tags.input_tags = InputTags(string=True, categorical=True, allow_nan=True)
        return tags
