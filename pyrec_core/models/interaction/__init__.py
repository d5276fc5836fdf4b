"""Models of the interaction door: ``fit`` takes a users x items matrix."""

from ._base import InteractionModel
from ._known_users import KnownUsersModel
from ._neural import NeuralModel
from .association import AssociationRules
from .ease import EASE
from .gmf import GMF
from .item_to_item import ItemToItem
from .mdae import MarginalizedDAE
from .ncfmlp import NCFMLP
from .neumf import NeuMF
from .popularity import Popularity
from .slim import SLIM

__all__ = [
    "EASE",
    "GMF",
    "NCFMLP",
    "SLIM",
    "AssociationRules",
    "InteractionModel",
    "ItemToItem",
    "KnownUsersModel",
    "MarginalizedDAE",
    "NeuMF",
    "NeuralModel",
    "Popularity",
]
