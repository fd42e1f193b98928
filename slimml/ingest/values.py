"""The exact list of names that become real values, a reason each. Everything else stays a Record.

Nothing here is called because the file says so: each form is our own function that checks its arguments first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from slimml.errors import UnknownFormatError, UntrustedError
from slimml.ingest import arrays, sparse
from slimml.ingest.joblib import finish_wrapper
from slimml.ingest.keys import check_keys
from slimml.ingest.machine import Machine, Unfinished
from slimml.ingest.record import Record, Symbol

Form = Callable[[Machine, tuple[Any, ...]], Any]

_BUILTINS = ("builtins", "__builtin__")
# numpy 1.16 and 1.17 name the compiled module, numpy 2 renamed the package.
_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy.core._multiarray_umath")
_NUMERIC = ("numpy._core.numeric", "numpy.core.numeric")
_UFUNC_HOMES = ("numpy", "numpy.core", "numpy.core.umath", "numpy.core._multiarray_umath", "numpy.core.numeric")
_UFUNCS = frozenset(name for name, value in vars(np).items() if isinstance(value, np.ufunc))
_INDEXES = ("Index", "Int64Index", "UInt64Index", "Float64Index")
# cloudpickle and dill write classes as calls: of the maker, with the class's name at that place of its arguments. What
# is made is named `<by value>`, so that it is never taken for a class of that name which a library defines.
_CLASS_MAKERS = {
    **{("cloudpickle.cloudpickle", name): 1 for name in ("_make_skeleton_class", "_make_skeleton_enum")},
    **{(module, "_create_type"): 1 for module in ("dill._dill", "dill.dill")},
    **{(module, "_load_type"): 0 for module in ("dill._dill", "dill.dill")},
    ("cloudpickle.cloudpickle", "_builtin_type"): 0,
}
_JOBLIB = ("joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle")
BY_VALUE = "<by value>"


def reduce(machine: Machine, function: Symbol, args: tuple[Any, ...]) -> Any:
    """What the call stands for: a value if `FORMS` lists it, else a Record of it."""
    form = FORMS.get((function.module, function.name))
    if form is None:
        return Record(function.module, function.name, args)
    return form(machine, args)


def instance(machine: Machine, cls: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The object that NEWOBJ makes of `cls`, before its state."""
    made = name_of_made_class(cls)
    if made is not None:
        return Record(BY_VALUE, made, args, kwargs)
    if type(cls) is not Symbol:
        raise UntrustedError("an object's class is not a global", offset=machine.pos)
    machine.context.classes.add(cls)
    if cls.module in _JOBLIB:
        return _joblib_wrapper(machine, cls)
    layout = sparse.LAYOUTS.get((cls.module, cls.name))
    if layout is not None:
        return Unfinished("sparse matrix", layout, machine.next_memo_key())
    return Record(cls.module, cls.name, args, kwargs)


def name_of_made_class(cls: object) -> str | None:
    """The name of a class that the file itself holds, as cloudpickle and dill write them; None for all else."""
    if type(cls) is not Record:
        return None
    place = _CLASS_MAKERS.get((cls.module, cls.name))
    if place is None or place >= len(cls.args) or type(cls.args[place]) is not str:
        return None
    return str(cls.args[place])


def finish(machine: Machine, target: object, state: Any) -> None:
    """BUILD of something that is no Record: put the finished value where the unfinished one stood."""
    if type(target) is not Unfinished:
        raise machine.corrupt(f"state is set on a {type(target).__name__}")
    value = _FINISH[target.kind](machine, target.value, state)
    machine.stack[-1] = value
    key = target.key
    if key is not None and machine.memo.get(key) is target:
        machine.memo[key] = value


_FINISH: dict[str, Callable[[Machine, Any, Any], Any]] = {
    "array": lambda machine, _, state: arrays.array_of_state(machine, state),
    "dtype": arrays.dtype_of_state,
    "sparse matrix": sparse.finish,
    "joblib array": lambda machine, _, state: finish_wrapper(machine, state),
}


