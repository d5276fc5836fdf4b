"""Features: rows of categorical and numeric fields for the feature-interaction models, with dense ids."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._validation import MAX_ID, as_array, check_integers


@dataclass(frozen=True, eq=False, repr=False)
class Features:
    """A table of examples with one category, or one number, in each field.

    Parameters
    ----------
    ids : integers (n, n_fields)
        Category of each field, numbered from 0 in each field; -1 where it is missing or unknown. A numeric field
        has the single category 0. Stored as int32.
    values : float (n, n_fields), optional
        What each category is multiplied by: the number of a numeric field, 1 of a categorical one. Finite. Stored
        as float32. None: all 1.
    target : float (n,), optional
        What is to be predicted: 0 and 1, or a rating. Finite. Stored as float32.
    field_sizes : integers (n_fields,), optional
        Categories of each field. Default: the vocabularies' lengths, else the largest id + 1.
    names : sequence of str, optional
        Names of the fields. Default: "0", "1", ...
    vocabularies : sequence of array or None, optional
        The external category of each id of a field; None: ids are their own names, as in a numeric field.

    Attributes
    ----------
    shape : (n, n_fields)

    Raises
    ------
    TypeError
        Ids that are not integers, values or targets that are not numbers.
    ValueError
        Shapes that differ, ids out of range, NaN or infinity.

    Examples
    --------
    >>> from pyrec_core import Features
    >>> Features([[0, 2], [1, 0]], target=[1, 0])
    Features(2 rows, 2 fields, 5 categories, with target)
    """

    ids: NDArray[np.int32]
    values: NDArray[np.float32] | None = None
    target: NDArray[np.float32] | None = None
    field_sizes: NDArray[np.int64] = None  # type: ignore[assignment]  # an array from __post_init__ on
    names: tuple[str, ...] = ()
    vocabularies: tuple[NDArray[Any] | None, ...] = ()

    def __post_init__(self) -> None:
        ids = check_integers("ids", self.ids)
        if ids.ndim != 2:
            raise ValueError(f"ids must be 2-D (rows x fields), got shape {ids.shape}")
        if ids.size and (ids.min() < -1 or ids.max() >= MAX_ID):
            raise ValueError(f"ids must be in -1..{MAX_ID - 1}, got {ids.min()} to {ids.max()}")
        n, n_fields = ids.shape
        names = tuple(self.names) or tuple(map(str, range(n_fields)))
        vocabularies = tuple(self.vocabularies) or (None,) * n_fields
        for name, given in (("names", names), ("vocabularies", vocabularies)):
            if len(given) != n_fields:
                raise ValueError(f"{name} must have {n_fields} entries, one a field, got {len(given)}")
        fields: dict[str, Any] = {"ids": ids.astype(np.int32, copy=False), "names": names, "vocabularies": vocabularies}
        fields["field_sizes"] = self._check_sizes(fields["ids"], names, vocabularies)
        for name, shape in (("values", ids.shape), ("target", (n,))):
            if getattr(self, name) is not None:
                fields[name] = _check_numbers(name, getattr(self, name), shape)
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def _check_sizes(
        self, ids: NDArray[Any], names: tuple[str, ...], vocabularies: tuple[Any, ...]
    ) -> NDArray[np.int64]:
        needed = ids.max(axis=0, initial=-1).astype(np.int64) + 1
        known = [need if v is None else len(v) for need, v in zip(needed, vocabularies, strict=True)]
        sizes = check_integers("field_sizes", known if self.field_sizes is None else self.field_sizes)
        if sizes.shape != needed.shape:
            raise ValueError(f"field_sizes must have shape {needed.shape}, got {sizes.shape}")
        wrong = np.flatnonzero(sizes < np.maximum(needed, known))
        if len(wrong):
            at = wrong[0]
            rule = f"field_sizes must be >= {max(needed[at], known[at])} for field {names[at]!r}"
            raise ValueError(f"{rule}, got {sizes[at]}")
        return sizes.astype(np.int64)

    @property
    def shape(self) -> tuple[int, int]:
        """The pair (n, n_fields)."""
        n, n_fields = self.ids.shape
        return n, n_fields

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        n, n_fields = self.shape
        parts = [f"{n} rows", f"{n_fields} fields", f"{self.field_sizes.sum()} categories"]
        if self.target is not None:
            parts.append("with target")
        return f"{type(self).__name__}({', '.join(parts)})"


def _check_numbers(name: str, numbers: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    array = as_array(name, numbers)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be numbers, got {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    with np.errstate(over="ignore"):  # becomes infinity, which is refused below
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite (as float32), got {array[at]} at position {at}")
    return array
