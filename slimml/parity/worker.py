"""The original in a process of its own: loads a model, answers rows, times itself.

Run by path with any Python that has the model's library: `python worker.py`. Standard library and numpy alone; nothing
of slimml is imported, and the syntax stays that of Python 3.8, so that an old release can answer for its own files.

A message is a frame: 8 bytes of length (little endian), then the payload. To the worker: a pickled tuple of plain
values, from the process that started it. Back: a JSON object, then the blobs that it counts, one frame each, so that
the other side never unpickles what a model may have touched.
"""

from __future__ import annotations

import copy
import gc
import importlib.util
import io
import json
import os
import pickle
import struct
import sys
import time
import types
import warnings
from typing import IO, Any

import numpy as np

# What an estimator raises for a row that it refuses. Anything else is a failure of the worker itself and ends it.
ROW_ERRORS = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RuntimeError)

LIBRARIES = {"sklearn": "scikit-learn", "xgboost": "xgboost", "lightgbm": "lightgbm", "onnxruntime": "onnxruntime"}

# Stands for the dtype of every number column where the rows are asked in float32.
FLOAT32_ROWS = "float32 rows"

_FRAME = struct.Struct("<Q")
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_NULLABLE = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
# Classes whose instances hold no estimators, or so many small objects that a walk would never end.
_ATOMS = (str, bytes, int, float, complex, bool, type(None), type, types.ModuleType, types.FunctionType,
          types.BuiltinFunctionType, types.MethodType, np.generic, np.dtype)  # fmt: skip


# ------------------------------------------------------------------------------------------------- rows as arguments


def as_frame(columns: list[tuple[str, str, str, Any]]) -> Any:
    """A pandas frame of (name, kind, dtype, values) columns, each in its dtype where every value fits it."""
    import pandas as pd

    return pd.DataFrame({name: _series(pd, kind, dtype, values) for name, kind, dtype, values in columns})


def as_array(columns: list[tuple[str, str, str, Any]]) -> np.ndarray:
    """A matrix of the columns: float64 (float32 rows: so), or object where one of them does not hold numbers."""
    numeric = all(kind == "number" for _, kind, _, _ in columns)
    narrow = bool(columns) and all(dtype == FLOAT32_ROWS for _, _, dtype, _ in columns)
    rows = len(columns[0][3]) if columns else 0
    out = np.empty((rows, len(columns)), dtype=(np.float32 if narrow else np.float64) if numeric else object)
    for i, (_, _, _, values) in enumerate(columns):
        out[:, i] = values
    return out


def _series(pd: Any, kind: str, dtype: str, values: Any) -> Any:
    if kind == "number":
        numbers = np.asarray(values, dtype=np.float64)
        return pd.Series(numbers.astype(np.float32) if dtype == FLOAT32_ROWS else narrowed(numbers, dtype, pd))
    cells = np.empty(len(values), dtype=object)
    cells[:] = values
    present = [v for v in values if v is not None and v == v]
    if dtype == "category":
        return pd.Series(pd.Categorical(cells))
    if dtype == "str" and all(isinstance(v, str) for v in present):
        return pd.Series(cells, dtype="str" if int(pd.__version__.split(".")[0]) >= 3 else object)
    whole = all(type(v) is int and abs(v) < 2**63 for v in present)
    if len(present) == len(values) and (dtype == "bool" and all(type(v) is bool for v in present)):
        return pd.Series(cells.astype(bool))
    if len(present) == len(values) and dtype in _INTEGERS and whole:
        return pd.Series(cells.astype(np.int64))
    if dtype in ("float64", "float32") and all(type(v) in (int, float) for v in values):
        return pd.Series(cells.astype(dtype))
    return pd.Series(cells, dtype=object)


