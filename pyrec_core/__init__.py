"""Recommender systems: fast kernels for NumPy arrays, and thin scikit-learn-style models on top.

``from pyrec_core import EASE`` and ``from pyrec_core import kernels`` are the two ways in. Everything listed
in ``__all__`` is public. It is imported when it is first used, so that ``import pyrec_core`` alone costs
nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from . import datasets, kernels, layers, metrics, models, optim, split, testing, train
    from ._errors import ConvergenceWarning, NotEnoughMemoryError, NotFittedError, PyrecWarning
    from ._features import Features
    from ._interactions import Interactions
    from ._lists import Lists
    from ._sessions import Sessions
    from .evaluation import evaluate
    from .models import (
        AFM,
        DCN,
        EASE,
        FM,
        GMF,
        NCFMLP,
        NFM,
        PNN,
        SLIM,
        AssociationRules,
        DeepFM,
        FeatureEncoder,
        GRU4Rec,
        ItemToItem,
        MarginalizedDAE,
        MarkovChain,
        NeuMF,
        Popularity,
        WideDeep,
        XDeepFM,
        load,
    )

_HOME = {
    "AFM": ".models",
    "DCN": ".models",
    "FM": ".models",
    "GMF": ".models",
    "NCFMLP": ".models",
    "NeuMF": ".models",
    "NFM": ".models",
    "PNN": ".models",
    "DeepFM": ".models",
    "FeatureEncoder": ".models",
    "WideDeep": ".models",
    "XDeepFM": ".models",
    "EASE": ".models",
    "SLIM": ".models",
    "AssociationRules": ".models",
    "GRU4Rec": ".models",
    "ItemToItem": ".models",
    "MarginalizedDAE": ".models",
    "MarkovChain": ".models",
    "Popularity": ".models",
    "load": ".models",
    "evaluate": ".evaluation",
    "Features": "._features",
    "Interactions": "._interactions",
    "Lists": "._lists",
    "Sessions": "._sessions",
    "ConvergenceWarning": "._errors",
    "NotEnoughMemoryError": "._errors",
    "NotFittedError": "._errors",
    "PyrecWarning": "._errors",
}

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
    "ConvergenceWarning",
    "DeepFM",
    "FeatureEncoder",
    "Features",
    "GRU4Rec",
    "Interactions",
    "ItemToItem",
    "Lists",
    "MarginalizedDAE",
    "MarkovChain",
    "NeuMF",
    "NotEnoughMemoryError",
    "NotFittedError",
    "Popularity",
    "PyrecWarning",
    "Sessions",
    "WideDeep",
    "XDeepFM",
    "__version__",
    "datasets",
    "evaluate",
    "kernels",
    "layers",
    "load",
    "metrics",
    "models",
    "optim",
    "split",
    "testing",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(_HOME[name], __name__), name)
    elif name == "__version__":
        value = import_module("importlib.metadata").version("pyrec_core")
    elif name in __all__:
        value = import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
