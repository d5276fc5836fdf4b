"""Criteo's display advertising data, as published for the challenge of 2014."""

import math
import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._features import Features
from .._validation import MAX_ID, check_choice, check_int
from ._recognise import existing
from ._tokens import Tokens, tokens_of

_N_COUNTS = 13
_NAMES = tuple(f"I{at}" for at in range(1, 14)) + tuple(f"C{at}" for at in range(1, 27))
_NIBBLE = np.full(256, 255, np.uint8)
_NIBBLE[list(b"0123456789abcdef")] = np.arange(16)
_NIBBLE[list(b"ABCDEF")] = np.arange(10, 16)
_BUCKETS = np.array([math.ceil(2 ** math.sqrt(b)) - 1 for b in range(60**2 + 1)])  # the smallest count of each


def load_criteo(
    path: str | os.PathLike[str],
    *,
    counts: str = "bucket",
    min_count: int = 1,
    n_hashes: int | None = None,
    like: Features | None = None,
) -> Features:
    """Load click data of Criteo: label, 13 counts I1 to I13, 26 hashed categories C1 to C26; separated by tabs.

    Parameters
    ----------
    path : str or path-like
        The file, maybe as .gz. ``test.txt``, which has no labels, gives no target.
    counts : {"bucket", "log"}
        The counts are heavy-tailed and often missing. "bucket": a count x >= 0 becomes the category
        ``floor(log2(1 + x)^2)``, and a negative one stands for itself. All models embed categories, a missing count
        then needs no invented number, and small counts stay apart. "log": numeric fields with the value
        ``sign(x) log(1 + |x|)``.
    min_count : int >= 1
        Rarer categories of C1 to C26 are unknown: id -1, as missing ones. 10 is usual for the whole data.
    n_hashes : int >= 1, optional
        Instead of a vocabulary, the id of C1 to C26 is the published hash modulo this number.
    like : Features, optional
        What this function returned, with the same arguments, for the training file: its vocabularies are used, and
        other categories are unknown.

    Returns
    -------
    Features
        39 fields, and the clicks as target. A category of C1 to C26 keeps its 8 hexadecimal digits as its name.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    TypeError, ValueError
        Arguments out of range, or not this format; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_criteo
    >>> path = os.path.join(tempfile.mkdtemp(), "train.txt")
    >>> with open(path, "w") as file:
    ...     _ = file.write("\\t".join(["1", *["7"] * 13, *["68fd1e64"] * 26]) + "\\n")
    ...     _ = file.write("\\t".join(["0", *[""] * 13, *["80e26c9b"] * 26]) + "\\n")
    >>> data = load_criteo(path)
    >>> data.ids[:, [0, 13]], data.vocabularies[0], data.vocabularies[13]
    (array([[ 0,  0],
           [-1,  1]], dtype=int32), array([9]), array(['68fd1e64', '80e26c9b'], dtype='<U8'))
    """
    check_choice("counts", counts, ("bucket", "log"))
    min_count = check_int("min_count", min_count, low=1)
    if n_hashes is not None:
        n_hashes = check_int("n_hashes", n_hashes, low=1, high=MAX_ID)
    if like is not None and (not isinstance(like, Features) or like.names != _NAMES):
        raise TypeError(f"like must be Features of load_criteo, got {like!r}")
    found = existing(path)
    blocks = [_parse(tokens) for tokens in tokens_of(found, b"\t\n", keep_empty=True)]
    blocks = [block for block in blocks if len(block.missing)]
    if not blocks:
        raise ValueError(f"{found.name} must hold examples, got an empty file")
    labels = [block.label for block in blocks if block.label is not None]
    if len(labels) not in (0, len(blocks)):
        raise ValueError(f"{found.name} must have labels in all lines or in none, got both")
    missing, number, hashes = (np.concatenate([block[at] for block in blocks]) for at in range(3))
    ids = np.where(missing, np.int32(-1), np.int32(0))
    sizes = np.ones(len(_NAMES), np.int64)
    vocabularies: list[NDArray[Any] | None] = [None] * len(_NAMES)
    for at, present in enumerate(~missing.T):
        known = None if like is None else like.vocabularies[at]
        if at >= _N_COUNTS and n_hashes is not None:
            ids[present, at] = hashes[present, at - _N_COUNTS] % n_hashes
            sizes[at] = n_hashes
        elif at >= _N_COUNTS:
            known = None if known is None else np.array([int(name, 16) for name in known.tolist()], np.uint32)
            ids[present, at], known = _number(hashes[present, at - _N_COUNTS], min_count, known)
            vocabularies[at] = np.array([f"{code:08x}" for code in known.tolist()], "U8")
        elif counts == "bucket":
            ids[present, at], vocabularies[at] = _number(_bucket(number[present, at]), 1, known)
    values = None
    if counts == "log":
        values = np.ones(ids.shape, np.float32)
        values[:, :_N_COUNTS] = np.sign(number) * np.log1p(np.abs(number))
    data = Features(
        ids,
        values,
        np.concatenate(labels) if labels else None,
        np.array([size if names is None else len(names) for size, names in zip(sizes, vocabularies, strict=True)]),
        _NAMES,
        tuple(vocabularies),
    )
    if like is not None and (
        (data.field_sizes != like.field_sizes).any()
        or [names is None for names in data.vocabularies] != [names is None for names in like.vocabularies]
    ):
        raise ValueError("like must be made with the same counts and n_hashes, got others")
    return data


