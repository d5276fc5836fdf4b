"""Interactions from files and from generators.

Nothing is downloaded: the loaders read files in the formats in which their publishers distribute them.
"""

from ._files import load, load_delimited, load_npz
from ._generators import make_blocks, make_implicit
from ._movielens import load_movielens, load_movielens_fold

__all__ = ["load", "load_delimited", "load_movielens", "load_movielens_fold", "load_npz", "make_blocks", "make_implicit"]
