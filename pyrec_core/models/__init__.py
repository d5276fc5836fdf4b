"""The models. A new one is one file and its line here."""

from ._estimator import load
from .interaction import EASE, Popularity

__all__ = ["EASE", "Popularity", "load"]
