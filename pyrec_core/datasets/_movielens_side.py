"""MovieLens, as GroupLens distributes it: movies, users and tags."""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ._archive import naming
from ._recognise import file_in, find, headings
from ._rows import Rows, first_line, read_rows
from ._side import SideData, counted_tags, memberships

_YEAR = re.compile(r"\((\d{4})[^()]*\)\s*$", re.ASCII)
_DATE = re.compile(r"-(\d{4})$", re.ASCII)
_U_ITEM = 5  # fields of u.item before the flags: movie, title, date, date of the video, address
_NO_GENRES = "(no genres listed)"
# fmt: off
_GENRES = [  # of the flags, in this order
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
]
# fmt: on


def load_movielens_items(path: str | os.PathLike[str]) -> SideData:
    """Load the movies of a MovieLens data set.

    Parameters
    ----------
    path : str or path-like
        ``movies.dat`` (``MovieID::Title (Year)::Genre|Genre``), ``movies.csv`` (the same with a header), ``u.item``
        (fields separated by ``|``, a flag for each of 19 genres) or ``items.tsv`` (movie, title, year, genres; with a
        header), each maybe as .gz; or the folder with it. UTF-8, or Latin-1 where it is not.

    Returns
    -------
    SideData
        Columns "title" (as it stands) and "year" (-1: unknown), the binary matrix "genres" and its names. With
        ``links.csv`` beside ``movies.csv``, the columns "imdb" and "tmdb" too, as strings ("": unknown).

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    ValueError
        None of these files, or a truncated or garbled one; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_movielens_items
    >>> path = os.path.join(tempfile.mkdtemp(), "movies.dat")
    >>> with open(path, "w") as file:
    ...     _ = file.write("1::Toy Story (1995)::Animation|Comedy\\n2::Jumanji (1995)::Adventure\\n")
    >>> movies = load_movielens_items(path)
    >>> movies
    SideData(2 rows; columns title, year; matrices genres 2 x 3)
    >>> movies.align([2]).columns["title"], movies.names["genres"]
    (array(['Jumanji (1995)'], dtype='<U16'), array(['Adventure', 'Animation', 'Comedy'], dtype='<U9'))
    """
    found = find(path, ("movies.dat", "movies.csv", "u.item", "items.tsv"), archive=False)
    line = first_line(found)
    names = headings(line.replace("\t", ",").split(","))
    if names == ["movieid", "title", "genres"]:
        return _with_links(_movies(read_rows(found, ",", 3, header=True)), found)
    if "::" in line:
        return _movies(read_rows(found, "::", 3))
    if names == ["itemid", "movietitle", "releaseyear", "class"]:
        rows = read_rows(found, "\t", 4, header=True)
        years = [int(year) if year.isdecimal() else -1 for year in rows.strings(2).tolist()]
        return _side(rows, years, *memberships(rows.lists(3, " ")))
    if line.count("|") == _U_ITEM + len(_GENRES) - 1:
        rows = read_rows(found, "|", _U_ITEM + len(_GENRES))
        flags = np.stack([rows.integers(genre, _U_ITEM + at) for at, genre in enumerate(_GENRES)], axis=1)
        return _side(rows, _years(rows.strings(2), _DATE), sp.csr_array(flags, dtype=np.float32), np.array(_GENRES))
    raise ValueError(f"{found.name} must be movies.dat, movies.csv, u.item or items.tsv, got {line[:80]!r}")


