"""Splits of single interactions, whatever user they are of: at random, in folds, or as published."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .._columns import sort_pairs
from .._interactions import Interactions
from .._random import RandomState, seed_of
from .._validation import Csr, as_array, check_bool, check_int, check_interactions
from ..kernels.random import uniform
from ._common import ENTRIES, Events, check_shares, draws, events_of, is_among, pair_keys, part, rows_of, unwrap
from ._result import Dropped, Split

_TRAIN, _VALIDATION, _TEST = 0, 1, 2


def random(
    data: Any,
    *,
    test_size: float = 0.2,
    validation_size: float = 0.0,
    binary: bool = False,
    random_state: RandomState = 0,
) -> Split:
    """Hold out each interaction with a probability, independently of all others.

    Parameters
    ----------
    data : Interactions or matrix (n_users, n_items)
        A pair with several events is one interaction, with the value of the latest. A value of 0 is none.
    test_size : float in (0, 1)
        The probability. It is not the exact share: that varies as the sum of coins does.
    validation_size : float in [0, 1)
        Probability of being held out by ``validation`` from ``train``; it does not change ``test``.
    binary : bool
        Whether pairs of `Interactions` count 1, instead of keeping their values. A matrix always keeps them.
    random_state : int, numpy Generator or None

    Returns
    -------
    Split

    Raises
    ------
    TypeError
        Shares that are not numbers, or ``binary`` no bool.
    ValueError
        Shares out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.split import random
    >>> random(np.ones((100, 50)), test_size=0.1)
    Split(train 100 x 50 with 4473 entries, test 100 x 50 with 527 entries)
    """
    test_size, validation_size = check_shares(test_size, validation_size)
    X, dropped = _values(data, binary)
    drawn = uniform(X.nnz, seed=seed_of(random_state), purpose="split", epoch=ENTRIES)
    parts = np.full(X.nnz, _TRAIN, np.int8)
    parts[drawn < test_size + validation_size] = _VALIDATION
    parts[drawn < test_size] = _TEST
    return _split(X, parts, validation_size > 0, dropped)


def k_fold(
    data: Any, n_folds: int = 5, *, validation: bool = False, binary: bool = False, random_state: RandomState = 0
) -> Iterator[Split]:
    """Yield ``n_folds`` splits; each interaction is in the test part of one of them.

    Parameters
    ----------
    data : Interactions or matrix (n_users, n_items)
        As for `random`.
    n_folds : int >= 2
        The sizes of the folds differ by one at most.
    validation : bool
        Whether to hold out from the training data of each split the fold after its test fold.
    binary, random_state
        As for `random`.

    Raises
    ------
    TypeError
        ``n_folds`` is no integer, or ``validation`` or ``binary`` no bool.
    ValueError
        ``n_folds`` is < 2, or < 3 with ``validation``.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.split import k_fold
    >>> [fold.test.nnz for fold in k_fold(np.ones((4, 8)), 3)]
    [11, 11, 10]
    """
    validation = check_bool("validation", validation)
    n_folds = check_int("n_folds", n_folds, low=3 if validation else 2)
    X, dropped = _values(data, binary)
    order = np.argsort(draws(seed_of(random_state), rows_of(X), X.indices), kind="stable")
    fold = np.empty(X.nnz, np.int64)
    fold[order] = np.arange(X.nnz) % n_folds

    def splits() -> Iterator[Split]:  # a generator of its own, so that bad arguments are refused at the call
        for test in range(n_folds):
            parts = np.where(fold == test, _TEST, _TRAIN)
            if validation:
                parts[fold == (test + 1) % n_folds] = _VALIDATION
            yield _split(X, parts, validation, dropped)

    return splits()


def by_mask(data: Any, test: Any, *, validation: Any = None, binary: bool = False) -> Split:
    """Hold out exactly the interactions that a mask marks: published folds, or a rule of your own.

    Parameters
    ----------
    data : Interactions or matrix (n_users, n_items)
        As for `random`. Make one `Interactions` of two published files by joining their columns.
    test : bool (n,), or bool matrix (n_users, n_items)
        Of `Interactions` one entry an event; of a matrix one a pair, dense or sparse, True at interactions only.
    validation : like ``test``, optional
        What ``validation`` holds out from ``train``.
    binary : bool
        As for `random`.

    Returns
    -------
    Split

    Raises
    ------
    TypeError
        A mask that is not bool.
    ValueError
        A mask of another shape, True where there is no interaction, masks that overlap, or a pair with events in
        more than one part.

    Examples
    --------
    >>> from pyrec_core import Interactions
    >>> from pyrec_core.split import by_mask
    >>> data = Interactions.from_arrays([1, 1, 2], [7, 8, 8], value=[5, 3, 4])
    >>> by_mask(data, test=[False, True, False]).test.toarray()
    array([[0., 3.],
           [0., 0.]], dtype=float32)
    """
    binary = check_bool("binary", binary)
    data, dropped = unwrap(data)
    events = events_of(data, binary)
    parts = np.full(len(events.row), _TRAIN, np.int8)
    for name, mask, at in (("validation", validation, _VALIDATION), ("test", test, _TEST)):
        if mask is None and name == "validation":
            continue
        marked = _event_mask(name, mask, len(data)) if isinstance(data, Interactions) else _pair_mask(name, mask, data)
        if (parts[marked] != _TRAIN).any():
            both = int((parts[marked] != _TRAIN).sum())
            raise ValueError(f"validation must not overlap test, got {both} interactions in both")
        parts[marked] = at
    X, chosen = events.latest()
    if len(chosen) < len(parts):
        _check_whole(events, parts)
    return _split(X, parts[chosen], validation is not None, dropped)


def _values(data: Any, binary: bool) -> tuple[Csr, tuple[Dropped, ...]]:
    binary = check_bool("binary", binary)
    data, dropped = unwrap(data)
    if not isinstance(data, Interactions):
        return check_interactions("data", data), dropped
    return events_of(data, binary).latest()[0], dropped


def _split(X: Csr, parts: NDArray[Any], validation: bool, dropped: tuple[Dropped, ...]) -> Split:
    inner = Split(part(X, parts == _TRAIN), part(X, parts == _VALIDATION)) if validation else None
    return Split(part(X, parts != _TEST), part(X, parts == _TEST), validation=inner, dropped=dropped)


def _event_mask(name: str, mask: Any, n: int) -> NDArray[np.bool_]:
    array = as_array(name, mask)
    if array.dtype != bool:
        raise TypeError(f"{name} must be bool, got {array.dtype}")
    if array.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one entry an event, got {array.shape}")
    return array


def _pair_mask(name: str, mask: Any, data: Any) -> NDArray[np.bool_]:
    """Return the mask of the stored entries of the matrix ``data``."""
    X = check_interactions("data", data)
    if not sp.issparse(mask):
        mask = as_array(name, mask)
    if mask.dtype != bool:
        raise TypeError(f"{name} must be bool, got {mask.dtype}")
    if mask.shape != X.shape:
        raise ValueError(f"{name} must have shape {X.shape} like data, got {mask.shape}")
    wanted = check_interactions(name, mask)
    found = is_among(pair_keys(X), pair_keys(wanted))
    if found.sum() != wanted.nnz:
        raise ValueError(f"{name} must be True at interactions only, got {wanted.nnz - found.sum()} places without one")
    return found


def _check_whole(events: Events, parts: NDArray[np.int8]) -> None:
    """Refuse a pair with events in two parts: what is held out would be in training."""
    first, order = sort_pairs(events.row, events.item, events.shape)
    of_pair = parts[order]
    torn = np.flatnonzero(np.maximum.reduceat(of_pair, first) != np.minimum.reduceat(of_pair, first))
    if len(torn):
        at = order[first[torn[0]]]
        raise ValueError(
            f"test and validation must hold all events of a pair or none, got {len(torn)} pairs with events in two "
            f"parts (first: user {events.row[at]}, item {events.item[at]})"
        )
