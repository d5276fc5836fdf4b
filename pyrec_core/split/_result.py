"""What a split is made of, and what was left out on the way to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._sessions import Sessions


class Dropped(NamedTuple):
    """What one step of a filter or of a split left out.

    Attributes
    ----------
    why : str
        The rule.
    users, items : int
        Users (in `Sessions`: sessions) and items that had something left before the step and have nothing after it.
    events : int
        Interactions. A repeated one counts once in a matrix, and each time in `Interactions` and `Sessions`.
    """

    why: str
    users: int = 0
    items: int = 0
    events: int = 0

    def __str__(self) -> str:
        counts = ", ".join(f"{getattr(self, name):,} {name}" for name in ("users", "items", "events"))
        return f"{self.why}: {counts}"


class Filtered(NamedTuple):
    """Data that passed a filter; every split takes it in place of the data, and then remembers what was dropped.

    Attributes
    ----------
    data : Interactions, Sessions or scipy.sparse.csr_array
        Of the kind that was given.
    dropped : tuple of Dropped
        One entry a rule.
    users, items : int64 arrays
        Ids, before the filter, of the users (of `Sessions`: sessions) and of the items that are left.
    """

    data: Any
    dropped: tuple[Dropped, ...]
    users: NDArray[np.int64]
    items: NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Training and test data, as users x items matrices. ``print(split)`` also says what was dropped.

    Attributes
    ----------
    train : scipy.sparse.csr_array (n_users, n_items)
        What a model is fitted on.
    test : scipy.sparse.csr_array (n, n_items)
        The held-out items that are to be found.
    fold_in : scipy.sparse.csr_array (n, n_items) or None
        What is known of the test users. None: the rows of ``test`` are the users of ``train``.
    validation : Split or None
        A split of the training data by the same rule, to choose hyper-parameters: fit those on
        ``validation.train``.
    negatives : int32 (n, m) or None
        Candidates beside the held-out items of each test user, padded with -1. Metrics on them are flagged as
        sampled.
    negatives_kind : {"uniform", "popularity", "published"} or None
        Where ``negatives`` come from.
    train_users, test_users : int64 arrays or None
        The row of the data that each row of ``train`` and of ``test`` came from. None: the same row.
    dropped : tuple of Dropped
        What is in no part, and why; what only ``validation`` leaves out is in ``validation.dropped``.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core.split import per_user
    >>> per_user(np.ones((4, 10)), test_size=0.3)
    Split(train 4 x 10 with 28 entries, test 4 x 10 with 12 entries)
    """

    train: Any
    test: Any
    fold_in: Any = None
    validation: "Split | None" = None
    negatives: NDArray[np.int32] | None = None
    negatives_kind: str | None = None
    train_users: NDArray[np.int64] | None = None
    test_users: NDArray[np.int64] | None = None
    dropped: tuple[Dropped, ...] = ()

    @property
    def n_dropped(self) -> int:
        """Users that are in no part, or whose held-out part was dropped."""
        return sum(step.users for step in self.dropped)

    def __repr__(self) -> str:
        parts = [
            f"{name} {X.shape[0]} x {X.shape[1]} with {X.nnz} entries"
            for name, X in (("train", self.train), ("fold_in", self.fold_in), ("test", self.test))
            if X is not None
        ]
        if self.validation is not None:
            parts.append(f"validation {self.validation.test.nnz} entries")
        if self.negatives is not None:
            kind = f"{self.negatives_kind} " if self.negatives_kind else ""
            parts.append(f"{self.negatives.shape[1]} {kind}negatives a user")
        if self.n_dropped:
            parts.append(f"{self.n_dropped} users dropped")
        return f"Split({', '.join(parts)})"

    def __str__(self) -> str:
        return "\n".join(_lines(self))


@dataclass(frozen=True, eq=False, repr=False)
class SessionSplit:
    """Training and test sessions of one catalogue. ``print(split)`` also says what was dropped.

    Published files make one directly: ``SessionSplit(train, test, validation=last_sessions(train, n_test=0.1))``.

    Attributes
    ----------
    train, test : Sessions
    validation : SessionSplit or None
        A split of the training sessions by the same rule, to choose hyper-parameters.
    fold_in : Sessions or None
        The start of each test session, where ``test`` has only what follows it. None: ``test`` has all of it.
    train_sessions, test_sessions : int64 arrays or None
        The session of the data that each one of ``train`` and of ``test`` came from.
    dropped : tuple of Dropped
        What is in no part, and why; what only ``validation`` leaves out is in ``validation.dropped``.

    Raises
    ------
    TypeError
        ``train`` or ``test`` are no `Sessions`.
    ValueError
        Catalogues of different size, or numbers of ``fold_in`` and ``test`` sessions that differ.

    Examples
    --------
    >>> from pyrec_core import Sessions
    >>> from pyrec_core.split import SessionSplit
    >>> SessionSplit(Sessions([0, 1, 2], [0, 3]), Sessions([2, 1], [0, 2], n_items=3))
    SessionSplit(train 1 sessions with 3 events, test 1 sessions with 2 events)
    """

    train: Sessions
    test: Sessions
    validation: "SessionSplit | None" = None
    fold_in: Sessions | None = None
    train_sessions: NDArray[np.int64] | None = None
    test_sessions: NDArray[np.int64] | None = None
    dropped: tuple[Dropped, ...] = ()

    def __post_init__(self) -> None:
        parts = [("train", self.train), ("test", self.test)]
        parts += [] if self.fold_in is None else [("fold_in", self.fold_in)]
        for name, part in parts:
            if not isinstance(part, Sessions):
                raise TypeError(f"{name} must be Sessions, got {type(part).__name__}")
            if part.n_items != self.train.n_items:
                raise ValueError(f"{name} must have the {self.train.n_items} items of train, got {part.n_items}")
        if self.fold_in is not None and len(self.fold_in) != len(self.test):
            raise ValueError(f"fold_in must have {len(self.test)} sessions like test, got {len(self.fold_in)}")

    def __repr__(self) -> str:
        parts = [
            f"{name} {len(part)} sessions with {len(part.items)} events"
            for name, part in (("train", self.train), ("fold_in", self.fold_in), ("test", self.test))
            if part is not None
        ]
        if self.validation is not None:
            parts.append(f"validation {len(self.validation.test)} sessions")
        return f"SessionSplit({', '.join(parts)})"

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def _lines(split: Split | SessionSplit) -> Iterator[str]:
    yield repr(split)
    yield from (f"dropped, {step}" for step in split.dropped)
    if split.validation is not None:
        yield from (f"dropped from validation, {step}" for step in split.validation.dropped)
