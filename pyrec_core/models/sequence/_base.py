"""The sequence door: models that learn from sessions and rank what comes next."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..._backend import Array, array_module, device_of, to_device, to_host
from ..._errors import TrainingInterrupted
from ..._sessions import Sessions
from ..._validation import check_bool, check_int
from ..._vocabulary import Vocabulary
from ...kernels.ranking import ranks_in_scores
from ...kernels.topk import top_k
from .._estimator import Estimator
from ._inputs import Prefixes, check_prefixes, check_sessions, with_predecessor
from ._live import LiveSession

_SCORES_AT_ONCE = 2**24  # 64 MB of float32
_EVENTS_AT_ONCE = 8192
SCORE_DEPTH = 20


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceModel(Estimator, ABC):
    """Base of the sequence models: a leaf adds ``_fit``, ``_states`` and ``_scores``.

    Parameters
    ----------
    n_threads : int, optional
        Threads to use; None: all CPUs this process may use. Results do not depend on it.
    random_state : int, optional
        Seed of all that is random. None: another one in each ``fit``.
    verbose : bool, optional
        Whether ``fit`` shows its progress. None: in a terminal, after a second.
    """

    n_threads: int | None = None
    random_state: int | None = None
    verbose: bool | None = None

    n_items_: int = field(init=False)
    item_counts_: NDArray[np.int64] = field(init=False)
    item_ids_: NDArray[Any] | None = field(init=False, default=None)
    item_order_: NDArray[np.int64] | None = field(init=False, default=None)

    def fit(self, sessions: Any, validation_data: Any = None) -> Self:
        """Learn from sessions.

        Parameters
        ----------
        sessions : Sessions, tuple (items, offsets), or data frame
            ``items`` are dense ids, the sessions end to end, ``offsets`` where each begins. A frame needs columns
            ``session`` and ``item``, and may have ``time``. External ids of `Sessions` or a frame are the ids that
            the other methods take and give.
        validation_data : like ``sessions``, optional
            For models that are trained in epochs.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            A parameter or ``sessions`` of the wrong type, ids that are not integers or strings.
        ValueError
            A parameter out of range; no session of two events.
        """
        return self._fit_and_set(sessions, validation_data)

    def recommend_next(
        self, prefixes: Any, k: int = 20, exclude_seen: bool = False
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the ``k`` items that most likely come next after each prefix, best first.

        Parameters
        ----------
        prefixes : list of id sequences, tuple (items, offsets), or Sessions
            What was clicked so far, oldest first. One sequence of ids is one prefix. Unknown items are left out, with
            one warning; an empty prefix is answered by popularity.
        k : int
        exclude_seen : bool
            Leave out the items of the prefix.

        Returns
        -------
        items : int32 (n, k), or (k,) for one prefix
            Padded with -1 where fewer than ``k`` items can be ranked. Ties: the first item first. If the model has
            ``item_ids_``, these ids in their dtype; an object array, padded with None, where lists are short.
        scores : float32 or float64, same shape
            Padded with -inf.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        TypeError
            Ids of another kind than those of the training data.
        ValueError
            k < 1, offsets that do not rise.
        """
        self._check_ready()
        (items, offsets), one = self._prefixes("prefixes", prefixes)
        parts = []
        for rows, scores in self._scored(items, offsets):
            parts.append(self._best(scores, items, offsets[rows.start : rows.stop + 1], k, exclude_seen))
        found, best = (np.concatenate(part) for part in zip(*parts, strict=True))
        return (found[0], best[0]) if one else (found, best)

    def predict_next(self, prefixes: Any) -> NDArray[Any]:
        """Return the scores of all items after each prefix.

        Parameters
        ----------
        prefixes
            As in `recommend_next`.

        Returns
        -------
        float32 or float64 (n, n_items), or (n_items,) for one prefix
            In the order of the dense ids, which is that of ``item_ids_``.
        """
        self._check_ready()
        (items, offsets), one = self._prefixes("prefixes", prefixes)
        whole = np.concatenate([to_host(scores) for _, scores in self._scored(items, offsets)])
        return whole[0] if one else whole

    def session(self) -> LiveSession:
        """Return a session that takes one click at a time; any number of them may share the model."""
        self._check_ready()
        return LiveSession(self)

    def next_ranks(self, sessions: Any, ties: str = "conservative") -> NDArray[np.float64]:
        """Return the rank of the true next item, among all items, at each position of each session but the last.

        Parameters
        ----------
        sessions : list of id sequences, tuple (items, offsets), or Sessions
            Unknown items are left out, with one warning.
        ties : {"conservative", "id", "standard", "median"}
            Which items of equal score are ahead of the true one: all, those with a smaller id, none, half of them.

        Returns
        -------
        float64 (n_events - n_sessions,)
            From 1; the sessions end to end.
        """
        self._check_ready()
        (items, offsets), _ = self._prefixes("sessions", sessions)
        parts = [np.empty(0)]
        for first, last in _blocks(offsets, _EVENTS_AT_ONCE):
            part, bounds = items[offsets[first] : offsets[last]], offsets[first : last + 1] - offsets[first]
            targets = with_predecessor(bounds)
            states = rows_at(self._states(part, bounds), targets - 1)
            parts.append(self._ranks(states, part[targets], ties))
        return np.concatenate(parts)

    def score(self, sessions: Any, y: Any = None) -> float:
        """Return MRR@20 of the next item: every position of every session, all items ranked, conservative ties.

        Parameters
        ----------
        sessions
            As in `next_ranks`.
        y : ignored
            There for scikit-learn.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        ValueError
            No session has two known events.
        """
        ranks = self.next_ranks(sessions)
        if not len(ranks):
            raise ValueError("sessions must have a session of 2 or more known events, got none")
        return float(np.where(ranks <= SCORE_DEPTH, 1.0 / ranks, 0.0).mean())

    @abstractmethod
    def _fit(self, data: Sessions, validation: Any, state: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Return what was learned, by attribute name; ``state`` is what this base sets beside it.

        Setting nothing keeps a failed fit harmless.
        """

    @abstractmethod
    def _states(self, items: NDArray[np.int32], offsets: NDArray[np.int64]) -> Array:
        """Return what the model knows after each event of these sequences, one entry an event, where it computes."""

    @abstractmethod
    def _scores(self, states: Array) -> Array:
        """Return (n, n_items): the scores of all items after each of these states, where these are."""

    def _advance(self, memory: Any, item: NDArray[np.int32]) -> Any:
        """Return what is remembered of a session after one more item (1,); ``memory`` is None at its start."""
        return item if memory is None else np.concatenate([memory, item])

    def _recall(self, memory: Any) -> Array:
        """Return the state (1, ...), as of `_states`, of a session that is remembered so."""
        return self._states(memory, np.array([0, len(memory)]))[-1:]

    def _ranks(self, states: Array, targets: NDArray[np.int32], ties: str) -> NDArray[np.float64]:
        """Return the rank of a target after each state, on the host."""
        parts = [np.empty(0)]
        for first in range(0, len(states), self._rows_at_once()):
            rows = slice(first, first + self._rows_at_once())
            relevant = one_a_row(targets[rows], self.n_items_)
            ranks = ranks_in_scores(self._scores(states[rows]), relevant, ties=ties, n_threads=self.n_threads)
            parts.append(to_host(ranks))
        return np.concatenate(parts)

    def _fit_and_set(self, sessions: Any, validation_data: Any, **options: Any) -> Self:
        self._check_common()
        data = check_sessions("sessions", sessions)
        if not (np.diff(data.offsets) >= 2).any():
            raise ValueError(f"sessions must have a session of 2 or more events, got none in {len(data)}")
        state: dict[str, Any] = {"n_items_": data.n_items, "n_features_in_": data.n_items}
        state["item_counts_"] = np.bincount(data.items, minlength=data.n_items)
        if data.item_ids is not None:
            vocabulary = Vocabulary.of("item", data.item_ids)
            state["item_ids_"] = vocabulary.ids.copy()
            if vocabulary.order is not None:
                state["item_order_"] = vocabulary.order
        try:
            learned = self._fit(data, validation_data, state, **options)
        except TrainingInterrupted as stop:
            self._set_fitted({**state, **stop.learned})
            raise
        self._set_fitted({**state, **learned})
        return self

    def _recommend_after(
        self, memory: Any, seen: NDArray[np.int32], k: int, exclude_seen: bool
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """`recommend_next` for one session, of which ``memory`` is what `_advance` returned."""
        self._check_ready()
        bounds = np.array([0, len(seen)])
        scores = next(self._scored(seen, bounds))[1] if memory is None else self._scores(self._recall(memory))
        items, best = self._best(scores, seen, bounds, k, exclude_seen)
        return items[0], best[0]

    def _best(
        self, scores: Array, items: NDArray[np.int32], bounds: NDArray[np.int64], k: int, exclude_seen: bool
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the best items by their ids; ``bounds`` say which ``items`` the rows of the scores have seen."""
        k, seen = check_int("k", k, low=1), None
        if check_bool("exclude_seen", exclude_seen):
            part = items[bounds[0] : bounds[-1]]
            seen = sp.csr_array((np.ones(len(part), np.float32), part, bounds - bounds[0]), shape=scores.shape)
        dense, best = map(to_host, top_k(scores, k, seen, n_threads=self.n_threads))
        vocabulary = self._vocabulary()
        return dense if vocabulary is None else vocabulary.external(dense), best

    def _scored(self, items: NDArray[np.int32], offsets: NDArray[np.int64]) -> Iterator[tuple[slice, Array]]:
        """Yield the scores of all items after a block of prefixes, block by block; of no prefixes, one empty block."""
        n = len(offsets) - 1
        for first in range(0, max(1, n), self._rows_at_once()):
            rows = slice(first, min(n, first + self._rows_at_once()))
            bounds = offsets[rows.start : rows.stop + 1]
            filled = np.diff(bounds) > 0
            states = self._states(items[bounds[0] : bounds[-1]], bounds - bounds[0])
            known = self._scores(rows_at(states, (bounds[1:] - bounds[0] - 1)[filled]))
            if filled.all():
                yield rows, known
                continue
            device = device_of(known)
            scores = array_module(known).empty((len(filled), self.n_items_), known.dtype)
            scores[...] = to_device(self.item_counts_.astype(known.dtype), device)
            scores[to_device(np.flatnonzero(filled), device)] = known
            yield rows, scores

    def _rows_at_once(self) -> int:
        return max(1, _SCORES_AT_ONCE // self.n_items_)

    def _prefixes(self, name: str, given: Any) -> tuple[Prefixes, bool]:
        return check_prefixes(name, given, self.n_items_, self._vocabulary())

    def _vocabulary(self) -> Vocabulary | None:
        return None if self.item_ids_ is None else Vocabulary("item", self.item_ids_, self.item_order_)

    def _check_common(self) -> None:
        """Check the fields of this base; they can be changed between ``fit`` and ``recommend_next``."""
        if self.n_threads is not None:
            check_int("n_threads", self.n_threads, low=1)
        if self.verbose is not None:
            check_bool("verbose", self.verbose)

    def _check_ready(self) -> None:
        self.check_fitted()
        self._check_common()


def _blocks(offsets: NDArray[np.int64], events: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of sequences of about so many events, of one sequence at least."""
    first, n = 0, len(offsets) - 1
    while first < n:
        last = int(np.searchsorted(offsets, offsets[first] + events, side="right")) - 1
        last = min(n, max(first + 1, last))
        yield first, last
        first = last


def rows_at(states: Array, positions: NDArray[np.int64]) -> Array:
    """Return rows of an array that may lie on a device."""
    return states[to_device(positions, device_of(states))]


def one_a_row(items: NDArray[np.int32], n_items: int) -> Any:
    """Return the sparse matrix whose row r holds item ``items[r]`` alone."""
    n = len(items)
    return sp.csr_array((np.ones(n, np.float32), items, np.arange(n + 1)), shape=(n, n_items))
