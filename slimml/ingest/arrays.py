"""numpy dtypes, scalars and arrays from their pickled descriptions, each argument checked before numpy sees it."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np

from slimml.ingest.machine import Machine, Unfinished

Array = np.ndarray[Any, np.dtype[Any]]
DType = np.dtype[Any]

_CODE = re.compile(
    r"[<>|=]?(?:[biu][1248]|f(?:2|4|8|16)|c(?:8|16|32)|O[48]?|[SUV][0-9]{0,9}|[mM]8|[?bBhHiIlLqQefdgFDG])\Z"
)
_UNIT = re.compile(r"(?:generic|Y|M|W|D|h|m|s|ms|us|\xb5s|ns|ps|fs|as)\Z")
_ORDERS = ("<", ">", "|", "=")
_MOST_DIMENSIONS = 32
MOST_FIELDS = 1000
LARGEST_ITEM = 1 << 30
# Content of a file stands at any offset. Up to this many bytes are copied to be aligned; a large forest stays a view.
_COPIED = 16 << 20
_LAST_CHARACTER = sys.maxunicode


def dtype_of_args(machine: Machine, args: tuple[Any, ...]) -> DType:
    """`numpy.dtype(code, align, copy)`. Raises CorruptInputError for a code that is not listed."""
    code = args[0] if args else None
    # numpy names its own abstract classes when a dtype was given as one: dtype(numpy.float64).
    if type(code) is not str or not _CODE.match(code) or len(args) > 3:
        raise machine.corrupt("a dtype has a code that is not known")
    try:
        made = np.dtype(code)
    except (TypeError, ValueError, OverflowError):
        raise machine.corrupt(f"a dtype has the code {code!r}") from None
    if made.itemsize > LARGEST_ITEM:
        raise machine.corrupt(f"a dtype has items of {made.itemsize} bytes")
    return made


def dtype_of_state(machine: Machine, base: DType, state: Any) -> DType:
    """`base` with the byte order, fields, unit or sub-array that its state tells."""
    if type(state) is not tuple or len(state) < 5 or type(state[1]) is not str or state[1] not in _ORDERS:
        raise machine.corrupt("a dtype's state has an unknown shape")
    order, subarray, names, fields = state[1:5]
    item = state[5] if len(state) > 5 and type(state[5]) is int and state[5] >= 0 else base.itemsize
    try:
        if subarray is not None:
            return _subarray(machine, subarray, item)
        if names is not None:
            return _structured(machine, names, fields, item)
        if base.kind in "mM":
            base = _with_unit(machine, base, state[8] if len(state) > 8 else None)
        elif base.kind in "SUV" and base.itemsize == 0 < item <= LARGEST_ITEM:
            base = np.dtype(f"{base.kind}{item // 4 if base.kind == 'U' else item}")
        if item != base.itemsize:
            raise machine.corrupt("a dtype's item size contradicts its code")
        return base.newbyteorder(order) if order in "<>" else base
    except (TypeError, ValueError, OverflowError):
        raise machine.corrupt("a dtype contradicts itself") from None


def _subarray(machine: Machine, subarray: Any, item: int) -> DType:
    if type(subarray) is not tuple or len(subarray) != 2:
        raise machine.corrupt("a sub-array dtype has no shape")
    base = as_dtype(machine, subarray[0])
    shape = subarray[1] if type(subarray[1]) is tuple else (subarray[1],)
    if base.hasobject or count_of(machine, shape) * base.itemsize != item or item > LARGEST_ITEM:
        raise machine.corrupt("a sub-array dtype contradicts its item size")
    return np.dtype((base, shape))


def _structured(machine: Machine, names: Any, fields: Any, item: int) -> DType:
    if type(names) is not tuple or type(fields) is not dict or len(names) > MOST_FIELDS or item > LARGEST_ITEM:
        raise machine.corrupt("a dtype's fields have an unknown shape")
    formats, offsets, titles = [], [], []
    for name in names:
        entry = fields.get(name) if type(name) is str else None
        if type(entry) is not tuple or len(entry) not in (2, 3) or type(entry[1]) is not int:
            raise machine.corrupt("a dtype's field is not described")
        part = as_dtype(machine, entry[0])
        # numpy itself does not check this, and reads wild memory where it does not hold.
        if part.hasobject or entry[1] < 0 or entry[1] + part.itemsize > item:
            raise machine.corrupt(f"the field {name[:60]!r} lies outside of its item")
        formats.append(part)
        offsets.append(entry[1])
        titles.append(entry[2] if len(entry) == 3 and type(entry[2]) is str else None)
    layout = {"names": list(names), "formats": formats, "offsets": offsets, "itemsize": item}
    return np.dtype({**layout, "titles": titles} if any(titles) else layout)  # type: ignore[call-overload, no-any-return]


def _with_unit(machine: Machine, base: DType, metadata: Any) -> DType:
    if metadata is None:
        return base
    if type(metadata) is not tuple or len(metadata) != 2 or type(metadata[1]) is not tuple or len(metadata[1]) < 2:
        raise machine.corrupt("a date dtype has no unit")
    unit, step = metadata[1][0], metadata[1][1]
    unit = unit.decode("latin-1") if type(unit) is bytes else unit
    if type(unit) is not str or not _UNIT.match(unit) or type(step) is not int or not 0 < step < 2**31:
        raise machine.corrupt("a date dtype has an unknown unit")
    return base if unit == "generic" else np.dtype(f"{base.kind}8[{step}{unit}]")


def as_dtype(machine: Machine, value: Any) -> DType:
    """`value` if it is a finished dtype. Raises CorruptInputError."""
    if isinstance(value, np.dtype):
        return value
    what = "unfinished dtype" if type(value) is Unfinished else "dtype that is not read"
    raise machine.corrupt(f"an array has an {what}" if what[0] == "u" else f"an array has a {what}")


def count_of(machine: Machine, shape: Any) -> int:
    """The number of items of a shape, in unbounded integers."""
    if type(shape) is not tuple or len(shape) > _MOST_DIMENSIONS:
        raise machine.corrupt("an array's shape is not a short tuple")
    count = 1
    for extent in shape:
        if type(extent) is not int or not 0 <= extent < 2**62:
            raise machine.corrupt("an array's shape holds something other than sizes")
        count *= extent
    return count


def array_of_state(machine: Machine, state: Any) -> Array:
    """The array of `ndarray.__setstate__`'s argument: (version, shape, dtype, is_fortran, content)."""
    if type(state) is not tuple or len(state) not in (4, 5):
        raise machine.corrupt("an array's state has an unknown shape")
    shape, dtype, fortran, content = state[-4:]
    return make_array(machine, content, as_dtype(machine, dtype), shape, type(fortran) in (bool, int) and fortran == 1)


