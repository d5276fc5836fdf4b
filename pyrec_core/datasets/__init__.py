"""Interactions from files and from generators.

Nothing is downloaded: the loaders read files in the formats in which their publishers distribute them.
"""

from ._files import load, load_delimited, load_movielens, load_npz
from ._generators import make_blocks, make_implicit

__all__ = ["load", "load_delimited", "load_movielens", "load_npz", "make_blocks", "make_implicit"]
