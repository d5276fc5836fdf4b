"""What an error says of a step that does not fit into the memory of a GPU: also which batch would."""

from collections.abc import Callable
from typing import Any

from .._device_memory import explained, release
from .._errors import NotEnoughMemoryError
from .._validation import is_cuda
from ._training import Network

Step = Callable[[Any], tuple[float, float]]
Part = Callable[[Any, int], Any]


def first_rows(batch: Any, n: int) -> Any:
    """Return the first n of a batch that is an array."""
    return batch[:n]


def measuring(step: Step, network: Network, batch_size: int, part: Part | None) -> Step:
    """Return ``step``, which raises `NotEnoughMemoryError` with all that is known where it has not enough memory.

    The error names what asked for memory, how much, how much was free, and a smaller ``batch_size`` that is seen to
    fit: steps are tried on the first halves, quarters, ... of the batch, which ``part(batch, n)`` returns. What the
    network keeps beside its parameters, which steps change, is put back.
    """
    params = network.named_params().values()

    def measured(batch: Any) -> tuple[float, float]:
        try:
            return step(batch)
        except MemoryError as error:
            if not any(is_cuda(p.value) for p in params):
                raise
            message = explained(error)
            release(error)
            if part is None:
                raise NotEnoughMemoryError(f"{message}. A smaller batch_size needs less") from error
            n = largest(batch, part)
            advice = f"batch_size={n} was seen to fit" if n else f"No batch_size below {batch_size} was seen to fit"
            raise NotEnoughMemoryError(f"{message}. {advice}") from error

    def largest(batch: Any, part: Part) -> int:
        state, n = network.state(), batch_size // 2
        while n and not fits(part(batch, n)):
            n //= 2
        network.load_state(state)
        return n

    def fits(batch: Any) -> bool:
        problem: Exception | None = None
        for p in params:
            p.clear()
        try:
            step(batch)
        except (MemoryError, ValueError) as error:  # some layers refuse a single example
            problem = error
        release(problem)
        return problem is None

    return measured
