"""Frappe: which app was used in which context (Baltrunas et al., arXiv:1505.03014)."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._columns import check_length
from .._features import Features
from .._random import RandomState, seed_of, stream
from .._validation import check_choice, check_id_range, check_int
from ._archive import naming, read_arrays
from ._numbers import load_libfm
from ._recognise import existing, file_in, find
from ._rows import first_line, read_rows
from ._side import read_json

_NAMES = ("user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city")
_SIZES = np.array([957, 4082, 7, 7, 2, 3, 2, 9, 80, 233])
_PARTS = ("train", "validation", "test")
_N_NEGATIVES = 2  # of each positive row, as published


class FeatureSplit(NamedTuple):
    """Training, validation and test examples with the same fields and vocabularies.

    Attributes
    ----------
    train, test : Features
    validation : Features or None
    """

    train: Features
    validation: Features | None
    test: Features


def load_frappe(path: str | os.PathLike[str], *, split: str = "nfm", random_state: RandomState = 0) -> FeatureSplit:
    """Load Frappe as the papers on feature interactions divide it.

    Parameters
    ----------
    path : str or path-like
        The folder with ``frappe.train.libfm``, ``frappe.validation.libfm`` and ``frappe.test.libfm``, as published with
        NFM (He and Chua, SIGIR 2017), each maybe as .gz; or with ``frappe.npz``: ``X`` (the positive rows) and
        ``field_sizes``, ``nfm_split`` (0 training, 1 validation, 2 test), ``nfm_valid_X``, ``nfm_valid_y``,
        ``nfm_test_X`` and ``nfm_test_y``, ``cfm_split`` (0 training, 1 test). With ``vocab.json`` beside it, the names
        of the categories.
    split : {"nfm", "cfm"}
        "nfm": 70/20/10 at random, with 2 negatives for each positive row. "cfm" (Xin et al., IJCAI 2019; from the
        archive only): positive rows only, without ``validation``; `add_negatives` makes the others.
    random_state : int, numpy Generator or None
        For the negatives of training, which the archive lacks: `add_negatives` draws them, as the published ones
        were drawn. Not used for the published files.

    Returns
    -------
    FeatureSplit
        Of 10 fields, with target 1 for a use and 0 for a negative.

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    ValueError
        Neither of the two, or damaged files; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_frappe
    >>> folder = tempfile.mkdtemp()
    >>> line = "451:1 4149:1 5041:1 5046:1 5053:1 5055:1 5058:1 5060:1 5069:1 5149:1"
    >>> for part in ("train", "validation", "test"):
    ...     with open(os.path.join(folder, f"frappe.{part}.libfm"), "w") as file:
    ...         _ = file.write(f"1 {line}\\n-1 {line}\\n")
    >>> load_frappe(folder).train
    Features(2 rows, 10 fields, 5382 categories, with target)
    """
    check_choice("split", split, ("nfm", "cfm"))
    found = existing(path)
    names = [f"frappe.{part}.libfm" for part in _PARTS]
    files = [file_in(found, [name], archive=False) for name in names] if found.is_dir() else [None]
    present = [file for file in files if file is not None]
    if split == "nfm" and present:
        if len(present) < len(names):
            raise ValueError(f"path must hold {', '.join(names)}, got only {', '.join(file.name for file in present)}")
        return FeatureSplit(*map(_from_libfm, present))
    return _from_archive(find(path, ("frappe.npz",)), split, random_state)


def load_frappe_log(path: str | os.PathLike[str]) -> Features:
    """Load ``frappe.csv``, the log of app usage as its authors distribute it.

    Parameters
    ----------
    path : str or path-like
        The file (columns user, item, cnt and 8 of context, separated by tabs, with a header), maybe as .gz; or its
        folder.

    Returns
    -------
    Features
        Of the same 10 fields as `load_frappe`, with the usage count ``cnt`` as target. Ids follow the sorted names.

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    ValueError
        Not this format; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_frappe_log
    >>> path = os.path.join(tempfile.mkdtemp(), "frappe.csv")
    >>> with open(path, "w") as file:
    ...     for line in (
    ...         "user item cnt daytime weekday isweekend homework cost weather country city",
    ...         "31 0 1 morning sunday weekend unknown free sunny Spain 0",
    ...     ):
    ...         _ = file.write(line.replace(" ", "\\t") + "\\n")
    >>> load_frappe_log(path)
    Features(1 rows, 10 fields, 10 categories, with target)
    """
    found = find(path, ("frappe.csv",), archive=False)
    header = first_line(found).split("\t")
    if sorted(header) != sorted((*_NAMES, "cnt")):
        raise ValueError(f"{found.name} must have columns {', '.join(_NAMES)} and cnt, got {', '.join(header)[:80]}")
    rows = read_rows(found, "\t", len(header), header=True)
    columns: list[NDArray[Any]] = [rows.integers(name, header.index(name)) for name in ("user", "item")]
    columns += [rows.strings(header.index(name)) for name in _NAMES[2:]]
    numbered = [np.unique(column, return_inverse=True) for column in columns]
    return Features(
        np.stack([ids for _, ids in numbered], axis=1),
        target=rows.integers("cnt", header.index("cnt")).astype(np.float32),
        names=_NAMES,
        vocabularies=tuple(vocabulary for vocabulary, _ in numbered),
    )


def add_negatives(
    positives: Features,
    n: int = 2,
    *,
    seen: Features | None = None,
    user: str = "user",
    item: str = "item",
    random_state: RandomState = 0,
) -> Features:
    """Add ``n`` negative rows for each positive one, in the manner of NFM (He and Chua, SIGIR 2017).

    A negative row keeps the user and everything else of its positive row, but has an item, drawn uniformly, that the
    user never had. Fields that depend on the item, as "cost" in Frappe, keep what the positive row says, as published.

    Parameters
    ----------
    positives : Features
        Rows of positive examples.
    n : int >= 1
    seen : Features, optional
        More rows whose items count as had by their users, for instance those of validation and test. Same ids.
    user, item : str
        Names of the two fields.
    random_state : int, numpy Generator or None

    Returns
    -------
    Features
        The positive rows with target 1, and after them the negative ones with target 0.

    Raises
    ------
    ValueError
        No such fields, missing users or items, a user who had all items.

    Examples
    --------
    >>> from pyrec_core import Features
    >>> from pyrec_core.datasets import add_negatives
    >>> add_negatives(Features([[0, 2, 5]], field_sizes=[1, 4, 6], names=("user", "item", "day"))).target
    array([1., 0., 0.], dtype=float32)
    """
    n = check_int("n", n, low=1)
    for name in (user, item):
        if name not in positives.names:
            raise ValueError(f"positives must have the fields {user} and {item}, got {', '.join(positives.names)}")
    if seen is not None and seen.shape[1] != positives.shape[1]:
        raise ValueError(f"seen must have the {positives.shape[1]} fields of positives, got {seen.shape[1]}")
    at = [positives.names.index(name) for name in (user, item)]
    n_users, n_items = (int(size) for size in positives.field_sizes[at])
    pairs = [
        check_id_range(f"{name}.{field}", data.ids[:, place], size, field)
        for name, data in (("positives", positives), ("seen", seen))
        if data is not None
        for field, place, size in zip((user, item), at, (n_users, n_items), strict=True)
    ]
    users = pairs[0]
    had = np.unique(np.concatenate([u * n_items + i for u, i in zip(pairs[::2], pairs[1::2], strict=True)]))
    full = np.bincount(had // max(n_items, 1), minlength=n_users)[users] == n_items
    if full.any():
        raise ValueError(
            f"positives must leave each user an item, got user {users[np.argmax(full)]} with all {n_items}"
        )

    row = np.repeat(np.arange(len(users)), n)
    rng = stream(seed_of(random_state), "feature-negatives")
    drawn = rng.integers(n_items, size=len(row))
    again = np.arange(len(row))
    while len(again := again[np.isin(users[row[again]] * n_items + drawn[again], had)]):
        drawn[again] = rng.integers(n_items, size=len(again))
    negatives = positives.ids[row]
    negatives[:, at[1]] = drawn
    values = positives.values
    return replace(
        positives,
        ids=np.concatenate([positives.ids, negatives]),
        values=None if values is None else np.concatenate([values, values[row]]),
        target=np.repeat([1.0, 0.0], [len(users), len(row)]),
    )


def _from_libfm(path: Path) -> Features:
    X, y = load_libfm(path, n_features=int(_SIZES.sum()))
    one_each = np.diff(X.indptr) == len(_SIZES)
    if one_each.all():
        ids = X.indices.reshape(-1, len(_SIZES)) - (np.cumsum(_SIZES) - _SIZES)
        right = (ids >= 0) & (ids < _SIZES) & (X.data.reshape(ids.shape) == 1)
        one_each = right.all(axis=1)
    if not one_each.all():
        at = int(np.argmin(one_each)) + 1
        raise ValueError(f"{path.name} must have one feature of each of the 10 fields, got others in example {at}")
    return Features(ids, target=(y > 0).astype(np.float32), field_sizes=_SIZES, names=_NAMES)


def _from_archive(path: Path, split: str, random_state: RandomState) -> FeatureSplit:
    published = [f"nfm_{part}_{which}" for part in ("valid", "test") for which in "Xy"] if split == "nfm" else []
    arrays = read_arrays(path, ("X", "field_sizes", f"{split}_split", *published))
    X, part, sizes = arrays["X"], arrays[f"{split}_split"], arrays["field_sizes"]
    vocabularies = _vocabularies(path, sizes)

    def rows(ids: NDArray[Any], target: NDArray[Any]) -> Features:
        return Features(ids, target=target, field_sizes=sizes, names=_NAMES, vocabularies=vocabularies)

    with naming(path):
        check_length(f"{split}_split", part, len(X), "X")
        everything, train, test = (
            rows(X[which], np.ones(np.count_nonzero(which))) for which in (part >= 0, part == 0, part == 1)
        )
        if split == "cfm":
            return FeatureSplit(train, None, test)
        train = add_negatives(train, _N_NEGATIVES, seen=everything, random_state=random_state)
        return FeatureSplit(train, *(rows(arrays[f"nfm_{of}_X"], arrays[f"nfm_{of}_y"]) for of in ("valid", "test")))


def _vocabularies(archive: Path, sizes: NDArray[Any]) -> tuple[NDArray[Any] | None, ...]:
    """Return the names in ``vocab.json``: field to id to name. What it does not name is called by its id."""
    path = file_in(archive.parent, ["vocab.json"], archive=False)
    names = {} if path is None else read_json(path)
    if not all(isinstance(each, dict) for each in names.values()):
        raise ValueError("vocab.json must hold a JSON object for each field, got others")
    names |= {"city": names["city_raw_id"]} if "city_raw_id" in names else {}
    return tuple(
        np.array([str(names[field].get(str(at), f"id {at}")) for at in range(size)]) if field in names else None
        for field, size in zip(_NAMES, sizes.tolist(), strict=True)
    )
