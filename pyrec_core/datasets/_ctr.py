"""Clicks that depend on three fields at a time, with their true probabilities."""

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from .._features import Features
from .._random import RandomState, seed_of, stream
from .._validation import MAX_ID, check_float, check_float_array, check_int, check_integers
from ._draws import blocks

_MAX_FIELDS = 2**21  # triples of them can be numbered in 64 bits


@dataclass(frozen=True, eq=False, repr=False)
class CtrProcess:
    """Rows of categories, all equally likely, with a click whose log-odds are products of three fields.

    The log-odds of a row are the sum over ``triples`` (f, g, h) of ``sum_k a_k b_k c_k``, where a, b and c are the
    factors of its categories in the fields f, g and h. Factors with mean 0 leave almost nothing to see in one field
    or two: a model must multiply three.

    Parameters
    ----------
    triples : integers (n_triples, 3)
        Three different fields each. Stored as int64.
    factors : float (n_fields, n_values, n_factors)
        Stored as float64.

    Attributes
    ----------
    shape : (n_fields, n_values)

    Raises
    ------
    TypeError
        Triples that are not integers, factors that are not float.
    ValueError
        Wrong shapes, unknown or repeated fields in a triple, NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.datasets import CtrProcess
    >>> process = CtrProcess([[0, 1, 2]], np.array([[[-1.0], [1.0]]] * 3))
    >>> process
    CtrProcess(1 triples of 3 fields, 2 values each)
    >>> data = process.sample(3, random_state=0)
    >>> data.ids
    array([[1, 1, 1],
           [0, 0, 0],
           [0, 0, 1]], dtype=int32)
    >>> process.logits(data), process.logit_std
    (array([ 1., -1.,  1.]), 1.0)
    """

    triples: NDArray[np.int64]
    factors: NDArray[np.float64]

    def __post_init__(self) -> None:
        factors = check_float_array("factors", self.factors, ndim=3).astype(np.float64, copy=False)
        if factors.size == 0:
            raise ValueError(f"factors must not be empty, got shape {factors.shape}")
        if not np.isfinite(factors).all():
            raise ValueError("factors must be finite, got NaN or infinity")
        triples = check_integers("triples", self.triples)
        if triples.ndim != 2 or triples.shape[1] != 3 or len(triples) == 0:
            raise ValueError(f"triples must have shape (n_triples, 3), n_triples >= 1, got {triples.shape}")
        n_fields = len(factors)
        ordered = np.sort(triples, axis=1)
        wrong = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1) | (ordered[:, 0] < 0) | (ordered[:, 2] >= n_fields)
        if wrong.any():
            first = triples[wrong][0].tolist()
            raise ValueError(f"triples must hold three different fields of 0..{n_fields - 1} each, got {first}")
        object.__setattr__(self, "triples", triples.astype(np.int64, copy=False))
        object.__setattr__(self, "factors", factors)

    @property
    def shape(self) -> tuple[int, int]:
        """The pair (n_fields, n_values)."""
        n_fields, n_values, _ = self.factors.shape
        return n_fields, n_values

    def __repr__(self) -> str:
        n_fields, n_values = self.shape
        return f"{type(self).__name__}({len(self.triples)} triples of {n_fields} fields, {n_values} values each)"

    @property
    def logit_std(self) -> float:
        """Standard deviation of the log-odds over all rows there are."""
        # With each factor split into mean and rest the log-odds become a sum over sets of one, two or three fields of
        # products of the rests in them. Fields are independent, so the terms are uncorrelated: variances add up.
        triples, mean = np.sort(self.triples, axis=1), self.factors.mean(axis=1)
        rest = self.factors - mean[:, None]
        variance = 0.0
        for size in (1, 2, 3):
            places = list(combinations(range(3), size))
            fields = np.concatenate([triples[:, place] for place in places])
            others = np.concatenate([mean[np.delete(triples, place, axis=1)].prod(axis=1) for place in places])
            fields, term = np.unique(fields, axis=0, return_inverse=True)
            weight = np.zeros((len(fields), mean.shape[1]))
            np.add.at(weight, term, others)
            for k in range(mean.shape[1]):
                covariance = (rest[:, :, k, None] * rest).mean(axis=1)
                variance += float((weight[:, k, None] * weight * covariance[fields].prod(axis=1)).sum())
        return float(np.sqrt(max(variance, 0.0)))

    def sample(self, n: int, random_state: RandomState = 0) -> Features:
        """Draw rows, with a ``target`` of 0 or 1.

        Parameters
        ----------
        n : int >= 0
        random_state : int, numpy Generator or None

        Raises
        ------
        TypeError, ValueError
            Arguments of the wrong type or out of range.
        """
        n_fields, n_values = self.shape
        seed = seed_of(random_state)
        n = check_int("n", n, low=0)
        ids = stream(seed, "ctr-ids").integers(0, n_values, (n, n_fields), np.int32)
        clicked = stream(seed, "ctr-clicks").random(n) < expit(self._logits(ids))
        return Features(ids, target=clicked.astype(np.float32), field_sizes=np.full(n_fields, n_values))

    def logits(self, features: Features) -> NDArray[np.float64]:
        """Return the true log-odds of a click (n,): no model can rank better.

        Parameters
        ----------
        features : Features
            Categories are those of the process.

        Raises
        ------
        TypeError
            ``features`` are not `Features`.
        ValueError
            Another number of fields, missing or unknown categories.
        """
        if not isinstance(features, Features):
            raise TypeError(f"features must be Features, got {type(features).__name__}")
        n_fields, n_values = self.shape
        ids = features.ids
        if ids.shape[1] != n_fields:
            raise ValueError(f"features must have {n_fields} fields, got {ids.shape[1]}")
        if ids.size and (ids.min() < 0 or ids.max() >= n_values):
            raise ValueError(f"features must hold ids in 0..{n_values - 1}, got {ids.min()} to {ids.max()}")
        return self._logits(ids)

    def _logits(self, ids: NDArray[np.int32]) -> NDArray[np.float64]:
        logits = np.zeros(len(ids))
        for first, last in blocks(len(ids), 64):  # short enough for a column to stay in the cache
            column = np.ascontiguousarray(ids[first:last].T)
            for fields in self.triples:
                for k in range(self.factors.shape[2]):
                    a, b, c = (self.factors[f, :, k][column[f]] for f in fields)
                    logits[first:last] += a * b * c
        return logits


