"""Training: what is common to all models that learn by gradient steps."""

from ._batches import shuffled
from ._callbacks import Checkpoint, EarlyStopping, Progress
from ._checkpoint import Snapshot
from ._loop import fit_loop
from ._memory import first_rows, measuring
from ._negatives import Negatives
from ._packed import Packed, pack
from ._prefixes import prefixes
from ._sessions import SessionParallel
from ._training import Callback, Training
from ._unseen import Unseen

__all__ = [
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "Negatives",
    "Packed",
    "Progress",
    "SessionParallel",
    "Snapshot",
    "Training",
    "Unseen",
    "first_rows",
    "fit_loop",
    "measuring",
    "pack",
    "prefixes",
    "shuffled",
]
