"""What an evaluation found: means, standard errors, values of each user, and parts of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import as_array


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Mapping[str, float]):
    """What `evaluate` found. ``result["ndcg@10"]`` is a mean; ``print(result)`` shows all of it.

    Attributes
    ----------
    mean : dict of str to float
        Mean over the evaluated users, each counting the same; for coverage and Gini the value of all lists
        together.
    standard_error : dict of str to float
        Standard deviation over the users (divisor n), divided by ``sqrt(n_users)``; NaN for coverage and Gini.
    per_user : dict of str to float64 (n,)
        One value per row of ``split.test``, NaN for the skipped ones. Without coverage and Gini.
    cold : bool (n,)
        The evaluated users of whom nothing is known: the model ranked by its rule for new users. They are
        part of ``mean``; ``by_user_group(result.cold)[True]`` are they alone.
    n_users, n_skipped, n_cold : int
        Users evaluated, users without a held-out item, and cold users among the evaluated.
    sampled : bool
        Whether the held-out items were ranked among ``split.negatives`` only. Such values are much higher
        than those of a full ranking, and do not preserve the order of models.
    item_groups : dict to Evaluation
        For each of the ``item_groups`` given to `evaluate`: the same ranking, of which only the held-out items of
        that group count.
    """

    mean: dict[str, float]
    standard_error: dict[str, float]
    per_user: dict[str, NDArray[np.float64]]
    cold: NDArray[np.bool_]
    n_users: int
    n_skipped: int
    n_cold: int
    sampled: bool
    item_groups: "dict[Any, Evaluation]" = field(default_factory=dict)

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
            error = self.standard_error[name]
            lines.append(f"{name:{width}}  {value:.4f}" + ("" if np.isnan(error) else f"      {error:.4f}"))
        lines.append(f"{self.n_users} users, {self.n_cold} of them cold; {self.n_skipped} skipped, nothing held out")
        if self.sampled:
            lines.append("sampled: ranked among a few candidates, not comparable with a full ranking")
        for group, part in self.item_groups.items():
            lines += [f"held-out items of group {group}:", *(f"  {line}" for line in str(part).splitlines())]
        return "\n".join(lines)

    def by_user_group(self, groups: ArrayLike) -> "dict[Any, Evaluation]":
        """Return the same evaluation of each group of users.

        Parameters
        ----------
        groups : array (n,)
            The group of each row of ``split.test``: integers, strings or bools.

        Returns
        -------
        dict
            In sorted order of the groups. A group without an evaluated user has means of NaN. Coverage and Gini
            belong to all lists together and are left out.

        Raises
        ------
        ValueError
            Another number of groups than of rows.

        Examples
        --------
        >>> import numpy as np
        >>> from pyrec_core import Popularity, evaluate
        >>> from pyrec_core.split import per_user
        >>> split = per_user(np.tri(8), test_size=0.25)
        >>> found = evaluate(Popularity().fit(split.train), split, "recall", k=1)
        >>> for group, part in found.by_user_group(["few"] * 4 + ["many"] * 4).items():
        ...     print(group, part)
        few            mean  std. error
        recall@1  1.0000      0.0000
        3 users, 0 of them cold; 1 skipped, nothing held out
        many            mean  std. error
        recall@1  0.6250      0.1083
        4 users, 0 of them cold; 0 skipped, nothing held out
        """
        labels = as_array("groups", groups)
        if labels.shape != self.cold.shape:
            raise ValueError(f"groups must have shape {self.cold.shape}, one for each test user, got {labels.shape}")
        evaluated = np.isfinite(next(iter(self.per_user.values()))) if self.per_user else np.zeros(labels.shape, bool)
        found = {}
        for group in np.unique(labels):
            members = labels == group
            values = {name: array[members] for name, array in self.per_user.items()}
            found[group.item()] = summary(values, evaluated[members], self.cold[members], self.sampled)
        return found


def summary(
    per_user: dict[str, NDArray[np.float64]], evaluated: NDArray[np.bool_], cold: NDArray[np.bool_], sampled: bool
) -> Evaluation:
    """Return means and standard errors over the users who are ``evaluated``."""
    n_users = int(evaluated.sum())
    mean, error = {}, {}
    for name, array in per_user.items():
        values = array[evaluated]
        mean[name] = float(values.mean()) if n_users else float("nan")
        error[name] = float(values.std() / np.sqrt(n_users)) if n_users else float("nan")
    n_cold = int((cold & evaluated).sum())
    return Evaluation(mean, error, per_user, cold, n_users, len(evaluated) - n_users, n_cold, sampled)
