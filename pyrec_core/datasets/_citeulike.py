"""citeulike-a: who keeps which article (Wang, Chen and Li, IJCAI 2013)."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._interactions import Interactions
from .._sessions import Sessions
from .._validation import check_choice
from ..split import Split
from ._archive import is_archive, naming, read_arrays
from ._numbers import load_libfm, read_lists
from ._recognise import file_in, find
from ._side import SideData
from ._text import read_text


def load_citeulike(path: str | os.PathLike[str]) -> Interactions:
    """Load the articles of each user of citeulike-a.

    Parameters
    ----------
    path : str or path-like
        ``users.dat``, whose line k is ``n item item ...``, the n items of user k (from 0), maybe as .gz; an archive
        with ``user_items`` and ``user_ptr``; or the folder with one of them.

    Returns
    -------
    Interactions
        Dense ids are those of the files.

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    ValueError
        Not this format, or a damaged file; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_citeulike
    >>> path = os.path.join(tempfile.mkdtemp(), "users.dat")
    >>> with open(path, "w") as file:
    ...     _ = file.write("2 0 3\\n1 2\\n")
    >>> load_citeulike(path)
    Interactions(3 events, 2 users, 4 items, values 1)
    """
    lists = _lists(find(path, ("users.dat",)), "user_items", "user_ptr")
    user = np.repeat(np.arange(len(lists), dtype=np.int32), np.diff(lists.offsets))
    return Interactions(user, lists.items, n_users=len(lists))


def load_citeulike_split(path: str | os.PathLike[str], p: int) -> Split:
    """Load the published split of citeulike-a with ``p`` training articles of each user, all others for the test.

    Parameters
    ----------
    path : str or path-like
        The folder with ``cf-train-<p>-users.dat`` and ``cf-test-<p>-users.dat`` (lines as in ``users.dat``), each
        maybe as .gz; or an archive, or the folder ``<name>`` with ``<name>.npz``, with ``p<p>_train_items``,
        ``p<p>_train_ptr``, ``p<p>_test_items`` and ``p<p>_test_ptr``.
    p : {1, 10}

    Returns
    -------
    Split
        ``train`` and ``test`` of the same shape.

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    TypeError, ValueError
        Another ``p``; not this format, or a damaged file (the message names file and line).

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_citeulike_split
    >>> folder = tempfile.mkdtemp()
    >>> for name, text in (("cf-train-1-users.dat", "1 0\\n1 2\\n"), ("cf-test-1-users.dat", "1 3\\n0\\n")):
    ...     with open(os.path.join(folder, name), "w") as file:
    ...         _ = file.write(text)
    >>> load_citeulike_split(folder, p=1)
    Split(train 2 x 4 with 2 entries, test 2 x 4 with 1 entries)
    """
    p = check_choice("p", p, (1, 10))
    found = find(path, [f"cf-train-{p}-users.dat"])
    files = {"train": found, "test": found}
    if not is_archive(found):
        files["test"] = find(found.parent, [f"cf-test-{p}-users.dat"], archive=False)
    train, test = (_lists(file, f"p{p}_{part}_items", f"p{p}_{part}_ptr") for part, file in files.items())
    if len(train) != len(test):
        raise ValueError(f"{found.name} must have as many users as the test, {len(test)}, got {len(train)}")
    n_items = max(train.n_items, test.n_items)
    return Split(*(replace(part, n_items=n_items).matrix() for part in (train, test)))


def load_citeulike_items(path: str | os.PathLike[str]) -> SideData:
    """Load tags, citations and words of the articles of citeulike-a.

    Parameters
    ----------
    path : str or path-like
        The folder with any of ``item-tag.dat`` and ``citations.dat`` (line k is ``n id id ...``, the tags of article k,
        and the articles that it is linked to by a citation) and ``mult.dat`` (``n word:count ...``); for the names of
        their columns ``tags.dat`` and ``vocabulary.dat`` (one a line); each maybe as .gz. Or with the archive
        ``<name>.npz`` in the folder ``<name>``, or its path: ``item_tags``, ``item_tag_ptr``, ``citations``,
        ``citation_ptr``.

    Returns
    -------
    SideData
        Of the articles from 0, with the matrices "tags", "citations" and "words" of which there are files.

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    ValueError
        None of these files, files of different length, or a damaged one; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_citeulike_items
    >>> folder = tempfile.mkdtemp()
    >>> for name, text in (("item-tag.dat", "2 0 1\\n0\\n"), ("tags.dat", "physics\\nweb\\n")):
    ...     with open(os.path.join(folder, name), "w") as file:
    ...         _ = file.write(text)
    >>> load_citeulike_items(folder)
    SideData(2 rows; matrices tags 2 x 2)
    """
    found = find(path, ("item-tag.dat", "citations.dat", "mult.dat"))
    tags, citations = (
        found if is_archive(found) else file_in(found.parent, [name], archive=False)
        for name in ("item-tag.dat", "citations.dat")
    )
    words = file_in(found.parent, ["mult.dat"], archive=False)
    names = _names(found.parent, {"tags": "tags.dat", "words": "vocabulary.dat"})
    matrices: dict[str, Any] = {}
    if tags is not None:
        matrices["tags"] = _matrix(tags, "item_tags", "item_tag_ptr", len(names.get("tags", ())))
    if citations is not None:
        matrices["citations"] = _matrix(citations, "citations", "citation_ptr")
    if words is not None:
        matrices["words"], n = load_libfm(words, n_features=len(names["words"]) if "words" in names else None)
        if (n != np.diff(matrices["words"].indptr)).any():
            raise ValueError(f"{words.name} must have the number of words at the beginning of each line, got others")
    heights = {name: X.shape[0] for name, X in matrices.items()}
    if len(set(heights.values())) > 1:
        raise ValueError(f"path must hold files of as many articles each, got {heights}")
    names = {name: names[name] for name in matrices if name in names}
    return SideData(np.arange(max(heights.values())), matrices=matrices, names=names)


def _lists(path: Path, items: str, ptr: str) -> Sessions:
    arrays = read_arrays(path, (items, ptr)).values() if is_archive(path) else read_lists(path)
    with naming(path):
        return Sessions(*arrays)


def _matrix(path: Path, items: str, ptr: str, n_columns: int | None = None) -> Any:
    """Return the lists as a binary matrix: as many columns as rows, or ``n_columns``, or (0) as many as it needs."""
    lists = _lists(path, items, ptr)
    n = len(lists) if n_columns is None else n_columns or lists.n_items
    if lists.n_items > n:
        raise ValueError(f"{path.name} must hold ids below {n}, the number of columns, got {lists.n_items - 1}")
    return replace(lists, n_items=n).matrix()


def _names(folder: Path, files: dict[str, str]) -> dict[str, NDArray[np.str_]]:
    """Return the lines of those files that exist."""
    paths = {name: file_in(folder, [file], archive=False) for name, file in files.items()}
    return {
        name: np.array(read_text(path).replace("\r\n", "\n").removesuffix("\n").split("\n"), np.str_)
        for name, path in paths.items()
        if path is not None
    }
