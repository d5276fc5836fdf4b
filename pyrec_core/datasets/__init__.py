"""Interactions from files and from generators.

Nothing is downloaded: the loaders read files in the formats in which their publishers distribute them.
"""

from ._ctr import CtrData, CtrProcess, make_ctr
from ._files import load, load_delimited, load_movielens, load_npz
from ._generators import make_blocks, make_implicit
from ._markov import MarkovData, MarkovProcess, make_markov_sessions
from ._ratings import make_ratings
from ._topics import TopicData, make_topics

__all__ = [
    "CtrData",
    "CtrProcess",
    "MarkovData",
    "MarkovProcess",
    "TopicData",
    "load",
    "load_delimited",
    "load_movielens",
    "load_npz",
    "make_blocks",
    "make_ctr",
    "make_implicit",
    "make_markov_sessions",
    "make_ratings",
    "make_topics",
]