def narrowed(values: np.ndarray, dtype: str, pd: Any = None) -> Any:
    """float64 values in the dtype that the column had, where that loses nothing; else as they are."""
    missing = np.isnan(values)
    present = values[~missing]
    plain = dtype in _INTEGERS or dtype == "bool"
    nullable = pd is not None and (dtype in _NULLABLE or dtype == "boolean")
    if not (plain or nullable) or (plain and missing.any()):
        return values
    if not (np.isfinite(present).all() and (present == np.floor(present)).all()):
        return values
    if (np.signbit(present) & (present == 0)).any():
        return values
    low, high = (0, 1) if dtype in ("bool", "boolean") else _limits(np.dtype(dtype.lower()))
    if len(present) and not (present.min() >= low and present.max() <= high):
        return values
    if plain:
        return values.astype(dtype)
    return pd.Series([None if m else int(v) for v, m in zip(values.tolist(), missing.tolist())], dtype=dtype)


def _limits(dtype: np.dtype) -> tuple[int, int]:
    # Beyond 2**53 neighbours of a float are not whole numbers apart, and int64's own ends are no floats.
    info = np.iinfo(dtype)
    return max(int(info.min), -(2**53)), min(int(info.max), 2**53)


# ----------------------------------------------------------------------------------------------------- the estimator


def single_job(model: Any) -> list[tuple[Any, Any]]:
    """Set n_jobs to 1 on every estimator inside of `model`; returns what to hand to `restore_jobs`.

    With more jobs scikit-learn adds the trees of a forest in the order in which threads end, so that its own answers
    vary from run to run (sklearn/ensemble/_forest.py, `_accumulate_prediction`).
    """
    changed = []
    seen = {id(model)}
    stack = [model]
    while stack:
        item = stack.pop()
        inner = _inside(item)
        if isinstance(getattr(item, "__dict__", None), dict) and item.__dict__.get("n_jobs", 1) != 1:
            changed.append((item, item.__dict__["n_jobs"]))
            item.__dict__["n_jobs"] = 1
        for x in inner:
            if id(x) not in seen and not isinstance(x, _ATOMS):
                seen.add(id(x))
                stack.append(x)
    return changed


def restore_jobs(changed: list[tuple[Any, Any]]) -> None:
    """Undo `single_job`."""
    for item, jobs in changed:
        item.__dict__["n_jobs"] = jobs


def _inside(item: Any) -> list[Any]:
    if isinstance(item, (list, tuple, set, frozenset)):
        return list(item)
    if isinstance(item, dict):
        return list(item.values())
    if isinstance(item, np.ndarray):
        return item.ravel().tolist() if item.dtype == object else []
    state = getattr(item, "__dict__", None)
    return list(state.values()) if isinstance(state, dict) else []


