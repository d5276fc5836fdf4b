"""A session under way."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class LiveSession:
    """One visitor's session, click by click: what ``model.session()`` returns.

    Attributes
    ----------
    clicks : list
        The ids so far; unknown items, of which there was a warning, are left out.

    Examples
    --------
    >>> from pyrec_core import MarkovChain
    >>> session = MarkovChain().fit(([0, 1, 2, 0, 1], [0, 3, 5])).session()
    >>> session.click(0).recommend(k=1)[0]
    array([1], dtype=int32)
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._seen = np.empty(0, np.int32)
        self._memory: Any = None
        self.clicks: list[Any] = []

    def click(self, item: Any) -> "LiveSession":
        """Take one more click; returns the session.

        Raises
        ------
        TypeError
            ``item`` is not one id, or of another kind than those of the training data.
        """
        if np.ndim(item):
            raise TypeError(f"item must be one id, got {type(item).__name__}")
        (known, _), _ = self._model._prefixes("item", [item])
        if len(known):
            self._memory = self._model._advance(self._memory, known)
            self._seen = np.concatenate([self._seen, known])
            self.clicks.append(item)
        return self

    def recommend(self, k: int = 20, exclude_seen: bool = False) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the ``k`` items that most likely come next, as ``recommend_next`` does for one prefix."""
        found: tuple[NDArray[Any], NDArray[Any]]
        found = self._model._recommend_after(self._memory, self._seen, k, exclude_seen)
        return found