def from_buffer(machine: Machine, args: tuple[Any, ...]) -> Array:
    """`numpy._core.numeric._frombuffer(buffer, dtype, shape, order)` of protocol 5."""
    if len(args) not in (4, 5) or type(args[3]) is not str or args[3] not in ("C", "F", "K", "A"):
        raise machine.corrupt("an array is not made of a buffer as numpy does it")
    return make_array(machine, args[0], as_dtype(machine, args[1]), args[2], args[3] == "F")


def scalar(machine: Machine, args: tuple[Any, ...]) -> Any:
    """`numpy.core.multiarray.scalar(dtype, content)`. Without content numpy would allocate a whole item."""
    if len(args) != 2:
        raise machine.corrupt("a numpy scalar has no content")
    dtype, content = as_dtype(machine, args[0]), args[1]
    if dtype.hasobject:
        return content
    if type(content) is bytes and len(content) == dtype.itemsize and dtype.kind in "fiub":
        return np.frombuffer(content, dtype)[0]
    return make_array(machine, content, dtype, (), False)[()]


def make_array(machine: Machine, content: Any, dtype: DType, shape: Any, fortran: bool) -> Array:
    """A read-only array over `content`, which must be exactly as long as shape and dtype say."""
    count = count_of(machine, shape)
    order = "F" if fortran else "C"
    try:
        if dtype.hasobject:
            flat = _objects(machine, content, dtype, count)
        else:
            flat = _numbers(machine, content, dtype, count)
        made = flat.reshape(shape, order=order)  # type: ignore[call-overload]
    except (ValueError, TypeError, OverflowError, MemoryError):
        raise machine.corrupt("an array contradicts its shape") from None
    made.flags.writeable = False
    return made  # type: ignore[no-any-return]


def _objects(machine: Machine, content: Any, dtype: DType, count: int) -> Array:
    if dtype.kind != "O" or type(content) is not list or len(content) != count:
        raise machine.corrupt("an array of objects does not hold as many as its shape says")
    return np.fromiter(content, dtype=object, count=count)


def _numbers(machine: Machine, content: Any, dtype: DType, count: int) -> Array:
    if type(content) is str:
        try:
            content = content.encode("latin-1")
        except UnicodeEncodeError:
            raise machine.corrupt("an array's content is not Latin-1") from None
    if type(content) not in (bytes, bytearray, memoryview):
        raise machine.corrupt("an array's content is not bytes")
    if len(content) != count * dtype.itemsize or (dtype.itemsize == 0 and count > 1):
        raise machine.corrupt(
            f"an array of {count} items of {dtype.itemsize} bytes has {len(content)} bytes of content"
        )
    if not len(content):
        return np.zeros(count, dtype)
    if dtype.kind == "U" and _code_points(content, dtype).max() > _LAST_CHARACTER:
        raise machine.corrupt("an array of text holds something that is no character")
    flat = np.frombuffer(content, dtype)
    context = machine.context
    if type(content) is bytearray or (not flat.flags.aligned and context.copied + flat.nbytes <= _COPIED):
        context.copied += flat.nbytes
        # Copied as bytes: ndarray.copy leaves the padding between fields to chance.
        flat = np.frombuffer(bytes(content), dtype)
    return flat


def _code_points(content: Any, dtype: DType) -> Array:
    return np.frombuffer(content, np.dtype(np.uint32).newbyteorder(dtype.byteorder))