def _joblib_wrapper(machine: Machine, cls: Symbol) -> Any:
    if cls.name == "NumpyArrayWrapper":
        return Unfinished("joblib array", None, machine.next_memo_key())
    raise UnknownFormatError(
        "a joblib dump older than 0.10, which keeps its arrays in files of their own",
        hint="Load it where it was written and save it again with a newer joblib.",
        offset=machine.pos,
    )


def _new_array(machine: Machine, args: tuple[Any, ...]) -> Any:
    # The subtype is dropped: a matrix or a memmap is its numbers here.
    if len(args) != 3 or type(args[0]) is not Symbol or not _is_empty_shape(args[1]):
        raise machine.corrupt("an array is not reconstructed as numpy does it")
    return Unfinished("array", None, machine.next_memo_key())


def _is_empty_shape(shape: Any) -> bool:
    return type(shape) is tuple and len(shape) == 1 and type(shape[0]) is int and shape[0] == 0


def _new_dtype(machine: Machine, args: tuple[Any, ...]) -> Any:
    return Unfinished("dtype", arrays.dtype_of_args(machine, args), machine.next_memo_key())


def _encode(machine: Machine, args: tuple[Any, ...]) -> bytes:
    text = args[0] if args else None
    # A long text comes as a view of the file: decoded here, it is gone as soon as it is encoded.
    if type(text) is memoryview:
        text = str(text, "utf-8")
    if len(args) != 2 or type(text) is not str or type(args[1]) is not str or args[1] not in ("latin1", "latin-1"):
        raise machine.corrupt("a text is encoded otherwise than pickle does it")
    return _latin1(machine, text)


