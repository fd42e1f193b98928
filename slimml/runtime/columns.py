"""What a caller hands to `predict`, as typed blocks in the model's order. One row wakes no numpy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from slimml.errors import InputError
from slimml.runtime.containers import (
    Table,
    from_dicts,
    from_lists,
    is_pandas_frame,
    one_row_of_frame,
    open_table,
)
from slimml.runtime.values import NAN, categories, category, coded, number, numbers, refuse_texts, text, texts
from slimml.schema import FLOAT64, MISSING, NUMBER, REFUSED, TEXT, Column, Schema, respelled

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
    Objects = np.ndarray[Any, np.dtype[np.object_]]


# Dtypes of categories in which pandas keeps every missing value as NaN.
_NAN_ONLY = ("str", "category")


class Rows:
    """Rows in two blocks: the number columns and the others, each in the schema's order, unread columns left out.

    `single`       one row that was not given as a table: answer with Python scalars
    `count`        how many rows
    `number_list`  with one row often: its numbers as Python floats; None where only the arrays exist
    `object_list`  likewise, its categories and texts
    `float32`      whether the numbers came as float32 and are so here
    """

    __slots__ = ("_numbers", "_objects", "count", "float32", "number_list", "object_list", "single")

    def __init__(
        self,
        single: bool,
        count: int,
        number_list: list[float] | None,
        object_list: list[Any] | None,
        numbers: Floats | None = None,
        objects: Objects | None = None,
        float32: bool = False,
    ) -> None:
        self.single = single
        self.count = count
        self.number_list = number_list
        self.object_list = object_list
        self._numbers = numbers
        self._objects = objects
        self.float32 = float32

    @property
    def numbers(self) -> Floats:
        """float64 or float32, C-contiguous, (count, columns read). May be the caller's own array: never write to it."""
        if self._numbers is None:
            import numpy as np

            self._numbers = np.array([self.number_list], dtype=np.float64)
        return self._numbers

    @property
    def objects(self) -> Objects:
        """object, (count, category and text columns read): values as `slimml.runtime.values.category` leaves them."""
        if self._objects is None:
            self._objects = _object_block([[value] for value in self.object_list or ()], 1)
        return self._objects


