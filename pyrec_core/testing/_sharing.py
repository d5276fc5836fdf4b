"""Whether threads may share an object: part of the conformance suite, and the same for the models of all doors."""

import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import scipy.sparse as sp

N_CALLERS, N_ROUNDS = 8, 3


def require_shareable(model: Any, calls: Sequence[Callable[[], Any]]) -> None:
    """Require that ``calls`` on ``model`` only read it, and give from many threads at once what they give alone.

    Parameters
    ----------
    model : object
        Whose attributes are watched, to the last bit.
    calls : functions without arguments
        Their results are compared to the last bit.

    Raises
    ------
    AssertionError
        An attribute changed, or a result did.
    """
    before = _state(model)
    wanted = [pickle.dumps(call()) for call in calls]
    _require_unchanged(model, before)
    together = Barrier(N_CALLERS)

    def work(first: int) -> bool:
        together.wait()
        turns = [(first + turn) % len(calls) for turn in range(N_ROUNDS * len(calls))]  # others begin with other calls
        return all(pickle.dumps(calls[turn]()) == wanted[turn] for turn in turns)

    with ThreadPoolExecutor(N_CALLERS) as pool:
        right = list(pool.map(work, range(N_CALLERS)))
    if not all(right):
        raise AssertionError("calls from several threads at once must give what one call gives alone")
    _require_unchanged(model, before)


def _state(model: Any) -> dict[str, bytes]:
    """Return the attributes, to the last bit; but for what a model makes of them when it needs it."""
    state = {}
    for name, value in vars(model).items():
        if name == "_made":
            continue
        # of a sparse matrix only what it holds: SciPy keeps notes on it, such as that its indices are sorted
        parts = (value.data, value.indices, value.indptr) if sp.issparse(value) else value
        state[name] = pickle.dumps(parts)
    return state


def _require_unchanged(model: Any, before: dict[str, bytes]) -> None:
    after = _state(model)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if changed:
        raise AssertionError(f"calls must only read the model, got changes of {', '.join(changed)}")