def _latin1(machine: Machine, text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise machine.corrupt("bytes are written as a text that is not Latin-1") from None


def _bytes(machine: Machine, args: tuple[Any, ...]) -> bytes:
    if not args:
        return b""
    if type(args[0]) is bytes and len(args) == 1:
        return args[0]
    return _encode(machine, args)


def _bytearray(machine: Machine, args: tuple[Any, ...]) -> bytearray:
    # bytearray(n) would allocate n bytes.
    return bytearray(_bytes(machine, args))


def _slice(machine: Machine, args: tuple[Any, ...]) -> slice:
    if len(args) != 3 or not all(type(a) in (int, type(None), str) for a in args):
        raise machine.corrupt("a slice is not made of three numbers")
    return slice(*args)


def _complex(machine: Machine, args: tuple[Any, ...]) -> complex:
    if len(args) != 2 or not all(type(a) is float for a in args):
        raise machine.corrupt("a complex number is not made of two floats")
    return complex(*args)


def _members(machine: Machine, args: tuple[Any, ...]) -> list[Any]:
    if not args:
        return []
    if len(args) != 1 or type(args[0]) not in (list, tuple):
        raise machine.corrupt("a set is not made of a list")
    check_keys(machine, args[0], 0)
    return list(args[0])


def _ordered_dict(machine: Machine, args: tuple[Any, ...]) -> dict[Any, Any]:
    if not args:
        return {}
    pairs = args[0]
    if len(args) != 1 or type(pairs) is not list or not all(type(p) in (list, tuple) and len(p) == 2 for p in pairs):
        raise machine.corrupt("an OrderedDict is not made of pairs")
    check_keys(machine, [p[0] for p in pairs], 0)
    return dict(pairs)


def _default_dict(machine: Machine, args: tuple[Any, ...]) -> dict[Any, Any]:
    # The factory is never called: what the model holds, it holds.
    if len(args) > 1:
        raise machine.corrupt("a defaultdict has more than a factory")
    return {}


def _reconstructor(machine: Machine, args: tuple[Any, ...]) -> Any:
    if len(args) != 3 or type(args[1]) is not Symbol:
        raise machine.corrupt("an object is not reconstructed as copyreg does it")
    cls, base, value = args
    made = instance(machine, cls, () if base.name == "object" else (value,), {})
    if type(made) is Record and type(value) is list:
        made.items.extend(value)
    elif type(made) is Record and type(value) is dict:
        made.pairs.extend(value.items())
    return made


def _newobj(machine: Machine, args: tuple[Any, ...]) -> Any:
    if not args:
        raise machine.corrupt("an object has no class")
    return instance(machine, args[0], args[1:], {})


def _ufunc(machine: Machine, args: tuple[Any, ...]) -> Symbol:
    # numpy < 1.20 pickles a ufunc as a call that imports any module and takes any attribute of it.
    if len(args) == 2 and all(type(a) is str for a in args) and args[0] in _UFUNC_HOMES and args[1] in _UFUNCS:
        return machine.symbol("numpy", args[1])
    named = ".".join(str(a)[:60] for a in args if type(a) is str)
    raise UntrustedError(
        f"numpy's _ufunc_reconstruct is asked for {named}, which is no ufunc",
        hint="This call would import that module and hand out that attribute.",
        offset=machine.pos,
    )


def _pandas_index(machine: Machine, args: tuple[Any, ...]) -> Any:
    if len(args) == 2 and type(args[0]) is Symbol and args[0].name in _INDEXES and type(args[1]) is dict:
        data = args[1].get("data")
        if type(data) is np.ndarray:
            return data
    return Record("pandas.core.indexes.base", "_new_Index", args)


def _dill_array(machine: Machine, args: tuple[Any, ...]) -> Any:
    if len(args) < 3 or type(args[0]) is not Symbol or args[0].name != "_reconstruct":
        raise machine.corrupt("an array is not made as dill does it")
    return arrays.array_of_state(machine, args[2])


FORMS: dict[tuple[str, str], Form] = {
    # Fitted numbers: every array, dtype and numpy scalar of a model is written with these.
    **{(module, "_reconstruct"): _new_array for module in _MULTIARRAY},
    **{(module, "scalar"): arrays.scalar for module in _MULTIARRAY},
    **{(module, "_frombuffer"): arrays.from_buffer for module in _NUMERIC},
    ("numpy", "dtype"): _new_dtype,
    # dill's own way to write an array.
    ("dill._dill", "_create_array"): _dill_array,
    ("dill.dill", "_create_array"): _dill_array,
    # Protocols 0 to 2 have no bytes: they are a Latin-1 text and a call.
    ("_codecs", "encode"): _encode,
    **{(module, "bytes"): _bytes for module in _BUILTINS},
    # XGBoost keeps its model in a bytearray.
    **{(module, "bytearray"): _bytearray for module in _BUILTINS},
    # Column selections of a ColumnTransformer.
    **{(module, "slice"): _slice for module in _BUILTINS},
    # Parameter grids and tables.
    **{(module, "complex"): _complex for module in _BUILTINS},
    **{(module, "set"): lambda machine, args: set(_members(machine, args)) for module in _BUILTINS},
    **{(module, "frozenset"): lambda machine, args: frozenset(_members(machine, args)) for module in _BUILTINS},
    # Vocabularies and category tables.
    ("collections", "OrderedDict"): _ordered_dict,
    ("collections", "defaultdict"): _default_dict,
    # How protocols 0 and 1 make an object: the class that they name is the Record's.
    ("copy_reg", "_reconstructor"): _reconstructor,
    ("copyreg", "_reconstructor"): _reconstructor,
    ("copy_reg", "__newobj__"): _newobj,
    ("copyreg", "__newobj__"): _newobj,
    # FunctionTransformer(np.log1p): becomes the ufunc's name.
    ("numpy.core", "_ufunc_reconstruct"): _ufunc,
    ("numpy._core", "_ufunc_reconstruct"): _ufunc,
    # Column names.
    ("pandas.core.indexes.base", "_new_Index"): _pandas_index,
    ("pandas.indexes.base", "_new_Index"): _pandas_index,
}