class RowReader:
    """Reads rows for one schema; everything that does not depend on the rows is worked out once.

    `strict`: columns that the compiled model does not read must be there all the same. `float32`: rows of an array or a
    table whose number columns are all float32 stay so.
    """

    def __init__(self, schema: Schema, *, strict: bool = True, float32: bool = False) -> None:
        columns = schema.columns
        self._columns = columns
        self._named = schema.named
        self._sparse = schema.sparse
        self._spaced = frozenset(schema.names) if schema.spaced else None
        self._integers = schema.integers
        self._strict = strict
        self._float32 = float32
        self._documents = len(columns) == 1 and columns[0].kind == TEXT
        self._flat = schema.flat or self._documents
        self._number_at = [i for i, c in enumerate(columns) if c.read and c.kind == NUMBER]
        self._object_at = [i for i, c in enumerate(columns) if c.read and c.kind != NUMBER]
        self._number_names = [columns[i].name for i in self._number_at]
        self._object_names = [columns[i].name for i in self._object_at]
        self._text_at = [j for j, i in enumerate(self._object_at) if columns[i].kind == TEXT]
        # Columns whose dtype has no None: a frame made of the same rows would hold NaN.
        self._nan_only = [j for j, i in enumerate(self._object_at) if columns[i].dtype in _NAN_ONLY]
        self._codes = {j: codes for j, i in enumerate(self._object_at) if (codes := columns[i].codes) is not None}
        self._compared = frozenset(c.name for c in columns if c.compared)
        self._compared_at = [j for j, name in enumerate(self._number_names) if name in self._compared]
        self._compared_objects = [i for i in self._object_at if columns[i].compared]
        self._unread = [c.name for c in columns if not c.read] if strict else []
        self._numbers_by_name = _getter(self._number_names)
        self._objects_by_name = _getter(self._object_names)
        self._numbers_by_place = _getter(self._number_at)
        self._objects_by_place = _getter(self._object_at)

    def read(self, data: Any) -> Rows:
        """Blocks out of a dict, list, tuple, list of dicts, lists or tuples, str (for a text model), numpy array,
        pandas or polars DataFrame, pyarrow Table or RecordBatch, or scipy sparse matrix.

        Columns are matched by name where both the data and the model name them and where rows are dicts, else by
        position. None and NaN are missing; so is pandas.NA in number columns. Raises InputError, which names the
        column, the row and the value.
        """
        if type(data) is dict:
            return self._dict(data)
        if isinstance(data, (list, tuple)):
            return self._sequence(data)
        if isinstance(data, Mapping):
            return self._dict(dict(data))  # not the mapping itself: a defaultdict would invent what is missing
        if isinstance(data, (str, bytes)):
            return self._str(data)
        if is_pandas_frame(data) and len(data) == 1:
            return self._frame_of_one(data)
        if self._sparse == REFUSED and hasattr(data, "nnz"):
            raise InputError(
                "rows of a sparse matrix: of those the original would answer otherwise than of the same rows dense, or "
                "refuse them",
                hint="pass rows.toarray() for the answers to dense rows",
            )
        absent = NAN if self._sparse == MISSING else 0.0
        return self._table(open_table(data, flat=self._flat, absent=absent))

    def _dict(self, row: dict[Any, Any]) -> Rows:
        row = self._respelled(row)
        try:
            values, others = self._numbers_by_name(row), self._objects_by_name(row)
        except KeyError:
            raise _missing([c.name for c in self._columns if self._wants(c) and c.name not in row]) from None
        for name in self._unread:
            if name not in row:
                raise _missing([name])
        return self._one(values, others, single=True)

    def _respelled(self, row: Any) -> Any:
        """A dict with the schema's own names, where these may have "_" for a space."""
        if self._spaced is None or not isinstance(row, Mapping) or self._spaced.issuperset(row):
            return row
        return dict(zip(respelled(row, self._spaced), row.values()))

    def _one(self, values: Sequence[Any], others: Sequence[Any], *, single: bool) -> Rows:
        for j in self._compared_at:
            refuse_texts(values[j : j + 1], self._number_names[j])
        try:
            floats = list(map(float, values))
        except (TypeError, ValueError, OverflowError):  # a missing value, or one that `number` refuses by name
            floats = [v if type(v) is float else number(v, name) for v, name in zip(values, self._number_names)]
        objects = [v if type(v) is str else category(v, name) for v, name in zip(others, self._object_names)]
        for j in self._nan_only:
            if objects[j] is None and single:
                objects[j] = NAN
        for j in self._text_at:
            objects[j] = text(objects[j], self._object_names[j])
        return Rows(single, 1, floats, objects)

    def _sequence(self, data: Sequence[Any]) -> Rows:
        if not data:
            raise _no_rows(len(self._columns))
        first = data[0]
        if isinstance(first, Mapping):
            rows = [self._respelled(row) for row in data]
            return self._table(from_dicts(rows, [c.name for c in self._columns]), by_name=True)
        if isinstance(first, (list, tuple)) or getattr(first, "ndim", 0) == 1:
            return self._table(from_lists(data))
        if self._flat:
            return self._table(Table(len(data), 1, None, lambda i: data))
        self._check_width(len(data))
        others = self._objects_by_place(data)
        if self._codes:
            others = [self._decoded(j, value) for j, value in enumerate(others)]
        return self._one(self._numbers_by_place(data), others, single=True)

    def _decoded(self, j: int, value: Any, row: int | None = None) -> Any:
        """A value of the j-th category column, of rows without names."""
        codes = self._codes.get(j)
        return value if codes is None else coded(value, codes, self._object_names[j], row)

    def _str(self, data: str | bytes) -> Rows:
        if not self._documents:
            what = f"a {type(data).__name__} is a row of a text model only; this model has {len(self._columns)} columns"
            raise InputError(what, hint="pass a dict, a list of values, or a table")
        return self._one((), [data][: len(self._object_at)], single=True)

    def _frame_of_one(self, frame: Any) -> Rows:
        table = open_table(frame, flat=False)
        places = self._match(table, by_name=self._named)
        values = one_row_of_frame(frame, categories=bool(self._object_at))
        if values is None or (self._float32 and "float32" in map(str, frame.dtypes)):
            return self._blocks(table, places)
        for i in self._compared_objects:
            if not isinstance(values[places[i]], str):
                self._refuse_numbers(frame.dtypes.iloc[places[i]], i)
        floats = [values[places[i]] for i in self._number_at]
        return self._one(floats, [values[places[i]] for i in self._object_at], single=False)

    def _table(self, table: Table, *, by_name: bool | None = None) -> Rows:
        if not table.count:
            raise _no_rows(table.width)
        return self._blocks(table, self._match(table, by_name=self._named if by_name is None else by_name))

    def _blocks(self, table: Table, places: Sequence[int]) -> Rows:
        float32 = self._float32 and self._are(table, places, "float32")
        if self._float32 and not float32 and self._are(table, places, "float16"):
            what = "rows of float16: the original computes in that, and this model in float32 or float64"
            raise InputError(what, hint="pass rows.astype('float32') for the answers to the same values in float32")
        at = [places[i] for i in self._number_at]
        floats = _number_block(table, at, self._number_names, float32, self._compared)
        if self._integers != FLOAT64 and _large_integers(table, floats):
            floats = self._narrowed(floats)
        for i in () if table.nulls else self._compared_objects:
            self._refuse_numbers(getattr(table.column(places[i]), "dtype", None), i)
        objects: list[list[Any]] = []
        for j, (i, name) in enumerate(zip(self._object_at, self._object_names)):
            values = _python_values(table.column(places[i]), name)
            if table.bare and j in self._codes:
                values = [self._decoded(j, value, row) for row, value in enumerate(values)]
            if table.nulls and self._columns[i].dtype in _NAN_ONLY:
                values = [NAN if value is None else value for value in values]
            objects.append(texts(values, name) if self._columns[i].kind == TEXT else categories(values, name))
        return Rows(False, table.count, None, None, floats, _object_block(objects, table.count), float32)

    def _refuse_numbers(self, dtype: Any, column: int) -> None:
        """Refuse a column of numbers, be it NaN alone, where categories are compared as they come."""
        if getattr(dtype, "kind", "O") in "biuf":
            name = self._columns[column].name
            what = f"a column of {dtype} where the model was fitted on categories that are no numbers"
            hint = f"the original raises here: pass objects, frame.astype({{{name!r}: object}})"
            raise InputError(what, where=f"column {name!r}", hint=hint)

    def _narrowed(self, floats: Floats) -> Floats:
        """Integers as the original reads those of an array: rounded to float32."""
        narrow: Floats = floats.astype("float32").astype("float64")
        if self._integers == REFUSED and (narrow != floats).any():
            what = "integers beyond 2**24 in an array, which one step of the model rounds to float32, another does not"
            raise InputError(what, hint="pass an array of floats, or a DataFrame, which no step rounds")
        return narrow

    def _are(self, table: Table, places: Sequence[int], dtype: str) -> bool:
        """Whether every number column is of a dtype, those too that the model does not read but the original does."""
        if table.block is not None:
            return str(table.block.dtype) == dtype
        if table.dtypes is None:
            return False
        dtypes = table.dtypes()
        at = [places[i] for i, c in enumerate(self._columns) if c.kind == NUMBER and places[i] >= 0]
        return bool(at) and all(dtypes[i] == dtype for i in at)

    def _match(self, table: Table, *, by_name: bool) -> Sequence[int]:
        """For each column of the schema its place in the table, -1 for an unread one that is not there."""
        if table.names is None or not by_name:
            self._check_width(table.width)
            return range(table.width)
        names = table.names if self._spaced is None else respelled(table.names, self._spaced)
        at = {name: i for i, name in enumerate(names)}
        if missing := [c.name for c in self._columns if self._wants(c) and c.name not in at]:
            raise _missing(missing)
        if len(at) != len(names):
            self._refuse_duplicates(names)
        return [at.get(c.name, -1) for c in self._columns]

    def _refuse_duplicates(self, names: Sequence[str]) -> None:
        twice = [c.name for c in self._columns if c.read and names.count(c.name) > 1]
        if twice:
            hint = "the model cannot tell which one to read: rename or drop all but one"
            raise InputError(f"more than one column is named {_list(twice)}", where=f"column {twice[0]!r}", hint=hint)

    def _check_width(self, width: int) -> None:
        if width != len(self._columns):
            names = _list([c.name for c in self._columns])
            what = f"X has {width} features, but the model is expecting {len(self._columns)} features as input"
            raise InputError(what, hint=f"the columns are, in this order: {names}")

    def _wants(self, column: Column) -> bool:
        return column.read or self._strict


