"""Training: what is common to all models that learn by gradient steps."""

from ._sessions import SessionParallel

__all__ = ["SessionParallel"]