def answer(model: Any, method: str, rows: Any) -> list[np.ndarray]:
    """What the method answers, as one (n, k) block per target."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = method_of(model, method)(rows)
    several = isinstance(result, list) and result and hasattr(result[0], "shape")
    # VotingClassifier(flatten_transform=False) stacks the blocks of its members.
    parts = result if several or getattr(result, "ndim", 0) == 3 else [result]
    return [block(p) for p in parts]


def method_of(model: Any, method: str) -> Any:
    """A method that takes frames and arrays, as those of estimators do."""
    function = getattr(model, method)
    if type(model).__module__ != "xgboost.core":
        return function
    import xgboost

    # A Booster answers DMatrices, and makes them with as many threads as there are unless it is told.
    return lambda rows: function(xgboost.DMatrix(rows, enable_categorical=True, nthread=1))


def block(part: Any) -> np.ndarray:
    """An answer (array, sparse matrix, frame) as a matrix; a vector becomes one column."""
    dense = part.toarray() if hasattr(part, "toarray") else np.asarray(part)
    return dense[:, None] if dense.ndim == 1 else dense


# ------------------------------------------------------------------------------------------------------------ timing


def time_calls(call: Any, arguments: list[Any], seconds: float) -> dict[str, float] | None:
    """p50 and p99, in microseconds, of calls on one argument each, until the time is over; None without arguments."""
    if not arguments:
        return None
    spent = []
    gc.collect()
    gc.disable()
    try:
        end = time.perf_counter_ns() + int(seconds * 1e9)
        while True:
            for argument in arguments:
                start = time.perf_counter_ns()
                call(argument)
                now = time.perf_counter_ns()
                spent.append(now - start)
                if now > end:
                    break
            if now > end:
                break
    finally:
        gc.enable()
    return {"p50": float(np.percentile(spent, 50)) / 1e3, "p99": float(np.percentile(spent, 99)) / 1e3}


def rows_per_second(call: Any, rows: Any, count: int, seconds: float) -> float:
    """Rows of a batch answered in a second: the best run, as long as there is time for one more."""
    best, start = float("inf"), time.perf_counter()
    while True:
        begin = time.perf_counter()
        call(rows)
        best = min(best, time.perf_counter() - begin)
        if time.perf_counter() - start + best > seconds:
            return count / best


def timings(model: Any, method: str, columns: list[Any], shape: str, records: list[Any], seconds: float) -> Any:
    """Latency at one row from a frame (array, list) and from a dict as a service would, and rows a second."""
    function = method_of(model, method)
    if shape == "documents":
        batch: Any = argument(shape, columns)
        singles = [batch[i : i + 1] for i in range(min(len(batch), 64))]
        from_dict = lambda row: function(list(row.values()))  # noqa: E731
    elif shape == "frame":
        import pandas as pd

        batch = as_frame(columns)
        singles = [batch.iloc[[i]] for i in range(min(len(batch), 64))]
        from_dict = lambda row: function(pd.DataFrame([row]))  # noqa: E731
    else:
        batch = as_array(columns)
        singles = [batch[i : i + 1] for i in range(min(len(batch), 64))]
        from_dict = lambda row: function(np.array([list(row.values())], dtype=batch.dtype))  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "frame": time_calls(function, accepted(function, singles), seconds / 3),
            "dict": time_calls(from_dict, accepted(from_dict, records), seconds / 3),
            "rows_per_s": rows_per_second(function, batch, len(batch), seconds / 3),
        }


def rate(model: Any, method: str, shape: str, columns: list[Any], seconds: float) -> float:
    """Rows a second of one batch."""
    rows = argument(shape, columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return rows_per_second(getattr(model, method), rows, len(columns[0][3]), seconds)


def accepted(call: Any, arguments: list[Any]) -> list[Any]:
    """The first arguments that the call takes: some originals refuse alone a row that they take in a frame."""
    taken = []
    for argument in arguments[:64]:
        try:
            call(argument)
        except ROW_ERRORS:
            continue
        taken.append(argument)
    return taken


def profiled(model: Any, shape: str, columns: list[Any], seconds: float) -> Any:
    """What profiling.py, the file beside this one, finds out about the steps of a model; None where no row is taken."""
    module = beside("profiling")
    rows = argument(shape, columns)
    count = min(len(rows), 64)
    singles = [rows.iloc[[i]] if shape == "frame" else rows[i : i + 1] for i in range(count)]
    method = module.main_method(lambda name: callable(getattr(model, name, None)))
    if method is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call = getattr(model, method)
        return module.profile(model, accepted(call, singles), accepted(call, [rows]), seconds)


def beside(name: str) -> Any:
    """The module in a file beside this one, whose folder is not on the path."""
    place = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py")
    spec = importlib.util.spec_from_file_location("slimml_" + name, place)
    assert spec is not None and spec.loader is not None  # it is a Python file
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def everything(model: Any) -> list[Any]:
    """The model and all objects inside of it that may be estimators, each once."""
    seen, found, stack = {id(model)}, [], [model]
    while stack:
        item = stack.pop()
        found.append(item)
        for x in _inside(item):
            if id(x) not in seen and not isinstance(x, _ATOMS):
                seen.add(id(x))
                stack.append(x)
    return found


# ----------------------------------------------------------------------------------------------------------- loading


def load(data: bytes, select: str) -> Any:
    """The object in the bytes (pickle, joblib, skops or model text, compressed, alone in a zip), at `select`."""
    head = first_bytes(data)
    if head[:4] == b"PK\x03\x04":
        import zipfile

        data = decompressed(data)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if "schema.json" not in names:
                return load(archive.read(names[0]), select)
        import skops.io

        # Whoever started this process has judged every name in the file, or the user trusts it.
        return follow(skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data)), select)
    if head.startswith((b"tree\n", b"tree\r\n")):
        import lightgbm

        return lightgbm.Booster(model_str=decompressed(data).decode("utf-8"))
    if head[:4] == b"binf" or head[:1] == b"{":
        import xgboost

        return xgboost.Booster(model_file=bytearray(decompressed(data)))
    try:
        import joblib
    except ImportError:
        item = pickle.loads(decompressed(data))
    else:
        # Reads plain pickles as well, and undoes the compressions by their magic.
        item = joblib.load(io.BytesIO(data))
    return follow(item, select)


def follow(item: Any, select: str) -> Any:
    """The part of a container or an object at a dotted path; keys may hold dots themselves, so the longest one wins.

    Paths with commas between them are the steps of a pipeline.
    """
    whole, path = item, select
    while select:
        if isinstance(item, dict):
            steps = {str(key): value for key, value in item.items()}
        elif isinstance(item, (list, tuple, np.ndarray)):
            steps = {str(i): value for i, value in enumerate(item)}
        else:
            steps = dict(vars(item))
        fits = [s for s in steps if select == s or select.startswith(s + ".")]
        if not fits and "," in path:
            from sklearn.pipeline import Pipeline

            return Pipeline([(part, follow(whole, part)) for part in path.split(",")])
        step = max(fits, key=len)
        item, select = steps[step], select[len(step) + 1 :]
    return item


def cut(model: Any, span: Any) -> Any:
    """A pipeline of some of the steps of another, those of pipelines inside of it counted one by one; or all of it."""
    if span is None:
        return model
    rest = copy.copy(model)
    rest.steps = flat(model)[span[0] : span[1]]
    return rest


def flat(pipeline: Any) -> list[tuple[str, Any]]:
    """The steps of a pipeline, those of pipelines that are steps of it in their place."""
    found: list[tuple[str, Any]] = []
    for name, step in pipeline.steps:
        inside = type(step).__name__ == "Pipeline" and hasattr(step, "steps")
        found += [(name + "." + n, s) for n, s in flat(step)] if inside else [(name, step)]
    return found


def first_bytes(data: bytes) -> bytes:
    """The first bytes inside of gzip, bz2 or xz, told by the first bytes outside."""
    import bz2
    import gzip
    import lzma

    openers: Any = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
    if data[:2] not in openers:
        return data[:8]
    try:
        with openers[data[:2]](io.BytesIO(data)) as file:
            return bytes(file.read(8))
    except (OSError, EOFError, lzma.LZMAError):
        return b""


def decompressed(data: bytes) -> bytes:
    """Undo gzip, bz2, xz or zlib, told by the first bytes."""
    if data[:2] == b"\x1f\x8b":
        import gzip

        return gzip.decompress(data)
    if data[:3] == b"BZh":
        import bz2

        return bz2.decompress(data)
    if data[:6] == b"\xfd7zXZ\x00" or data[:1] == b"\x5d":
        import lzma

        return lzma.decompress(data)
    if data[:1] == b"\x78":
        import zlib

        return zlib.decompress(data)
    return data


def unwrapped(data: bytes) -> bytes:
    """What is inside of compressions and of a zip with one member."""
    inner = decompressed(data)
    if inner[:4] == b"PK\x03\x04":
        import zipfile

        with zipfile.ZipFile(io.BytesIO(inner)) as archive:
            inner = archive.read(archive.namelist()[0])
    return inner if inner == data else unwrapped(inner)


def versions() -> dict[str, str]:
    """Versions of the libraries that have been imported, by the name under which pip installs them."""
    loaded = {name: sys.modules[module] for module, name in LIBRARIES.items() if module in sys.modules}
    return {name: str(getattr(module, "__version__", "")) for name, module in loaded.items()}


# ---------------------------------------------------------------------------------------------------------- messages


def read_frame(stream: IO[bytes]) -> bytes:
    """One payload. Raises EOFError where the other side has gone."""
    size = _FRAME.unpack(read_exactly(stream, _FRAME.size))[0]
    return read_exactly(stream, size)


def read_exactly(stream: IO[bytes], size: int) -> bytes:
    """`size` bytes. Raises EOFError where fewer come."""
    data = stream.read(size)
    if data is None or len(data) < size:
        raise EOFError("the other side closed its end")
    return data


def write_frame(stream: IO[bytes], payload: Any) -> None:
    """One payload."""
    stream.write(_FRAME.pack(len(payload)))
    stream.write(payload)


def described(part: np.ndarray) -> tuple[dict[str, Any], bytes]:
    """An array as a JSON description and its bytes; what is not numbers goes as text, tagged with its type."""
    if part.dtype.kind in "biuf":
        little = np.ascontiguousarray(part).astype(part.dtype.newbyteorder("<"), copy=False)
        return {"dtype": little.dtype.str, "shape": list(part.shape)}, little.tobytes()
    cells = [tagged(v) for v in part.ravel().tolist()]
    return {"dtype": "O", "was": part.dtype.str, "shape": list(part.shape)}, json.dumps(cells).encode()


def tagged(value: Any) -> Any:
    """A scalar that JSON brings back exactly: floats in hex, what is no plain scalar as its text."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return {"i": str(value)}
    if isinstance(value, float):
        return {"f": value.hex()}
    return {"r": repr(value)}


