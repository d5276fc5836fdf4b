"""Models of the interaction door: ``fit`` takes a users x items matrix."""

from .ease import EASE
from .popularity import Popularity

__all__ = ["EASE", "Popularity"]