class _Block(NamedTuple):
    missing: NDArray[np.bool_]  # (n, 39)
    counts: NDArray[np.int64]  # (n, 13)
    hashes: NDArray[np.uint32]  # (n, 26)
    label: NDArray[np.int64] | None  # (n,)


def _parse(tokens: Tokens) -> _Block:
    """Return the lines of a block, all with a label or all without."""
    ends = np.flatnonzero(tokens.after() == ord("\n"))
    widths = np.diff(ends, prepend=-1)
    blank = (widths == 1) & (tokens.start[ends] == tokens.end[ends])
    tokens, widths = tokens.take(np.repeat(~blank, widths)), widths[~blank]
    n_fields = int(widths[0]) if len(widths) and widths[0] == len(_NAMES) else len(_NAMES) + 1
    wrong = widths != n_fields
    if wrong.any():
        at = int(np.argmax(wrong))
        line = tokens.line[widths[:at].sum()]
        raise ValueError(f"{tokens.file}, line {line}: must have {n_fields} fields, got {widths[at]}")
    token = np.arange(len(tokens.start)).reshape(len(widths), n_fields)
    present = (tokens.end > tokens.start)[token]
    label = None
    if n_fields > len(_NAMES):
        first = tokens.take(token[:, 0])
        label = first.integers("label")
        if not np.isin(label, (0, 1)).all():
            first.fail(int(np.argmax(~np.isin(label, (0, 1)))), "label must be 0 or 1")
        token, present = token[:, 1:], present[:, 1:]
    counts = np.zeros((len(token), _N_COUNTS), np.int64)
    here = present[:, :_N_COUNTS]
    counts[here] = tokens.take(token[:, :_N_COUNTS][here]).integers("count")
    hashes = np.zeros((len(token), len(_NAMES) - _N_COUNTS), np.uint32)
    here = present[:, _N_COUNTS:]
    hashes[here] = _hexadecimal(tokens.take(token[:, _N_COUNTS:][here]))
    return _Block(~present, counts, hashes, label)


def _hexadecimal(tokens: Tokens) -> NDArray[np.uint32]:
    wrong = tokens.end - tokens.start != 8
    value = np.zeros(len(wrong), np.uint32)
    for at in range(8):
        digit = _NIBBLE[tokens.data[np.minimum(tokens.start + at, len(tokens.data) - 1)]]
        wrong |= digit > 15
        value = value << np.uint32(4) | digit
    if wrong.any():
        tokens.fail(int(np.argmax(wrong)), "category must be 8 hexadecimal digits")
    return value


def _bucket(count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return floor(log2(1 + count)^2), from exact limits instead of rounded logarithms; negative counts as they are."""
    return np.where(count < 0, count, np.searchsorted(_BUCKETS, count, side="right") - 1)


def _number(codes: NDArray[Any], min_count: int, known: NDArray[Any] | None) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the place of each code among the known ones, else -1, and those: by default all that are frequent."""
    if known is None:
        known, occurrences = np.unique(codes, return_counts=True)
        known = known[occurrences >= min_count]
    if not len(known):
        return np.full(len(codes), -1), known
    place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    return np.where(known[place] == codes, place, -1), known
