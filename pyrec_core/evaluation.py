"""Quality of a fitted model on a `Split`: every item ranked for every test user, in bounded memory."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any
from warnings import warn

import numpy as np
from numpy.typing import NDArray

from ._errors import PyrecWarning
from ._validation import Csr, check_bool, check_choice, check_int, check_integers, check_interactions
from .metrics import MEASURES, hits, measure
from .split import Split

__all__ = ["Evaluation", "evaluate"]

_MAX_BATCH = 8192  # users
_BATCH_ELEMENTS = 2**20  # ranked positions, or scored candidates, in one batch


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Mapping[str, float]):
    """What `evaluate` found. ``result["ndcg@10"]`` is a mean; ``print(result)`` shows all of it.

    Attributes
    ----------
    mean : dict of str to float
        Mean over the evaluated users, each counting the same.
    standard_error : dict of str to float
        Standard deviation over the users (divisor n), divided by ``sqrt(n_users)``.
    per_user : dict of str to float64 (n,)
        One value per row of ``split.test``, NaN for the skipped ones.
    cold : bool (n,)
        The evaluated users of whom nothing is known: the model ranked by its rule for new users. They are
        part of ``mean``; ``per_user[name][cold]`` are their values.
    n_users, n_skipped, n_cold : int
        Users evaluated, users without a held-out item, and cold users among the evaluated.
    sampled : bool
        Whether the held-out items were ranked among ``split.negatives`` only. Such values are much higher
        than those of a full ranking, and do not preserve the order of models.
    """

    mean: dict[str, float]
    standard_error: dict[str, float]
    per_user: dict[str, NDArray[np.float64]]
    cold: NDArray[np.bool_]
    n_users: int
    n_skipped: int
    n_cold: int
    sampled: bool

    def __getitem__(self, name: str) -> float:
        return self.mean[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.mean)

    def __len__(self) -> int:
        return len(self.mean)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value:.4f}" for name, value in self.mean.items())
        return f"Evaluation({values}, n_users={self.n_users}{', sampled' if self.sampled else ''})"

    def __str__(self) -> str:
        width = max(map(len, self.mean))
        lines = [f"{'':{width}}    mean  std. error"]
        for name, value in self.mean.items():
            lines.append(f"{name:{width}}  {value:.4f}      {self.standard_error[name]:.4f}")
        lines.append(f"{self.n_users} users, {self.n_cold} of them cold; {self.n_skipped} skipped, nothing held out")
        if self.sampled:
            lines.append("sampled: ranked among a few candidates, not comparable with a full ranking")
        return "\n".join(lines)


def evaluate(
    model: Any,
    split: Split,
    metrics: str | Sequence[str] = ("precision", "recall", "ndcg"),
    k: int | Sequence[int] = 10,
    *,
    exclude_seen: bool = True,
    n_threads: int | None = None,
) -> Evaluation:
    """Rank all items for the test users of ``split``, and measure where the held-out ones come.

    Parameters
    ----------
    model : fitted model
        Fitted on ``split.train``. It needs ``recommend(users or rows, k=, exclude_seen=)``, and for sampled
        metrics ``predict(users, items)``.
    split : Split
        Its ``fold_in`` rows, or if there are none the users of ``train``, are given to the model. If it has
        ``negatives``, the held-out items of a user are ranked among these only, by ``predict``; equal scores
        count against the held-out item, so that a model without an opinion gets 0.
    metrics : str or sequence of str
        Among precision, recall, recall_trunc, ndcg, hit_rate, mrr (module `metrics`), with a depth of its own
        ("ndcg@100") or without.
    k : int or sequence of int
        Depths of the metrics without one.
    exclude_seen : bool
        Leave out what is known of each user. The output of the model is checked for it.
    n_threads : int, optional
        Used instead of the model's own ``n_threads``.

    Returns
    -------
    Evaluation

    Raises
    ------
    TypeError
        ``split`` is no `Split`, or another argument has the wrong type.
    ValueError
        An unknown metric, k < 1, no held-out item at all, held-out items that are among the seen ones, or a
        model that returns excluded items.

    Examples
    --------
    >>> import numpy as np
    >>> from pyrec_core import Popularity
    >>> from pyrec_core import evaluate
    >>> from pyrec_core.split import per_user
    >>> split = per_user(np.tri(8), test_size=0.25)
    >>> print(evaluate(Popularity().fit(split.train), split, ["recall", "ndcg@2"], k=(1, 2)))
                mean  std. error
    recall@1  0.7857      0.0935
    recall@2  1.0000      0.0000
    ndcg@2    1.0000      0.0000
    7 users, 0 of them cold; 1 skipped, nothing held out
    """
    if not isinstance(split, Split):
        raise TypeError(f"split must be a Split, got {type(split).__name__}")
    exclude_seen = check_bool("exclude_seen", exclude_seen)
    wanted = _wanted(metrics, k)
    if n_threads is not None:
        model = _with_threads(model, check_int("n_threads", n_threads, low=1))
    test, seen = _test_and_seen(split, exclude_seen)
    n_held_out = np.diff(test.indptr)
    users = np.flatnonzero(n_held_out)
    if len(users) == 0:
        raise ValueError("split must have a held-out item in split.test, got none")

    depth = max(at for _, _, at in wanted)
    hit_rows = _sampled_hits if split.negatives is not None else _full_hits
    per_user = {label: np.full(test.shape[0], np.nan) for label, _, _ in wanted}
    for ids, hit in hit_rows(model, split, users, test, seen, depth, exclude_seen):
        for label, name, at in wanted:
            per_user[label][ids] = measure(name, hit, n_held_out[ids], at)

    values = {label: array[users] for label, array in per_user.items()}
    cold = (n_held_out > 0) & (np.diff(seen.indptr) == 0)
    return Evaluation(
        mean={label: float(array.mean()) for label, array in values.items()},
        standard_error={label: float(array.std() / np.sqrt(len(users))) for label, array in values.items()},
        per_user=per_user,
        cold=cold,
        n_users=len(users),
        n_skipped=test.shape[0] - len(users),
        n_cold=int(cold.sum()),
        sampled=split.negatives is not None,
    )


def _wanted(metrics: str | Sequence[str], k: int | Sequence[int]) -> list[tuple[str, str, int]]:
    """Return (label, metric, depth) of each value to report, in the order asked for."""
    depths = [check_int("k", at, low=1) for at in (k if isinstance(k, (Sequence, np.ndarray)) else [k])]
    wanted = []
    for metric in [metrics] if isinstance(metrics, str) else metrics:
        if not isinstance(metric, str):
            raise TypeError(f"metrics must be strings, got {metric!r}")
        name, has_depth, depth = metric.partition("@")
        check_choice("metrics", name, tuple(MEASURES))
        if has_depth and not depth.isdecimal():
            raise ValueError(f"metrics must be like 'ndcg' or 'ndcg@10', got {metric!r}")
        own = [check_int("k", int(depth), low=1)] if has_depth else depths
        wanted += [(f"{name}@{at}", name, at) for at in own]
    if not wanted:
        raise ValueError("metrics and k must not be empty, got nothing to measure")
    return wanted


def _with_threads(model: Any, n_threads: int) -> Any:
    if not hasattr(model, "n_threads"):
        raise ValueError(f"n_threads must be None for a model without that parameter, got {n_threads}")
    model = copy(model)  # shares the fitted arrays: the caller's model, which others may use now, is not touched
    model.n_threads = n_threads
    return model


def _test_and_seen(split: Split, exclude_seen: bool) -> tuple[Csr, Csr]:
    test = check_interactions("split.test", split.test)
    name, known = ("train", split.train) if split.fold_in is None else ("fold_in", split.fold_in)
    seen = check_interactions(f"split.{name}", known, n_users=test.shape[0], n_items=test.shape[1])
    if exclude_seen and (both := (abs(test.to_scipy()) * abs(seen.to_scipy())).nnz):
        raise ValueError(f"split.test must hold other items than split.{name} if exclude_seen=True, got {both} in both")
    return test, seen


_Batches = Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]


def _batches(users: NDArray[np.int64], row_length: int) -> Iterator[NDArray[np.int64]]:
    size = min(_MAX_BATCH, max(1, _BATCH_ELEMENTS // row_length))
    for first in range(0, len(users), size):
        yield users[first : first + size]


def _full_hits(
    model: Any, split: Split, users: NDArray[np.int64], test: Csr, seen: Csr, depth: int, exclude_seen: bool
) -> _Batches:
    for ids in _batches(users, depth):
        rows = seen.rows(ids).to_scipy()
        known = ids if split.fold_in is None else rows
        ranked = check_integers("model.recommend", model.recommend(known, k=depth, exclude_seen=exclude_seen)[0])
        if ranked.shape != (len(ids), depth):
            raise ValueError(f"model.recommend must return shape {(len(ids), depth)}, got {ranked.shape}")
        if exclude_seen:
            excluded = hits(ranked, rows, depth)[0]
            if excluded.any():
                row, position = np.argwhere(excluded)[0]
                raise ValueError(
                    f"model.recommend must leave out seen items, got {excluded.sum()} of them "
                    f"(first: item {ranked[row, position]} for row {ids[row]} of split.test)"
                )
        yield ids, hits(ranked, test.rows(ids).to_scipy(), depth)[0]


def _sampled_hits(
    model: Any, split: Split, users: NDArray[np.int64], test: Csr, seen: Csr, depth: int, exclude_seen: bool
) -> _Batches:
    negatives = _check_negatives(split, test, seen, exclude_seen)
    for ids in _batches(users, negatives.shape[1] + 1):
        held_out = test.rows(ids)
        n_held_out = np.diff(held_out.indptr)
        row = np.repeat(np.arange(len(ids)), n_held_out)
        others = negatives[ids]
        real = (others >= 0) & ~hits(others, held_out.to_scipy(), max(1, others.shape[1]))[0]
        where, place = np.nonzero(real)

        scores = _predict(
            model,
            np.concatenate([ids[row], ids[where]]),
            np.concatenate([held_out.indices, others[where, place]]),
        )
        positive = scores[: len(row)]
        negative = np.full(others.shape, -np.inf)
        negative[where, place] = scores[len(row) :]

        # the j-th best held-out item has rank j + the number of negatives that score as much or more
        order = np.lexsort((-positive, row))
        rank = np.arange(len(row)) - held_out.indptr[row]
        for step in range(others.shape[1]):
            rank += (negative[row, step] >= positive[order]) & real[row, step]
        hit = np.zeros((len(ids), depth), bool)
        near = rank < depth
        hit[row[near], rank[near]] = True
        yield ids, hit


def _check_negatives(split: Split, test: Csr, seen: Csr, exclude_seen: bool) -> NDArray[np.int64]:
    if split.fold_in is not None:
        raise ValueError("split.negatives must be None if there is fold_in: predict scores training users only")
    negatives = check_integers("split.negatives", split.negatives).astype(np.int64)  # type: ignore[arg-type]
    if negatives.ndim != 2 or len(negatives) != test.shape[0]:
        raise ValueError(f"split.negatives must have {test.shape[0]} rows like split.test, got {negatives.shape}")
    among_seen = hits(negatives, seen.to_scipy(), max(1, negatives.shape[1]))[0]  # checks ids and repetitions too
    if exclude_seen and among_seen.any():
        raise ValueError(
            f"split.negatives must not hold seen items if exclude_seen=True, got {among_seen.sum()} of them"
        )
    return negatives


def _predict(model: Any, users: NDArray[np.int64], items: NDArray[Any]) -> NDArray[np.float64]:
    scores = np.asarray(model.predict(users, items), np.float64)
    if scores.shape != users.shape:
        raise ValueError(f"model.predict must return shape {users.shape}, got {scores.shape}")
    missing = np.isnan(scores)
    if missing.any():
        warn(f"{missing.sum()} scores are NaN, they rank last", PyrecWarning, stacklevel=4)
        scores[missing] = -np.inf
    return scores
