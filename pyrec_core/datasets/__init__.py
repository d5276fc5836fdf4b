"""Interactions from files and from generators.

Nothing is downloaded: the loaders read files in the formats in which their publishers distribute them.
"""

from ._files import load, load_delimited, load_npz
from ._generators import make_blocks, make_implicit
from ._movielens import load_movielens, load_movielens_fold
from ._movielens_side import load_movielens_items, load_movielens_tags, load_movielens_users
from ._session_files import load_retailrocket, load_session_split, load_sessions
from ._side import SideData, load_texts

__all__ = [
    "SideData",
    "load",
    "load_delimited",
    "load_movielens",
    "load_movielens_fold",
    "load_movielens_items",
    "load_movielens_tags",
    "load_movielens_users",
    "load_npz",
    "load_texts",
    "load_retailrocket",
    "load_session_split",
    "load_sessions",
    "make_blocks",
    "make_implicit",
]
