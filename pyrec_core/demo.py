"""``python -m pyrec_core demo``: choose a model on validation users, report it on test users, draw a picture."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import datasets
from ._interactions import Interactions
from ._validation import check_float, check_int
from .evaluation import Evaluation, evaluate
from .models import EASE, Popularity
from .split import Split, strong_generalisation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_L2_FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)
_METRICS = ("precision@10", "recall@20", "recall_trunc@50", "ndcg@100")
_CRITERION = "ndcg@100"
_HELD_OUT = 0.1  # share of the users for validation, and again for the test
_TIMED_USERS = 4096
_LIKED = 4.0  # of 5 stars
_BLUE, _GREY, _DARK_GREY, _INK = "#1f6f8b", "#9aa5b1", "#66717d", "#22313f"


@dataclass(frozen=True)
class Result:
    """One fitted model: how good on the validation and the test users, and how fast.

    Attributes
    ----------
    name : str
    validation, test : Evaluation
    fit_seconds : float
    users_per_second : float
        Whose lists of ``k`` are made, on the training users.
    """

    name: str
    validation: Evaluation
    test: Evaluation
    fit_seconds: float
    users_per_second: float


def main(
    data: str | os.PathLike[str] | Interactions | None = None,
    *,
    out: str | os.PathLike[str] = "demo.png",
    l2: float = 500.0,
    k: int = 10,
) -> list[Result]:
    """Compare popularity with EASE on held-out users; print a table and three lists, and draw ``out``.

    Parameters
    ----------
    data : path or Interactions, optional
        What `datasets.load` reads; default: generated data. Ratings of up to 5 become positives from 4 on.
    out : path
        The picture, if matplotlib is there.
    l2 : float > 0
        Middle of the penalties tried. The best on the validation users is chosen.
    k : int >= 1
        Length of the lists.

    Returns
    -------
    list of Result
        Popularity, then EASE by rising ``l2``.

    Raises
    ------
    OSError, ValueError
        A file that cannot be read, arguments out of range, too few users to hold some out.

    Examples
    --------
    >>> from pyrec_core.demo import main
    >>> results = main("ml-1m", out="ml-1m.png")  # doctest: +SKIP
    """
    l2 = check_float("l2", l2, low=0.0, low_open=True)
    k = check_int("k", k, low=1)
    interactions, source = _interactions(data)
    X, rule = _positives(interactions)
    print(f"{source}: {X.shape[0]:,} users, {X.shape[1]:,} items, {X.nnz:,} {rule}")
    split = strong_generalisation(X, n_test=_HELD_OUT, n_validation=_HELD_OUT)
    validation = split.validation
    assert validation is not None  # for mypy: there is one if n_validation > 0
    groups = [part.shape[0] for part in (split.train, validation.test, split.test)]
    print(
        f"Users: {groups[0]:,} train, {groups[1]:,} choose l2, {groups[2]:,} test the choice; "
        f"{X.shape[0] - sum(groups):,} with too few items are left out.\n"
        "Of those who choose or test, a model sees 80 % of the items and is to find the other 20 %."
    )

    penalties = [factor * l2 for factor in _L2_FACTORS]
    models: dict[str, Any] = {"Popularity": Popularity()} | {f"EASE l2={at:g}": EASE(l2=at) for at in penalties}
    results = [_measure(name, model, split, validation, k) for name, model in models.items()]
    best = max(results[1:], key=lambda result: result.validation[_CRITERION])
    print("\n".join(_table(results, best)))
    print("\n".join(_lists(models[best.name], split, interactions, k)))
    print(_draw(results, best, penalties, out))
    return results


def _interactions(data: str | os.PathLike[str] | Interactions | None) -> tuple[Interactions, str]:
    if data is None:
        return datasets.make_implicit(8000, 1500), "Generated data (--data takes a file of yours)"
    if isinstance(data, Interactions):
        return data, "Data"
    return datasets.load(data), os.path.basename(os.path.normpath(data))


def _positives(data: Interactions) -> tuple[Any, str]:
    """Return the matrix of positives, and what they are."""
    values = np.unique(data.value)
    if len(values) > 2 and 0 <= values[0] < _LIKED <= values[-1] <= 5:
        return data.matrix(min_value=_LIKED, duplicates="last"), f"ratings of {_LIKED:g} and more, as positives"
    return data.matrix(), "positives"


def _measure(name: str, model: Any, split: Split, validation: Split, k: int) -> Result:
    start = perf_counter()
    model.fit(split.train)
    fit_seconds = perf_counter() - start
    chosen_by, test = evaluate(model, validation, _CRITERION), evaluate(model, split, _METRICS)
    users = np.arange(min(_TIMED_USERS, split.train.shape[0]))
    best = min(_seconds(model, users, k) for _ in range(3))
    return Result(name, chosen_by, test, fit_seconds, len(users) / best)


def _seconds(model: Any, users: NDArray[np.int64], k: int) -> float:
    start = perf_counter()
    model.recommend(users, k=k)
    return perf_counter() - start


def _table(results: list[Result], best: Result) -> Iterator[str]:
    """Yield the lines of the table: quality on validation and test users, and speed."""
    width = 2 + max(len(result.name) for result in results)
    yield ""
    yield f"{'':{width}}  validation  {'test, mean ± standard error':<{17 * len(_METRICS) - 2}}  {'speed':>10}"
    header = "".join(f"  {name:<15}" for name in _METRICS)
    yield f"{'':{width}}  {_CRITERION:<10}{header}  {'fit':>8}  {'users/s':>9}"
    for result in results:
        mark = "* " if result is best else "  "
        cells = "".join(f"  {result.test[name]:.4f} ± {result.test.standard_error[name]:.4f}" for name in _METRICS)
        yield (
            f"{mark + result.name:{width}}  {result.validation[_CRITERION]:<10.4f}{cells}"
            f"  {result.fit_seconds:6.2f} s  {result.users_per_second:9,.0f}"
        )
    yield "* best on the validation users"


def _lists(model: Any, split: Split, data: Interactions, k: int) -> Iterator[str]:
    """Yield what the model recommends to the first three test users."""
    yield ""
    yield "Three test users; [items in brackets] were hidden and have been found:"
    items, _ = model.recommend(split.fold_in[:3], k=k)
    users = range(len(items)) if split.test_users is None else split.test_users[:3].tolist()
    for row, user in enumerate(users):
        known, hidden = split.fold_in[[row]].indices, split.test[[row]].indices
        found = [_name(data.item_ids, item) for item in items[row] if item >= 0]
        marked = [f"[{name}]" if item in hidden else name for name, item in zip(found, items[row], strict=False)]
        some = [_name(data.item_ids, item) for item in known[:5]] + ["..."] * (len(known) > 5)
        yield f"  user {_name(data.user_ids, user)}, who has {', '.join(some)}: {', '.join(marked)}"


def _name(ids: NDArray[Any] | None, dense: int) -> str:
    return str(dense if ids is None else ids[dense])


def _draw(results: list[Result], best: Result, penalties: list[float], out: str | os.PathLike[str]) -> str:
    """Write the picture; return what to tell the user."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return f"\n{os.fspath(out)} is not drawn: matplotlib is missing. pip install 'pyrec_core[plot]' adds it."
    figure = Figure(figsize=(9, 4), dpi=200, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)  # no window, no global state
    parts: Any = figure.subfigures(1, 2, width_ratios=(1.55, 1), wspace=0.04)
    _draw_quality(parts[0].subplots(), results, best, penalties)
    _draw_speed(parts[1].subplots(2, 1), results[0], best)
    figure.savefig(out, format="png", pad_inches=0.15, bbox_inches="tight")
    return f"\n{os.fspath(out)} shows it."


