"""HetRec 2011 Last.fm 2K: who listened to which artist, tags and friends (Cantador, Brusilovsky and Kuflik)."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from .._columns import check_external
from .._interactions import Interactions
from .._validation import check_id_range
from ._archive import is_archive, naming, read_arrays
from ._recognise import file_in, find, start_of
from ._rows import read_rows
from ._side import SideData, counted_tags, rows_of
from ._text import Layout, read_columns


def load_hetrec_lastfm(path: str | os.PathLike[str]) -> Interactions:
    """Load the listening counts of Last.fm 2K.

    Parameters
    ----------
    path : str or path-like
        ``user_artists.dat`` (userID, artistID, weight; separated by tabs, with a header), maybe as .gz; or an archive
        with ``user``, ``artist`` (from 1), ``weight``, and ``user_orig`` and ``artist_orig`` (the published id of id
        k + 1); or the folder with one of them.

    Returns
    -------
    Interactions
        The counts as values; ``user_ids`` and ``item_ids`` are the published ids.

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    ValueError
        Not this format, or a damaged file; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_hetrec_lastfm
    >>> path = os.path.join(tempfile.mkdtemp(), "user_artists.dat")
    >>> with open(path, "w") as file:
    ...     _ = file.write("userID\\tartistID\\tweight\\n2\\t51\\t13883\\n2\\t52\\t11690\\n")
    >>> load_hetrec_lastfm(path)
    Interactions(2 events, 1 users, 2 items, values 11690 to 13883)
    """
    found = find(path, ("user_artists.dat",))
    if is_archive(found):
        arrays = read_arrays(found, ("user", "artist", "weight", "user_orig", "artist_orig"))
        user = _published(found, arrays["user"], arrays["user_orig"])
        artist, weight = _published(found, arrays["artist"], arrays["artist_orig"]), arrays["weight"]
    else:
        user, artist, weight = _columns(found, "userID", "artistID", "weight")
    with naming(found):
        return Interactions.from_arrays(user, artist, weight)


def load_hetrec_lastfm_artists(path: str | os.PathLike[str]) -> SideData:
    """Load the tags, and the names, of the artists of Last.fm 2K.

    Parameters
    ----------
    path : str or path-like
        The folder with ``user_taggedartists.dat`` (userID, artistID, tagID and a date; separated by tabs, with a
        header), maybe with ``tags.dat`` (tagID, tagValue) for the names of the tags and ``artists.dat`` (id, name, url,
        pictureURL) for those of the artists, each maybe as .gz. Or with an archive as for `load_hetrec_lastfm` that
        has ``assign_artist`` and ``assign_tag`` too. Or the path of the first file or of the archive.

    Returns
    -------
    SideData
        Of published artist ids: those that have tags, or with ``artists.dat`` all that it has. The matrix "tags" says
        how many users gave which tag; without ``tags.dat`` its names are the ids of the tags. With ``artists.dat``,
        the column "name".

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    ValueError
        Not this format, or a damaged file; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_hetrec_lastfm_artists
    >>> path = os.path.join(tempfile.mkdtemp(), "user_taggedartists.dat")
    >>> with open(path, "w") as file:
    ...     _ = file.write("userID\\tartistID\\ttagID\\tday\\tmonth\\tyear\\n2\\t52\\t13\\t1\\t4\\t2009\\n")
    >>> load_hetrec_lastfm_artists(path)
    SideData(1 rows; matrices tags 1 x 1)
    """
    found = find(path, ("user_taggedartists.dat",))
    if is_archive(found):
        arrays = read_arrays(found, ("assign_artist", "assign_tag", "artist_orig"))
        artist, tag = _published(found, arrays["assign_artist"], arrays["artist_orig"]), arrays["assign_tag"]
    else:
        artist, tag = _columns(found, "artistID", "tagID")
    tags, artists = (file_in(found.parent, [name], archive=False) for name in ("tags.dat", "artists.dat"))
    if tags is not None:
        rows = read_rows(tags, "\t", 2, header=True)
        tag = np.append(rows.strings(1), "")[rows_of(rows.integers("tagID", 0), tag)]
    side = counted_tags(artist, tag)
    if artists is None:
        return side
    rows = read_rows(artists, "\t", 2, header=True, more=True)
    aligned = side.align(rows.integers("id", 0))
    return SideData(aligned.ids, {"name": rows.strings(1)}, aligned.matrices, aligned.names)


def load_hetrec_lastfm_friends(path: str | os.PathLike[str], user_ids: ArrayLike) -> Any:
    """Load who is a friend of whom in Last.fm 2K.

    Parameters
    ----------
    path : str or path-like
        ``user_friends.dat`` (userID, friendID; separated by tabs, with a header), maybe as .gz; or an archive as for
        `load_hetrec_lastfm`, that has ``friend_a`` and ``friend_b`` too; or the folder with one of them.
    user_ids : integers (n,)
        The published ids that rows and columns stand for, as ``user_ids`` of `load_hetrec_lastfm`. Others are left out.

    Returns
    -------
    scipy.sparse.csr_array, float32 (n, n)
        1 for each friendship that the file has; the published file has both directions.

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    ValueError
        Not this format, or a damaged file; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_hetrec_lastfm_friends
    >>> path = os.path.join(tempfile.mkdtemp(), "user_friends.dat")
    >>> with open(path, "w") as file:
    ...     _ = file.write("userID\\tfriendID\\n2\\t275\\n275\\t2\\n")
    >>> load_hetrec_lastfm_friends(path, [2, 275]).toarray()
    array([[0., 1.],
           [1., 0.]], dtype=float32)
    """
    found = find(path, ("user_friends.dat",))
    if is_archive(found):
        arrays = read_arrays(found, ("friend_a", "friend_b", "user_orig"))
        pairs = [_published(found, arrays[name], arrays["user_orig"]) for name in ("friend_a", "friend_b")]
    else:
        pairs = list(_columns(found, "userID", "friendID"))
    users = check_external("user_ids", user_ids)
    a, b = (rows_of(users, ids) for ids in pairs)
    known = (a >= 0) & (b >= 0)
    shape = (len(users), len(users))
    X = sp.coo_array((np.ones(np.count_nonzero(known), np.float32), (a[known], b[known])), shape=shape).tocsr()
    X.data[:] = 1.0  # pairs that occur twice
    return X


def _columns(path: Path, *names: str) -> tuple[NDArray[Any], ...]:
    """Return columns of integers by the names of the header."""
    sep, fields = start_of(path)
    if sep != "\t" or not set(names) <= set(fields):
        raise ValueError(f"{path.name} must have columns {', '.join(names)}, separated by tabs, got {fields}")
    layout = Layout(sep, True, {name: fields.index(name) for name in names}, dict.fromkeys(names, "integer"))
    return tuple(read_columns(path, layout).values())


def _published(path: Path, ids: NDArray[Any], published: NDArray[Any]) -> NDArray[Any]:
    """Return the published ids of ids from 1."""
    with naming(path):
        return published[check_id_range("ids", ids.astype(np.int64) - 1, len(published), "published")]
