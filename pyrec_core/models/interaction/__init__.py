"""Models of the interaction door: ``fit`` takes a users x items matrix."""

from ._base import InteractionModel
from .ease import EASE
from .popularity import Popularity

__all__ = ["EASE", "InteractionModel", "Popularity"]