def _draw_quality(axes: "Axes", results: list[Result], best: Result, penalties: list[float]) -> None:
    """Draw the criterion against the penalty, over a line for popularity."""
    mean = [result.validation[_CRITERION] for result in results]
    error = [result.validation.standard_error[_CRITERION] for result in results]
    high, low = max(np.add(mean, error)), min(np.subtract(mean, error))
    axes.set_xscale("log")
    axes.axhline(mean[0], color=_GREY, linewidth=2, linestyle=(0, (5, 3)))
    axes.axhspan(mean[0] - error[0], mean[0] + error[0], color=_GREY, alpha=0.2, linewidth=0)
    axes.errorbar(penalties, mean[1:], error[1:], color=_BLUE, marker="o", linewidth=2, capsize=3, elinewidth=1.2)
    at = results.index(best)
    chosen = penalties[at - 1]
    axes.plot(chosen, mean[at], "o", markersize=13, markerfacecolor="none", markeredgecolor=_BLUE)
    _label(axes, f"EASE, l2 = {chosen:g}", (chosen, mean[at] + error[at]), _BLUE, "center")
    _label(axes, "Popularity", (penalties[0], mean[0] + error[0]), _DARK_GREY, "left")
    axes.set_ylim(max(0.0, low - 0.15 * (high - low)), high + 0.2 * (high - low))
    axes.set_xticks(penalties, [f"{value:g}" for value in penalties])
    axes.minorticks_off()
    axes.set_xlabel("l2 penalty", color=_INK)
    _title(axes, "NDCG@100 on validation users, ± 1 standard error")
    _clean(axes)
    axes.grid(axis="y", color="#e6e9ec", linewidth=0.8)
    axes.set_axisbelow(True)


def _label(axes: "Axes", text: str, above: tuple[float, float], color: str, align: str) -> None:
    style: dict[str, Any] = {"color": color, "ha": align, "fontsize": 11, "fontweight": "bold"}
    axes.annotate(text, above, (0, 8), textcoords="offset points", va="bottom", **style)


def _draw_speed(panels: Any, popularity: Result, ease: Result) -> None:
    pair = (ease, popularity)
    seconds, rates = zip(*((result.fit_seconds, result.users_per_second) for result in pair), strict=True)
    _bars(panels[0], "Time to fit", seconds, [_duration(value) for value in seconds])
    _bars(panels[1], "Users served per second", rates, [f"{float(f'{value:.2g}'):,.0f}" for value in rates])


def _bars(axes: "Axes", title: str, values: Sequence[float], texts: list[str]) -> None:
    axes.barh([1, 0], values, height=0.55, color=[_BLUE, _GREY])
    for place, value, text in zip((1, 0), values, texts, strict=True):
        axes.annotate(text, (value, place), (5, 0), textcoords="offset points", va="center", color=_INK)
    axes.set_yticks([1, 0], ["EASE", "Popularity"])
    axes.set_xlim(0, max(values) * 1.3)
    axes.set_ylim(-0.6, 1.6)
    axes.set_xticks([])
    _title(axes, title)
    _clean(axes)
    axes.spines["bottom"].set_visible(False)


def _duration(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{1000 * seconds:.{0 if seconds >= 0.01 else 1}f} ms"


def _title(axes: "Axes", text: str) -> None:
    axes.set_title(text, loc="left", fontsize=11, color=_INK, pad=10)


def _clean(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#c3cad1")
    axes.tick_params(length=0, colors=_INK, labelsize=10)
