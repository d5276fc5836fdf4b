"""The models. A new one is one file and its line here."""

from ._estimator import load
from .interaction import EASE, SLIM, AssociationRules, ItemToItem, MarginalizedDAE, Popularity
from .sequence import GRU4Rec, MarkovChain

__all__ = [
    "EASE",
    "SLIM",
    "AssociationRules",
    "GRU4Rec",
    "ItemToItem",
    "MarginalizedDAE",
    "MarkovChain",
    "Popularity",
    "load",
]
