"""Sessions of a hidden class, with the best predictions that any model can make of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from .._random import RandomState, seed_of, stream
from .._sessions import Sessions
from .._validation import MAX_ID, as_array, check_float, check_int, check_integers


@dataclass(frozen=True, eq=False, repr=False)
class MarkovProcess:
    """Sessions with a hidden class that decides which item follows which.

    A session draws a class and a first item, uniform over all. From then on item j follows item i, with probability
    ``follow`` as the permutation of the class says (``j = permutations[c, i]``), else j is uniform over all items.
    One click hardly tells the class, several do: a model must remember more than the last item.

    Parameters
    ----------
    permutations : integers (n_classes, n_items)
        Each row holds all items, each once. Stored as int32.
    class_probabilities : float (n_classes,), optional
        Sum to 1. Default: all equal.
    follow : float in [0, 1]

    Attributes
    ----------
    shape : (n_classes, n_items)

    Raises
    ------
    TypeError
        Permutations that are not integers, probabilities that are not numbers.
    ValueError
        Rows that are no permutations, probabilities that are negative or do not sum to 1, shapes that differ.

    Examples
    --------
    >>> from pyrec_core.datasets import MarkovProcess
    >>> process = MarkovProcess([[1, 2, 3, 0], [3, 0, 1, 2]], follow=0.8)
    >>> process
    MarkovProcess(2 classes, 4 items, follow 0.8)
    >>> sessions = process.sample(1, length=3, random_state=0)
    >>> sessions.items
    array([1, 0, 3], dtype=int32)
    >>> process.optimal_scores(sessions).round(2)
    array([[0.45, 0.05, 0.45, 0.05],
           [0.05, 0.09, 0.05, 0.81]])
    """

    permutations: NDArray[np.int32]
    class_probabilities: NDArray[np.float64] = None  # type: ignore[assignment]  # an array from __post_init__ on
    follow: float = 0.9

    def __post_init__(self) -> None:
        permutations = check_integers("permutations", self.permutations)
        if permutations.ndim != 2 or permutations.size == 0:
            raise ValueError(f"permutations must be 2-D (classes x items), not empty, got shape {permutations.shape}")
        n_classes, n_items = permutations.shape
        wrong = np.flatnonzero((np.sort(permutations, axis=1) != np.arange(n_items)).any(axis=1))
        if len(wrong):
            raise ValueError(f"permutations must hold each of 0..{n_items - 1} once a row, got another row {wrong[0]}")
        given = self.class_probabilities
        probabilities = np.full(n_classes, 1 / n_classes) if given is None else _check_probabilities(given, n_classes)
        object.__setattr__(self, "permutations", permutations.astype(np.int32, copy=False))
        object.__setattr__(self, "class_probabilities", probabilities)
        object.__setattr__(self, "follow", check_float("follow", self.follow, low=0.0, high=1.0))

    @property
    def shape(self) -> tuple[int, int]:
        """The pair (n_classes, n_items)."""
        n_classes, n_items = self.permutations.shape
        return n_classes, n_items

    def __repr__(self) -> str:
        n_classes, n_items = self.shape
        return f"{type(self).__name__}({n_classes} classes, {n_items} items, follow {self.follow:g})"

    def sample(self, n_sessions: int, length: int = 10, random_state: RandomState = 0) -> Sessions:
        """Draw sessions.

        Parameters
        ----------
        n_sessions : int >= 0
        length : int >= 1
            Items of each session.
        random_state : int, numpy Generator or None

        Raises
        ------
        TypeError, ValueError
            Arguments of the wrong type or out of range.
        """
        n_sessions = check_int("n_sessions", n_sessions, low=0)
        length = check_int("length", length, low=1)
        n_items = self.shape[1]
        rng = stream(seed_of(random_state), "markov-sessions")
        hidden = np.searchsorted(np.cumsum(self.class_probabilities[:-1]), rng.random(n_sessions), side="right")
        items = np.empty((n_sessions, length), np.int32)
        items[:, 0] = rng.integers(0, n_items, n_sessions)
        for t in range(1, length):
            follows = rng.random(n_sessions) < self.follow
            anything = rng.integers(0, n_items, n_sessions)
            items[:, t] = np.where(follows, self.permutations[hidden, items[:, t - 1]], anything)
        offsets = np.arange(n_sessions + 1, dtype=np.int64) * length
        return Sessions(items.ravel(), offsets, n_items=n_items)

    def class_posteriors(self, sessions: Sessions) -> NDArray[np.float64]:
        """Return what is known of the class before each transition.

        Parameters
        ----------
        sessions : Sessions
            Of any lengths. Item ids are those of the process.

        Returns
        -------
        float64 (n_transitions, n_classes)
            The probability of each class given the items of the session up to and including the one from which the
            transition starts. Every item but the last of a session starts one; rows are in the order of the items.

        Raises
        ------
        TypeError
            ``sessions`` are not `Sessions`.
        ValueError
            Items beyond those of the process, or a session whose beginning it cannot make.

        Notes
        -----
        Bayes' filter in closed form: only the number of steps along the permutation of a class counts, not their
        order, so long sessions lose nothing to rounding, and classes that are equally likely get equal numbers.
        """
        event, step = self._transitions(sessions)
        follows = (self.permutations[:, sessions.items[event]] == sessions.items[event + 1]).T
        before = np.cumsum(follows, axis=0) - follows  # how often each class was followed, since the first session
        before -= before[np.arange(len(step)) - step]  # since the beginning of this session
        by_chance = (1 - self.follow) / self.shape[1]
        evidence = xlogy(before, self.follow + by_chance) + xlogy(step[:, None] - before, by_chance)
        evidence += xlogy(1, self.class_probabilities)
        best = evidence.max(axis=1, keepdims=True)
        if np.isinf(best).any():
            at = int(np.searchsorted(sessions.offsets, event[np.isinf(best[:, 0])][0], side="right")) - 1
            raise ValueError(f"sessions must be possible for the process, got the impossible session {at}")
        belief: NDArray[np.float64] = np.exp(evidence - best)
        belief /= belief.sum(axis=1, keepdims=True)
        return belief

    def optimal_scores(self, sessions: Sessions) -> NDArray[np.float64]:
        """Return the probability of each next item given all items before it: no model can rank better.

        Parameters
        ----------
        sessions : Sessions
            Of any lengths. Item ids are those of the process.

        Returns
        -------
        float64 (n_transitions, n_items)
            A row for each item but the last of each session, in the order of the items. To keep the array small,
            give ``sessions.take(...)`` a part of them.

        Raises
        ------
        TypeError
            ``sessions`` are not `Sessions`.
        ValueError
            Items beyond those of the process, or a session whose beginning it cannot make.
        """
        return self._scores(sessions, self.class_posteriors(sessions))

    def first_order_scores(self, sessions: Sessions) -> NDArray[np.float64]:
        """Return the probability of each next item given only the item before it: the best without a memory.

        Parameters, result and errors are those of `optimal_scores`.
        """
        # each item is as likely as any other at each step, in each class: alone it says nothing about the class
        return self._scores(sessions, self.class_probabilities[None])

    def _scores(self, sessions: Sessions, belief: NDArray[np.float64]) -> NDArray[np.float64]:
        event, _ = self._transitions(sessions)
        current, row = sessions.items[event], np.arange(len(event))
        scores = np.full((len(row), self.shape[1]), (1 - self.follow) / self.shape[1])
        for permutation, probability in zip(self.permutations, belief.T, strict=True):
            scores[row, permutation[current]] += self.follow * probability
        return scores

    def _transitions(self, sessions: Sessions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the positions of items that have a successor, and how many items of the session lie before."""
        if not isinstance(sessions, Sessions):
            raise TypeError(f"sessions must be Sessions, got {type(sessions).__name__}")
        items, n_items = sessions.items, self.shape[1]
        if items.max(initial=-1) >= n_items:
            raise ValueError(f"sessions must hold the {n_items} items of the process, got item {items.max()}")
        lengths = np.diff(sessions.offsets)
        step = np.arange(len(items)) - np.repeat(sessions.offsets[:-1], lengths)
        event = np.flatnonzero(step + 1 < np.repeat(lengths, lengths))
        return event, step[event]


