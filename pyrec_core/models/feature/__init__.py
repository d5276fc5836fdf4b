"""The feature door: labels and numbers from the features of an example."""

from ._base import FeatureModel
from ._encoder import FeatureEncoder
from .afm import AFM
from .dcn import DCN
from .deepfm import DeepFM
from .fm import FM
from .lr import LogisticRegression
from .nfm import NFM
from .pnn import PNN
from .widedeep import WideDeep
from .xdeepfm import XDeepFM

__all__ = [
    "AFM",
    "DCN",
    "FM",
    "NFM",
    "PNN",
    "DeepFM",
    "FeatureEncoder",
    "FeatureModel",
    "LogisticRegression",
    "WideDeep",
    "XDeepFM",
]