def read_rows(data: Any, schema: Schema, *, strict: bool = True) -> Rows:
    """`RowReader(schema, strict=strict).read(data)`, for one call; keep a RowReader for many."""
    return RowReader(schema, strict=strict).read(data)


def _getter(keys: Sequence[Any]) -> Callable[[Any], Sequence[Any]]:
    """A function that picks `keys` out of a row, as a tuple whatever their number."""
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda row: tuple([row[key] for key in keys])


def _number_block(
    table: Table, places: list[int], names: list[str], float32: bool = False, compared: Collection[str] = ()
) -> Floats:
    import numpy as np

    dtype: Any = np.float32 if float32 else np.float64
    if table.block is not None:
        whole = places == list(range(table.width))
        given: Floats = np.ascontiguousarray(table.block if whole else table.block[:, places], dtype=dtype)
        return given
    block: Floats = np.empty((table.count, len(places)), dtype=dtype)
    for j, (place, name) in enumerate(zip(places, names)):
        values = table.column(place)
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
            values = _python_values(values, name)
            if name in compared:
                refuse_texts(values, name)
            values = numbers(values, name)
        block[:, j] = values
    return block


def _large_integers(table: Table, floats: Floats) -> bool:
    """Whether the rows came as an array (or lists) of integers alone, some of which float32 does not hold."""
    if not table.bare or not (abs(floats) > 2**24).any():
        return False
    if table.block is not None:
        return str(table.block.dtype.kind) in "iu"
    return all(type(value) is int for i in range(table.width) for value in table.column(i))


def _python_values(values: Any, column: str) -> Sequence[Any]:
    """A column's values as Python objects; `values` is a sequence or a 1-D array."""
    if isinstance(values, (list, tuple)):
        return values
    if values.dtype.kind in "cmMV":
        what = f"values of dtype {values.dtype} are neither numbers nor categories"
        raise InputError(what, where=f"column {column!r}", hint="turn dates into numbers or str as the training did")
    listed: list[Any] = values.tolist()
    return listed


def _object_block(columns: list[list[Any]], count: int) -> Objects:
    import numpy as np

    block = np.empty((count, len(columns)), dtype=object)
    for j, values in enumerate(columns):
        block[:, j] = np.fromiter(values, dtype=object, count=count)  # assigning the list would unpack tuples
    return block


def _missing(names: list[str]) -> InputError:
    what = f"columns are missing: {_list(names)}"
    return InputError(what, where=f"column {names[0]!r}", hint="pass every column that the model was fitted on")


def _no_rows(width: int) -> InputError:
    what = f"Found array with 0 sample(s) (shape=(0, {width})) while a minimum of 1 is required"
    return InputError(what, hint="pass at least one row")


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