@dataclass(frozen=True, eq=False)
class MarkovData:
    """What `make_markov_sessions` makes.

    Attributes
    ----------
    train, test : Sessions
    process : MarkovProcess
        What both were drawn from.
    """

    train: Sessions
    test: Sessions
    process: MarkovProcess


def make_markov_sessions(
    n_train: int = 20_000,
    n_test: int = 4_000,
    n_items: int = 100,
    n_classes: int = 4,
    length: int = 10,
    follow: float = 0.9,
    random_state: RandomState = 0,
) -> MarkovData:
    """Make sessions of a hidden class that decides which item follows which, and know the best predictions of them.

    The permutation of each class is random; `MarkovProcess` says how sessions come about. At the default sizes the
    best ranking of the next item has a recall@1 of 0.82, the best that sees no more than the last item 0.24.

    Parameters
    ----------
    n_train : int >= 1
    n_test : int >= 0
    n_items, n_classes, length : int >= 1
    follow : float in [0, 1]
        Probability of a step along the permutation of the class; other steps go anywhere.
    random_state : int, numpy Generator or None

    Returns
    -------
    MarkovData
        With attributes ``train``, ``test`` and ``process``.

    Raises
    ------
    TypeError, ValueError
        Arguments of the wrong type or out of range.

    Examples
    --------
    >>> from pyrec_core.datasets import make_markov_sessions
    >>> data = make_markov_sessions(n_train=300, n_test=50)
    >>> data.test
    Sessions(50 sessions, 500 events, 100 items)
    >>> target = data.test.items.reshape(50, 10)[:, 1:].ravel()
    >>> best = data.process.optimal_scores(data.test)
    >>> best.shape, bool((best.argmax(axis=1) == target).mean() > 0.7)
    ((450, 100), True)
    """
    n_train = check_int("n_train", n_train, low=1)
    n_test = check_int("n_test", n_test, low=0)
    n_items = check_int("n_items", n_items, low=1, high=MAX_ID)
    n_classes = check_int("n_classes", n_classes, low=1)
    seed = seed_of(random_state)
    rng = stream(seed, "make-markov-process")
    process = MarkovProcess(rng.permuted(np.tile(np.arange(n_items), (n_classes, 1)), axis=1), follow=follow)
    train, test = (
        process.sample(n, length, stream(seed, f"make-markov-{part}"))
        for part, n in (("train", n_train), ("test", n_test))
    )
    return MarkovData(train, test, process)


def _check_probabilities(given: ArrayLike, n: int) -> NDArray[np.float64]:
    array = as_array("class_probabilities", given)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"class_probabilities must be numbers, got {array.dtype}")
    if array.shape != (n,):
        raise ValueError(f"class_probabilities must have shape ({n},), one a class, got {array.shape}")
    array = array.astype(np.float64)
    if not ((array >= 0).all() and abs(array.sum() - 1) < 1e-6):  # NaN is neither
        raise ValueError(f"class_probabilities must be >= 0 and sum to 1, got {array.tolist()}")
    normalised: NDArray[np.float64] = array / array.sum()
    return normalised
