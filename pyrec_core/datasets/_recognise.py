"""Find the file that a path means, and tell the layout of a text from its first lines."""

import os
from collections.abc import Sequence
from pathlib import Path

from ._text import Layout, first_lines, is_date, is_id, is_number, split_line

KINDS = {"user": "id", "item": "id", "value": "number", "time": "time"}
_SEPARATORS = ("::", "\t", ",", ";", " ")
_HEADINGS = {
    "user": ("user", "userid", "uid", "reviewerid", "customerid", "visitorid"),
    "item": ("item", "itemid", "iid", "movieid", "productid", "artistid", "bookid", "asin"),
    "value": ("rating", "value", "score", "weight", "count", "overall"),
    "time": ("timestamp", "time", "unixreviewtime"),
}
_HEADINGS["session"] = ("session", "sessionid", *_HEADINGS["user"])  # users are sessions where there are no others


def existing(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file or folder that exists."""
    found = Path(path)
    if not found.exists():
        raise FileNotFoundError(f"path must name a file or folder, got {os.fspath(path)!r}, which does not exist")
    return found


def file_in(folder: Path, names: Sequence[str], *, archive: bool = True) -> Path | None:
    """Return the first file of these names, plain or .gz, or ``<folder>.npz`` after them; None if there is none."""
    candidates = [f"{name}{suffix}" for name in names for suffix in ("", ".gz")]
    if archive:
        candidates.append(f"{folder.resolve().name}.npz")
    return next((folder / name for name in candidates if (folder / name).is_file()), None)


def find(path: str | os.PathLike[str], names: Sequence[str], *, archive: bool = True) -> Path:
    """Return the file that ``path`` names, or `file_in` the folder that it names."""
    found = existing(path)
    if not found.is_dir():
        return found
    file = file_in(found, names, archive=archive)
    if file is None:
        wanted = ", ".join([*names, f"{found.resolve().name}.npz"] if archive else names)
        inside = ", ".join(sorted(entry.name for entry in found.iterdir())[:5]) or "nothing"
        raise ValueError(f"path must be a folder with one of {wanted}, got {found} with {inside}")
    return file


def start_of(path: Path) -> tuple[str, list[str]]:
    """Return the separator and the fields of the first line."""
    start = first_lines(path, 1)
    if not start:
        raise ValueError(f"{path.name} must hold interactions, got an empty file")
    sep = next((sep for sep in _SEPARATORS if sep in start[0]), ",")
    return sep, [field.strip() for field in split_line(start[0], sep)]


def headings(fields: Sequence[str]) -> list[str]:
    """Return the names of columns without case, spaces, underscores, and types after a colon."""
    return [field.partition(":")[0].lower().replace("_", "").replace(" ", "") for field in fields]


def named(fields: Sequence[str], columns: Sequence[str]) -> dict[str, int]:
    """Return the place of each of these columns that a header has, by the usual names."""
    names = headings(fields)
    found = {column: [names.index(known) for known in _HEADINGS[column] if known in names] for column in columns}
    return {column: places[0] for column, places in found.items() if places}


def recognise(path: Path) -> Layout:
    """Tell the layout of interactions: a header names the columns, or they are user, item, value, time."""
    sep, fields = start_of(path)
    places = named(fields, ("user", "item", "value", "time"))
    if "user" in places and "item" in places:
        return Layout(sep, True, places, KINDS)
    if (len(fields) == 2 and all(map(is_id, fields))) or (len(fields) in (3, 4) and all(map(is_number, fields[2:]))):
        columns = ("user", "item", "value", "time")[: len(fields)]
        return Layout(sep, False, {name: at for at, name in enumerate(columns)}, KINDS)
    raise ValueError(
        f"{path.name} must start with a header that names user and item, or with user, item, value and time, "
        f"got {first_lines(path, 1)[0][:80]!r}. load_delimited reads any columns"
    )


def recognise_sessions(path: Path) -> Layout:
    """Tell the layout of sessions: see `load_sessions`. The columns are session, item, and maybe time."""
    sep, fields = start_of(path)
    places = named(fields, ("session", "item", "time"))
    kinds = {"session": "id", "item": "id", "time": "time"}
    names = headings(fields)
    if "timeframe" in names and "eventdate" in names:  # DIGINETICA: milliseconds within a session, and its day
        places |= {"time": names.index("eventdate"), "milliseconds": names.index("timeframe")}
        kinds["milliseconds"] = "number"
    if "session" in places and "item" in places:
        return Layout(sep, True, places, kinds)
    if len(fields) == 2 and all(map(is_id, fields)):
        return Layout(sep, False, {"session": 0, "item": 1}, kinds)
    if len(fields) == 4 and is_date(fields[1]):
        return Layout(sep, False, {"session": 0, "time": 1, "item": 2}, kinds)
    if len(fields) == 4 and all(map(is_number, fields[2:])):
        return Layout(sep, False, {"session": 0, "item": 1, "time": 3}, kinds)
    raise ValueError(
        f"{path.name} must start with a header that names session or user, and item, or with fields "
        f"as load_sessions documents them, got {first_lines(path, 1)[0][:80]!r}"
    )
