"""Models of the interaction door: ``fit`` takes a users x items matrix."""

from ._base import InteractionModel
from .association import AssociationRules
from .ease import EASE
from .item_to_item import ItemToItem
from .mdae import MarginalizedDAE
from .popularity import Popularity
from .slim import SLIM

__all__ = ["EASE", "SLIM", "AssociationRules", "InteractionModel", "ItemToItem", "MarginalizedDAE", "Popularity"]
