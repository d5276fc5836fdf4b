"""Loaders of sessions and of users' histories: text with one event a line, and archives."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .._columns import check_external, number_ids
from .._sessions import Sessions
from .._validation import check_choice, check_float
from ._archive import array_names, is_archive, naming, read_arrays
from ._recognise import find, headings, recognise_sessions, start_of
from ._text import Layout, read_columns

_COLUMNS = ("timestamp", "visitorid", "event", "itemid")
_EVENTS = ("view", "addtocart", "transaction")


def load_sessions(path: str | os.PathLike[str]) -> Sessions:
    """Load sessions, or the histories of users, from a file, finding out what it is.

    Parameters
    ----------
    path : str or path-like
        Text with one event a line, maybe as .gz:

        - with a header that names session (or user), item, and maybe time, as ``SessionId``, ``ItemId``, ``Time``;
        - ``train-item-views.csv`` of DIGINETICA, whose times are the day of an event and the milliseconds in it;
        - ``yoochoose-clicks.dat`` of the RecSys Challenge 2015: session, date, item, category, without a header;
        - user, item, rating, time without a header, as the ratings of Amazon;
        - user, item without a header, each user's items in order, as the files of SASRec and BERT4Rec.

        Or an archive: ``items`` with ``ptr`` (session s is ``items[ptr[s]:ptr[s + 1]]``), or ``session`` or ``user``
        with ``item`` and maybe ``time`` or ``timestamp``. Or the folder ``<name>`` with ``<name>.npz``.

    Returns
    -------
    Sessions
        In the order of the session ids. Dates become seconds since 1970 (UTC). Items that are numbered from 1, as
        where 0 is for padding, have dense ids from 0, and ``item_ids`` their numbers.

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    ValueError
        The format is not recognised, or the file is damaged; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_sessions
    >>> path = os.path.join(tempfile.mkdtemp(), "yoochoose-clicks.dat")
    >>> with open(path, "w") as file:
    ...     _ = file.write("1,2014-04-07T10:51:09.277Z,214536502,0\\n1,2014-04-07T10:54:09.868Z,214536500,0\\n")
    >>> load_sessions(path)
    Sessions(1 sessions, 2 events, 2 items, times 1396867869 to 1396868050)
    """
    found = find(path, ())
    if not is_archive(found):
        return _from_text(found)
    names = array_names(found)
    if "items" in names:
        return _ragged(found, "items", "ptr")
    if "train_items" in names or "train_item" in names:
        raise ValueError(f"{found.name} must hold one set of sessions, got train and test: see load_session_split")
    return _from_columns(found, "session" if "session" in names else "user", "item", ("time", "timestamp"))


def load_session_split(
    train: str | os.PathLike[str], test: str | os.PathLike[str] | None = None
) -> tuple[Sessions, Sessions]:
    """Load training and test sessions that share one catalogue.

    Parameters
    ----------
    train : str or path-like
        A file as for `load_sessions`. Or, without ``test``, an archive of both: ``train_items``, ``train_ptr``,
        ``test_items`` and ``test_ptr``, or ``train_session``, ``train_item``, maybe ``train_time``, and so on (others
        are ignored); or the folder ``<name>`` with ``<name>.npz``.
    test : str or path-like, optional
        A file as for `load_sessions`.

    Returns
    -------
    train, test : Sessions
        ``item_ids`` and ``n_items`` are the same in both, and cover the items of both.

    Raises
    ------
    FileNotFoundError
        There is nothing at ``train`` or ``test``.
    ValueError
        As `load_sessions`.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from pyrec_core.datasets import load_session_split
    >>> path = os.path.join(tempfile.mkdtemp(), "sessions.npz")
    >>> np.savez(path, train_items=[1, 2, 1], train_ptr=[0, 3], test_items=[3, 1], test_ptr=[0, 2])
    >>> train, test = load_session_split(path)
    >>> train.items, test.items, test.item_ids
    (array([0, 1, 0], dtype=int32), array([2, 0], dtype=int32), array([1, 2, 3]))
    """
    if test is not None:
        return _share_items(load_sessions(train), load_sessions(test))
    found = find(train, ())
    if not is_archive(found):
        raise ValueError(f"test must be given, since {found.name} is no archive of both, got None")
    if "train_items" in array_names(found):
        return _share_items(*(_ragged(found, f"{part}_items", f"{part}_ptr") for part in ("train", "test")))
    return _share_items(
        *(_from_columns(found, f"{part}_session", f"{part}_item", (f"{part}_time",)) for part in ("train", "test"))
    )


def load_retailrocket(
    path: str | os.PathLike[str], *, event: str | None = "view", max_gap: float | None = None
) -> Sessions:
    """Load ``events.csv`` of RetailRocket, which knows visitors but no sessions.

    Parameters
    ----------
    path : str or path-like
        The file (columns timestamp, visitorid, event, itemid), maybe as .gz, or its folder.
    event : {"view", "addtocart", "transaction"} or None
        The events to keep; None: all of them.
    max_gap : float > 0, optional
        Seconds: a longer pause of a visitor begins a new session. 1800 is usual. Default: one session a visitor.

    Returns
    -------
    Sessions
        Times in seconds since 1970. ``session_ids`` are the visitors; with ``max_gap`` they are the sessions' numbers.

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    ValueError
        Arguments out of range, or a damaged file; the message names file and line.

    Examples
    --------
    >>> import os, tempfile
    >>> from pyrec_core.datasets import load_retailrocket
    >>> path = os.path.join(tempfile.mkdtemp(), "events.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("timestamp,visitorid,event,itemid,transactionid\\n")
    ...     _ = file.write("1433221332117,257597,view,355908,\\n1433221932117,257597,view,248676,\\n")
    >>> load_retailrocket(path, max_gap=300)
    Sessions(2 sessions, 2 events, 2 items, times 1433221332 to 1433221932)
    """
    if event is not None:
        check_choice("event", event, _EVENTS)
    found = find(path, ("events.csv",), archive=False)
    sep, fields = start_of(found)
    names = headings(fields)
    if not set(_COLUMNS) <= set(names):
        raise ValueError(f"{found.name} must have columns {', '.join(_COLUMNS)}, got {', '.join(fields)[:80]}")
    kinds = dict.fromkeys(_COLUMNS, "integer") | {"event": "id"}
    columns = read_columns(found, Layout(sep, True, {name: names.index(name) for name in _COLUMNS}, kinds))
    keep = slice(None) if event is None else columns["event"] == event
    visitor, item, time = columns["visitorid"][keep], columns["itemid"][keep], columns["timestamp"][keep] / 1000.0
    if max_gap is not None:
        gap = check_float("max_gap", max_gap, low=0.0, low_open=True)
        order = np.lexsort((time, visitor))
        goes_on = (np.diff(visitor[order]) == 0) & (np.diff(time[order]) <= gap)
        session = np.zeros_like(visitor)
        session[order[1:]] = np.cumsum(~goes_on)
        return Sessions.from_arrays(session, item, time)
    return Sessions.from_arrays(visitor, item, time)


def _from_text(path: Path) -> Sessions:
    columns = read_columns(path, recognise_sessions(path))
    time = columns.get("time")
    if "milliseconds" in columns and time is not None:
        time = time + columns["milliseconds"] / 1000.0
    return Sessions.from_arrays(columns["session"], columns["item"], time)


def _ragged(path: Path, items: str, ptr: str) -> Sessions:
    arrays = read_arrays(path, (items, ptr))
    with naming(path):
        item_ids, dense = number_ids(check_external(items, arrays[items]))
        return Sessions(dense, arrays[ptr], item_ids=item_ids)  # type: ignore[arg-type]  # made int32 by Sessions


def _from_columns(path: Path, session: str, item: str, times: Sequence[str]) -> Sessions:
    arrays = read_arrays(path, (session, item), times)
    time = next((arrays[name] for name in times if name in arrays), None)
    with naming(path):
        return Sessions.from_arrays(arrays[session], arrays[item], time)


def _share_items(train: Sessions, test: Sessions) -> tuple[Sessions, Sessions]:
    external = [part.items if part.item_ids is None else part.item_ids[part.items] for part in (train, test)]
    item_ids, dense = number_ids(np.concatenate(external))
    n, shared = len(train.items), {"item_ids": item_ids, "n_items": int(dense.max(initial=-1)) + 1}
    first: dict[str, Any] = {"items": dense[:n], **shared}
    second: dict[str, Any] = {"items": dense[n:], **shared}
    return replace(train, **first), replace(test, **second)
