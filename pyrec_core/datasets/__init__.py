"""Data sets from files and from generators.

Nothing is downloaded: the loaders read files in the formats in which their publishers distribute them.
"""

from ._citeulike import load_citeulike, load_citeulike_items, load_citeulike_split
from ._criteo import load_criteo
from ._ctr import CtrData, CtrProcess, make_ctr
from ._files import load, load_delimited, load_npz
from ._frappe import FeatureSplit, add_negatives, load_frappe, load_frappe_log
from ._generators import make_blocks, make_implicit
from ._hetrec import load_hetrec_lastfm, load_hetrec_lastfm_artists, load_hetrec_lastfm_friends
from ._markov import MarkovData, MarkovProcess, make_markov_sessions
from ._movielens import load_movielens, load_movielens_fold
from ._movielens_side import load_movielens_items, load_movielens_tags, load_movielens_users
from ._ncf import load_ncf
from ._numbers import load_libfm
from ._ratings import make_ratings
from ._session_files import load_retailrocket, load_session_split, load_sessions
from ._side import SideData, load_texts
from ._topics import TopicData, make_topics

__all__ = [
    "CtrData",
    "CtrProcess",
    "FeatureSplit",
    "MarkovData",
    "MarkovProcess",
    "SideData",
    "TopicData",
    "add_negatives",
    "load",
    "load_citeulike",
    "load_citeulike_items",
    "load_citeulike_split",
    "load_criteo",
    "load_delimited",
    "load_frappe",
    "load_frappe_log",
    "load_hetrec_lastfm",
    "load_hetrec_lastfm_artists",
    "load_hetrec_lastfm_friends",
    "load_libfm",
    "load_movielens",
    "load_movielens_fold",
    "load_movielens_items",
    "load_movielens_tags",
    "load_movielens_users",
    "load_ncf",
    "load_npz",
    "load_retailrocket",
    "load_session_split",
    "load_sessions",
    "load_texts",
    "make_blocks",
    "make_ctr",
    "make_implicit",
    "make_markov_sessions",
    "make_ratings",
    "make_topics",
]