def load_movielens_users(path: str | os.PathLike[str]) -> SideData:
    """Load the users of a MovieLens data set.

    Parameters
    ----------
    path : str or path-like
        ``users.dat`` (``UserID::Gender::Age::Occupation::Zip``), ``u.user`` (user, age, gender, occupation, zip;
        separated by ``|``) or ``users.tsv`` (the same by tabs, with a header), each maybe as .gz; or the folder with
        it.

    Returns
    -------
    SideData
        Columns "gender", "age" (years in MovieLens 100K, the lower end of a range in 1M), "occupation" (a word in
        100K, a number in 1M) and "zip" (a string).

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    ValueError
        None of these files, or a truncated or garbled one; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_movielens_users
    >>> path = os.path.join(tempfile.mkdtemp(), "users.dat")
    >>> with open(path, "w") as file:
    ...     _ = file.write("1::F::1::10::48067\\n2::M::56::16::70072\\n")
    >>> load_movielens_users(path).columns["age"]
    array([ 1, 56])
    """
    found = find(path, ("users.dat", "u.user", "users.tsv"), archive=False)
    line = first_line(found)
    header = headings(line.split("\t")) == ["userid", "age", "gender", "occupation", "zipcode"]
    if not header and "::" not in line and "|" not in line:
        raise ValueError(f"{found.name} must be users.dat, u.user or users.tsv, got {line[:80]!r}")
    if "::" in line:
        rows, age, gender = read_rows(found, "::", 5), 2, 1
        occupation: NDArray[Any] = rows.integers("occupation", 3)
    else:
        rows, age, gender = read_rows(found, "\t" if header else "|", 5, header=header), 1, 2
        occupation = rows.strings(3)
    columns = {
        "gender": rows.strings(gender),
        "age": rows.integers("age", age),
        "occupation": occupation,
        "zip": rows.strings(4),
    }
    user = rows.integers("user", 0)
    with naming(found):
        return SideData(user, columns)


def load_movielens_tags(path: str | os.PathLike[str]) -> SideData:
    """Load the tags that users gave to the movies of a MovieLens data set.

    Parameters
    ----------
    path : str or path-like
        ``tags.csv`` (with a header) or ``tags.dat`` (separated by ``::``): user, movie, tag, time; maybe as .gz. Or the
        folder with it.

    Returns
    -------
    SideData
        The movies that have tags, and the matrix "tags": how many users gave which tag, as it stands.

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    ValueError
        None of these files, or a truncated or garbled one; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_movielens_tags
    >>> path = os.path.join(tempfile.mkdtemp(), "tags.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("userId,movieId,tag,timestamp\\n15,339,dentist,113\\n16,339,dentist,114\\n")
    >>> load_movielens_tags(path).matrices["tags"].toarray()
    array([[2.]], dtype=float32)
    """
    found = find(path, ("tags.csv", "tags.dat"), archive=False)
    line = first_line(found)
    header = headings(line.split(",")) == ["userid", "movieid", "tag", "timestamp"]
    if not header and "::" not in line:
        raise ValueError(f"{found.name} must be tags.csv or tags.dat, got {line[:80]!r}")
    rows = read_rows(found, "," if header else "::", 4, header=header)
    return counted_tags(rows.integers("movie", 1), rows.strings(2))


def _movies(rows: Rows) -> SideData:
    genres = [[genre for genre in genres if genre != _NO_GENRES] for genres in rows.lists(2, "|")]
    return _side(rows, _years(rows.strings(1), _YEAR), *memberships(genres))


def _side(rows: Rows, years: list[int], genres: Any, names: NDArray[Any]) -> SideData:
    movie = rows.integers("movie", 0)
    columns = {"title": rows.strings(1), "year": np.array(years, np.int64)}
    with naming(Path(rows.file)):
        return SideData(movie, columns, {"genres": genres}, {"genres": names})


def _years(texts: NDArray[np.str_], pattern: re.Pattern[str]) -> list[int]:
    found = [pattern.search(text) for text in texts.tolist()]
    return [-1 if match is None else int(match[1]) for match in found]


def _with_links(movies: SideData, path: Path) -> SideData:
    links = file_in(path.parent, ("links.csv",), archive=False)
    if links is None:
        return movies
    rows = read_rows(links, ",", 3, header=True)
    movie = rows.integers("movie", 0)
    with naming(links):
        side = SideData(movie, {"imdb": rows.strings(1), "tmdb": rows.strings(2)})
    return replace(movies, columns={**movies.columns, **side.align(movies.ids).columns})
