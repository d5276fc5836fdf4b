"""The models. A new one is one file and its line here."""

from ._estimator import load
from .feature import AFM, DCN, FM, NFM, PNN, DeepFM, FeatureEncoder, LogisticRegression, WideDeep, XDeepFM
from .interaction import EASE, GMF, NCFMLP, SLIM, AssociationRules, ItemToItem, MarginalizedDAE, NeuMF, Popularity
from .sequence import GRU4Rec, MarkovChain

__all__ = [
    "AFM",
    "DCN",
    "EASE",
    "FM",
    "GMF",
    "NCFMLP",
    "NFM",
    "PNN",
    "SLIM",
    "AssociationRules",
    "DeepFM",
    "FeatureEncoder",
    "GRU4Rec",
    "ItemToItem",
    "LogisticRegression",
    "MarginalizedDAE",
    "MarkovChain",
    "NeuMF",
    "Popularity",
    "WideDeep",
    "XDeepFM",
    "load",
]