def serve(receive: IO[bytes], send: IO[bytes]) -> None:
    """Answer messages until the other side closes."""
    model: Any = None
    while True:
        try:
            message = pickle.loads(read_frame(receive))
        except EOFError:
            return
        blobs: list[bytes] = []
        if message[0] == "load":
            _, data, path, select, span, answers = message
            if path is not None:
                with open(path, "rb") as file:
                    data = file.read()
            if answers is None:
                model = cut(load(data, select), span)
            else:
                model = beside("onnx_file").opened(unwrapped(data), *answers)
            single_job(model)
            reply: dict[str, Any] = {"versions": versions(), "class": type(model).__name__}
        elif message[0] == "answer":
            reply, blobs = reply_to_rows(model, *message[1:])
        elif message[0] == "profile":
            reply = {"profile": profiled(model, *message[1:])}
        elif message[0] == "convert":
            reply, blob = beside("converting").convert(everything(model), message[1])
            blobs = [blob]
        elif message[0] == "rate":
            reply = {"rows_per_s": rate(model, *message[1:])}
        else:
            reply = timings(model, *message[1:])
        write_frame(send, json.dumps({"reply": reply, "blobs": len(blobs)}).encode())
        for blob in blobs:
            write_frame(send, blob)
        send.flush()


def reply_to_rows(model: Any, methods: list[str], shape: str, columns: list[Any]) -> tuple[Any, list[bytes]]:
    """Every method's answer to the rows, or why they are refused."""
    answers, blobs = {}, []
    try:
        rows = argument(shape, columns)
        for method in methods:
            parts = [described(part) for part in answer(model, method, rows)]
            answers[method] = [description for description, _ in parts]
            blobs += [data for _, data in parts]
    except ROW_ERRORS as error:
        return {"refused": f"{type(error).__name__}: {error}"[:2000]}, []
    return {"answers": answers}, blobs


def argument(shape: str, columns: list[Any]) -> Any:
    """What the original is called with: a frame, an array, or the documents of a text model."""
    if shape == "frame":
        return as_frame(columns)
    return as_array(columns) if shape == "array" else list(columns[0][3])


def main() -> None:
    """Serve on the standard streams, of which a model that prints gets none."""
    own = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != own]
    if "SLIMML_WORKER_PATH" in os.environ:
        sys.path.insert(0, os.environ["SLIMML_WORKER_PATH"])
    send = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, send)


if __name__ == "__main__":
    main()