@dataclass(frozen=True, eq=False)
class CtrData:
    """What `make_ctr` makes.

    Attributes
    ----------
    train, test : Features
        With ``target`` 0 or 1.
    process : CtrProcess
        What both were drawn from.
    """

    train: Features
    test: Features
    process: CtrProcess


def make_ctr(
    n_train: int = 300_000,
    n_test: int = 50_000,
    n_fields: int = 10,
    n_values: int = 20,
    n_triples: int = 5,
    n_factors: int = 4,
    logit_std: float = 2.0,
    random_state: RandomState = 0,
) -> CtrData:
    """Make clicks that only a model of three fields at a time can predict, and know their true probabilities.

    The triples are random and different, the factors normal, and scaled for ``logit_std``; `CtrProcess` says how rows
    come about. At the default sizes the true log-odds have an AUC of 0.84 on the test rows, a linear model 0.52.

    Parameters
    ----------
    n_train : int >= 1
    n_test : int >= 0
    n_fields : int >= 3
    n_values : int >= 2
        Categories of each field.
    n_triples : int in 1..n_fields (n_fields - 1) (n_fields - 2) / 6
    n_factors : int >= 1
    logit_std : float >= 0
        Standard deviation of the log-odds over all rows there are.
    random_state : int, numpy Generator or None

    Returns
    -------
    CtrData
        With attributes ``train``, ``test`` and ``process``.

    Raises
    ------
    TypeError, ValueError
        Arguments of the wrong type or out of range.

    Examples
    --------
    >>> from pyrec_core.datasets import make_ctr
    >>> data = make_ctr(n_train=1000, n_test=2000)
    >>> data.train
    Features(1000 rows, 10 fields, 200 categories, with target)
    >>> likely = data.process.logits(data.test) > 0
    >>> bool((likely == data.test.target).mean() > 0.7)
    True
    """
    n_train = check_int("n_train", n_train, low=1)
    n_test = check_int("n_test", n_test, low=0)
    n_fields = check_int("n_fields", n_fields, low=3, high=_MAX_FIELDS)
    n_values = check_int("n_values", n_values, low=2, high=MAX_ID)
    n_triples = check_int("n_triples", n_triples, low=1, high=comb(n_fields, 3))
    n_factors = check_int("n_factors", n_factors, low=1)
    logit_std = check_float("logit_std", logit_std, low=0.0)
    seed = seed_of(random_state)
    rng = stream(seed, "make-ctr-process")
    triples = _triples(rng.choice(comb(n_fields, 3), n_triples, replace=False))
    factors = rng.normal(size=(n_fields, n_values, n_factors))
    scale = (logit_std / CtrProcess(triples, factors).logit_std) ** (1 / 3)
    process = CtrProcess(triples, factors * scale)
    train, test = (
        process.sample(n, stream(seed, f"make-ctr-{part}")) for part, n in (("train", n_train), ("test", n_test))
    )
    return CtrData(train, test, process)


def _triples(rank: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the triples a < b < c with these places in the order by c, then b, then a."""
    # place = C(c, 3) + C(b, 2) + C(a, 1)
    n = 3
    while comb(n, 3) <= rank.max():
        n += 1
    triples = np.empty((len(rank), 3), np.int64)
    for size in (3, 2, 1):
        below = np.array([comb(i, size) for i in range(n)])
        triples[:, size - 1] = np.searchsorted(below, rank, side="right") - 1
        rank = rank - below[triples[:, size - 1]]
    return triples
