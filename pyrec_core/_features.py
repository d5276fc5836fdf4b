"""Features: rows of categorical, numeric and multi-valued fields for the feature-interaction models, with dense ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._columns import check_external, check_length, check_vocabulary, distinct
from ._encoding import (
    REACTIONS,
    Layout,
    as_names,
    check_names,
    check_numbers,
    encode,
    field,
    make_layout,
    quoted,
)
from ._frames import Frame
from ._lists import Lists
from ._validation import MAX_ID, as_array, check_choice, check_id_range, check_ids, check_int, check_integers


@dataclass(frozen=True, eq=False, repr=False)
class Features:
    """A table of examples with one category, one number, or a list of categories, in each field.

    `Features.from_frame` makes them from a table, `Features.from_arrays` from columns, and a `FeatureEncoder` from
    either, also such with lists.

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
        Names of the fields, all different. Default: "0", "1", ...
    vocabularies : sequence of array or None, optional
        The external category of each id of a field, integers or strings, all different; None: ids are their own
        names, as in a numeric field.
    lists : sequence of Lists, optional
        Further fields, with any number of categories in each example. They follow the others in ``field_sizes``,
        ``names`` and ``vocabularies``.
    crosses : integers (n, n_crosses), optional
        Combinations of categories, each hashed to 0..cross_size - 1. Linear parts of models give them weights.
    cross_size : int
        Weights of each cross.

    Attributes
    ----------
    shape : (n, n_fields)

    Raises
    ------
    TypeError
        Ids that are not integers, values or targets that are not numbers, categories of another kind.
    ValueError
        Shapes that differ, ids out of range, names or categories given twice, NaN or infinity.

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
    lists: tuple[Lists, ...] = ()
    crosses: NDArray[np.int32] | None = None
    cross_size: int = 0

    def __post_init__(self) -> None:
        ids = check_integers("ids", self.ids)
        if ids.ndim != 2:
            raise ValueError(f"ids must be 2-D (rows x fields), got shape {ids.shape}")
        if ids.size and (ids.min() < -1 or ids.max() >= MAX_ID):
            raise ValueError(f"ids must be in -1..{MAX_ID - 1}, got {ids.min()} to {ids.max()}")
        n, n_single = ids.shape
        lists = _check_lists(self.lists, n)
        n_fields = n_single + len(lists)
        names = tuple(self.names) or tuple(map(str, range(n_fields)))
        vocabularies = tuple(self.vocabularies) or (None,) * n_fields
        for name, given in (("names", names), ("vocabularies", vocabularies)):
            if len(given) != n_fields:
                raise ValueError(f"{name} must have {n_fields} entries, one a field, got {len(given)}")
        check_names("names", names)
        vocabularies = tuple(
            known if known is None else check_vocabulary(f"the vocabulary of {field(name)}", known)
            for name, known in zip(names, vocabularies, strict=True)
        )
        fields: dict[str, Any] = {"ids": ids.astype(np.int32, copy=False), "names": names, "vocabularies": vocabularies}
        fields["lists"], fields["crosses"] = lists, _check_crosses(self.crosses, n, self.cross_size)
        columns = [*fields["ids"].T, *(field.ids for field in lists)]
        largest = [int(column.max(initial=-1)) for column in columns]
        fields["field_sizes"] = self._check_sizes(np.array(largest, np.int64) + 1, names, vocabularies)
        for name, shape in (("values", ids.shape), ("target", (n,))):
            if getattr(self, name) is not None:
                fields[name] = check_numbers(name, getattr(self, name), shape)
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_frame(
        cls,
        df: Any,
        *,
        fields: Sequence[str] | str = (),
        numeric: Sequence[str] | str = (),
        target: str | None = None,
        vocabularies: Mapping[str, ArrayLike] | None = None,
        like: "Features | None" = None,
        unknown: str = "error",
        missing: str = "error",
    ) -> Self:
        """Make features from a table with one row per example. Needs the extra ``frames``.

        Parameters
        ----------
        df : pandas, Polars or Arrow table
            Of a lazy one these columns are collected.
        fields, numeric : str or sequence of str
            Names of the columns with categories (integers, strings, categories of them, or booleans as 0 and 1) and
            of those with numbers. They become the fields, in this order.
        target : str, optional
            Name of the column to be predicted: numbers or booleans.
        vocabularies : mapping of str to array, optional
            The categories of some of ``fields``, in the order of their ids. Default: the sorted ones of the column.
        like : Features, optional
            Take fields, numbers and vocabularies from these: so test data are encoded like the training data.
        unknown : {"error", "ignore"}
            Categories that a given vocabulary lacks are refused, or have the id -1.
        missing : {"error", "ignore"}
            Missing entries are refused, or have the id -1 (and the value 0, in a numeric field: they add nothing).
            A missing target is always refused.

        Raises
        ------
        ImportError
            narwhals is not installed.
        TypeError
            ``df`` is no table, or a column of the wrong dtype.
        ValueError
            A column that does not exist or is named twice, no field at all, unknown categories, missing entries,
            infinity; ``fields``, ``numeric`` or ``vocabularies`` beside ``like``.

        Examples
        --------
        >>> import polars as pl
        >>> from pyrec_core import Features
        >>> seen = pl.DataFrame({"city": ["Rome", "Bonn", "Rome"], "age": [30, 41, 25], "bought": [1, 0, 1]})
        >>> train = Features.from_frame(seen, fields="city", numeric="age", target="bought")
        >>> train.ids[:, 0], train.vocabularies[0]
        (array([1, 0, 1], dtype=int32), array(['Bonn', 'Rome'], dtype='<U4'))
        >>> new = pl.DataFrame({"city": ["Bonn", "Oslo"], "age": [28, 33]})
        >>> Features.from_frame(new, like=train, unknown="ignore").ids
        array([[ 0,  0],
               [-1,  0]], dtype=int32)
        """
        allow_missing = check_choice("missing", missing, REACTIONS) == "ignore"
        names = as_names("fields", fields), as_names("numeric", numeric)
        layout = cls._layout(*names, vocabularies, like, unknown)
        if like is not None and any(names):
            raise ValueError("fields and numeric must be left out where like is given, got some")
        chosen: dict[str, str | None] = {field(name): name for name in layout.names}
        frame = Frame(df, {**chosen, "target": target})
        columns: dict[str, Any] = {}
        for name in layout.names:
            read = frame.numbers if name in layout.numeric else frame.categories
            columns[name] = read(field(name), allow_missing=allow_missing)
        return cls._encoded(layout, columns, None if target is None else frame.numbers("target"), like)

    @classmethod
    def from_arrays(
        cls,
        fields: Mapping[str, ArrayLike] | None = None,
        numeric: Mapping[str, ArrayLike] | None = None,
        target: ArrayLike | None = None,
        *,
        vocabularies: Mapping[str, ArrayLike] | None = None,
        like: "Features | None" = None,
        unknown: str = "error",
    ) -> Self:
        """Make features from columns by name.

        Parameters
        ----------
        fields : mapping of str to integers or strings (n,)
            The categories of each example.
        numeric : mapping of str to numbers (n,)
        target : numbers (n,), optional
        vocabularies, like, unknown
            As in `from_frame`. With ``like`` the columns must have the names of its fields, in any order.

        Raises
        ------
        TypeError
            Columns of the wrong dtype.
        ValueError
            Lengths that differ, no field at all, other fields than those of ``like``, unknown categories, NaN or
            infinity.

        Examples
        --------
        >>> from pyrec_core import Features
        >>> Features.from_arrays({"city": ["Rome", "Bonn"]}, {"age": [30, 41]}).values
        array([[ 1., 30.],
               [ 1., 41.]], dtype=float32)
        """
        fields, numeric = dict(fields or {}), dict(numeric or {})
        layout = cls._layout(tuple(fields), tuple(numeric), vocabularies, like, unknown)
        if set(fields) != set(layout.names) - layout.numeric or set(numeric) != layout.numeric:
            rule = f"fields and numeric must have the columns {quoted(layout.names)} of like"
            raise ValueError(f"{rule}, got {quoted(fields)} and {quoted(numeric)}")
        taken = {name: distinct(check_external(field(name), column)) for name, column in fields.items()}
        arrays = {name: as_array(field(name), column) for name, column in numeric.items()}
        first = layout.names[0]
        n = len(taken[first].place) if first in taken else arrays[first].size
        for name, column in taken.items():
            check_length(field(name), column.place, n, field(first))
        numbers = {name: check_numbers(field(name), array, (n,)) for name, array in arrays.items()}
        return cls._encoded(layout, {**taken, **numbers}, target, like)

    @classmethod
    def _layout(
        cls,
        fields: tuple[str, ...],
        numeric: tuple[str, ...],
        vocabularies: Mapping[str, ArrayLike] | None,
        like: "Features | None",
        unknown: str,
    ) -> Layout:
        if like is None:
            return make_layout(fields, numeric, vocabularies or {}, unknown)
        if not isinstance(like, Features):
            raise TypeError(f"like must be Features, got {type(like).__name__}")
        if like.lists or like.crosses is not None:
            raise ValueError(f"like must have neither lists nor crosses, which FeatureEncoder makes, got {like!r}")
        if vocabularies:
            raise ValueError("vocabularies must be left out where like is given, got some")
        known = {
            name: np.arange(size) if ids is None else ids
            for name, ids, size, is_numeric in zip(
                like.names, like.vocabularies, like.field_sizes, like.numeric, strict=True
            )
            if not is_numeric
        }
        numbers = [name for name in like.names if name not in known]
        return make_layout(tuple(known), numbers, known, unknown)._replace(names=like.names)

    @classmethod
    def _encoded(
        cls, layout: Layout, columns: Mapping[str, Any], target: ArrayLike | None, like: "Features | None"
    ) -> Self:
        ids, values, vocabularies = encode(layout, columns)
        sizes = [1 if known is None else len(known) for known in vocabularies]
        if like is not None:
            vocabularies, sizes = like.vocabularies, like.field_sizes.tolist()
        return cls(ids, values, target, sizes, layout.names, vocabularies)  # type: ignore[arg-type]

    def _check_sizes(
        self, needed: NDArray[np.int64], names: tuple[str, ...], vocabularies: tuple[Any, ...]
    ) -> NDArray[np.int64]:
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
        n, n_single = self.ids.shape
        return n, n_single + len(self.lists)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        n, n_fields = self.shape
        parts = [f"{n} rows", f"{n_fields} fields", f"{self.field_sizes.sum()} categories"]
        if self.lists:
            parts[1] += f", {len(self.lists)} of lists"
        if self.crosses is not None:
            parts.append(f"{self.crosses.shape[1]} crosses")
        if self.target is not None:
            parts.append("with target")
        return f"{type(self).__name__}({', '.join(parts)})"

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each field holds numbers: it has a single category, no vocabulary, and there are values."""
        n_single = self.ids.shape[1]
        return tuple(
            self.values is not None and known is None and size == 1 and at < n_single
            for at, (known, size) in enumerate(zip(self.vocabularies, self.field_sizes, strict=True))
        )

    def take(self, rows: ArrayLike) -> Self:
        """Return these rows (repeats allowed), in this order; fields and vocabularies stay the same.

        Raises
        ------
        TypeError
            ``rows`` are not integers.
        ValueError
            Unknown rows.

        Examples
        --------
        >>> from pyrec_core import Features
        >>> Features([[0, 2], [1, 0]], target=[1, 0]).take([1]).ids
        array([[1, 0]], dtype=int32)
        """
        at = check_ids("rows", rows, len(self), "row")
        return replace(
            self,
            ids=self.ids[at],
            values=None if self.values is None else self.values[at],
            target=None if self.target is None else self.target[at],
            lists=tuple(field.take(at) for field in self.lists),
            crosses=None if self.crosses is None else self.crosses[at],
        )


def _check_lists(lists: Any, n: int) -> tuple[Lists, ...]:
    for field_of_lists in tuple(lists):
        if not isinstance(field_of_lists, Lists):
            raise TypeError(f"lists must be Lists, got {type(field_of_lists).__name__}")
        if len(field_of_lists) != n:
            raise ValueError(f"lists must have {n} lists, one a row of ids, got {len(field_of_lists)}")
    return tuple(lists)


def _check_crosses(crosses: Any, n: int, size: int) -> NDArray[np.int32] | None:
    check_int("cross_size", size, low=0, high=MAX_ID)
    if crosses is None:
        return None
    array = check_integers("crosses", crosses)
    if array.ndim != 2 or len(array) != n:
        raise ValueError(f"crosses must have shape ({n}, n_crosses), got {array.shape}")
    return check_id_range("crosses", array, size, "cross").astype(np.int32)
