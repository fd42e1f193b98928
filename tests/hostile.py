"""Rows that are chosen to part a graph from its original, and the answers of both."""

from __future__ import annotations

import pickle
import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from slimml.errors import InputError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.csr import Csr
from slimml.ir.graph import Graph, evaluate
from slimml.ir.node import Node
from slimml.ir.ops.columns import Input
from slimml.ir.ops.ranks import Rank
from slimml.parity.bound import bounds
from slimml.parity.documents import ODD
from slimml.runtime.values import categories, coded
from slimml.schema import NUMBER, TEXT
from tests.zoo import zoo_model

F32_MAX = float(np.finfo(np.float32).max)
# The last double that rounds to the largest float32 and the first that rounds to infinity.
F32_EDGE = np.nextafter(F32_MAX + 2.0**103, 0), F32_MAX + 2.0**103
TAKEN = [np.nan, -0.0, 0.0, 5e-324, 1e-45, F32_MAX, *F32_EDGE, -F32_EDGE[0], 1e150, -1.0, 0.5, 3.0, 255.0, 256.0]
REFUSED = [np.inf, -np.inf, 1e308, -1e308, -F32_EDGE[1]]
WORDS = ["Zürich", "", " Bern", "bern", "nan", "None", "\U0001f600"]


@cache
def zoo_graph(name: str) -> Graph:
    """The fresh graph of a zoo model, by way of its pickle."""
    estimator, _ = zoo_model(name)
    return lower(read(pickle.dumps(estimator, 5)).root)


def hostile_rows(name: str, *, base: int = 12, seed: int = 0) -> Any:
    """Rows as the zoo model takes them: its own, then rows with odd values in one cell and in half of all cells."""
    _, rows = zoo_model(name)
    rng = np.random.default_rng(seed)
    if isinstance(rows, list):
        return _hostile_documents(rows)
    frame = pd.DataFrame(rows) if isinstance(rows, np.ndarray) else rows
    quiet: list[Any] = [frame.iloc[:base]]
    loud: list[Any] = []
    for c in range(frame.shape[1]):
        odd = _odd(frame.iloc[:, c])
        if odd is None:
            continue
        for values, parts in zip(odd, (quiet, loud), strict=True):
            # Every value meets many columns and models; a few of them a column keep the suites short.
            values = [values[i] for i in sorted(rng.permutation(len(values))[: 9 if parts is quiet else 3])]
            if values:
                at = rng.integers(0, len(frame), len(values))
                parts.append(_with(frame.iloc[at], c, values))
    for c, ends in _borders(zoo_graph(name), frame).items():
        near = np.unique(np.concatenate([ends, np.nextafter(ends, np.inf)]))
        near = near if len(near) <= 24 else rng.choice(near, 24, replace=False)
        quiet.append(_with(frame.iloc[rng.integers(0, len(frame), len(near))], c, near.tolist()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = pd.concat([*quiet, _mixed(frame, rng), *loud], ignore_index=True)
    made = made.astype({c: frame[c].dtype for c in frame if frame[c].dtype.kind == "b" or _keeps_dtype(frame[c])})
    return made.to_numpy(dtype=float) if isinstance(rows, np.ndarray) else made


def _hostile_documents(rows: list[str]) -> list[Any]:
    return [
        *rows,
        *ODD[:-1],
        "\ud83d half",
        "x" * 5000,
        b"caf\xc3\xa9 prize",
        b"\xff\xfe",
        None,
        float("nan"),
        5,
        ["a"],
    ]


def _keeps_dtype(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype | pd.StringDtype) or str(column.dtype) in ("Int64", "boolean")


def _odd(column: pd.Series) -> tuple[list[Any], list[Any]] | None:
    """Values that are probably answered, and values that are probably refused."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [*column.cat.categories, np.nan], []
    if str(column.dtype) == "Int64":
        return [pd.NA, -(2**40), 2**31, 0], []
    if isinstance(column.dtype, pd.StringDtype):
        return [*WORDS, *column.dropna().unique()[:3]], [np.nan]
    if column.dtype == object:
        return [*WORDS, None, np.nan, 1, 1.5, True], []
    if column.dtype.kind in "if":
        return TAKEN, REFUSED
    return None


def _with(rows: pd.DataFrame, c: int, values: list[Any]) -> pd.DataFrame:
    name = rows.columns[c]
    dtype = rows[name].dtype
    if _keeps_dtype(rows[name]):
        column = pd.array(values, dtype=dtype)
    elif dtype.kind in "if":
        column = np.array(values, dtype=float)
    else:
        column = np.empty(len(values), dtype=object)
        column[:] = values
    return rows.reset_index(drop=True).assign(**{name: column}) if isinstance(name, str) else _set(rows, c, column)


def _set(rows: pd.DataFrame, c: int, column: Any) -> pd.DataFrame:
    out = rows.reset_index(drop=True).copy()
    out[out.columns[c]] = column
    return out


def _mixed(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    out = frame.iloc[rng.integers(0, len(frame), 12)].reset_index(drop=True)
    for c in range(frame.shape[1]):
        odd = _odd(frame.iloc[:, c])
        if odd is not None:
            picks = [odd[0][i] for i in rng.integers(0, len(odd[0]), len(out))]
            swap = _with(out, c, picks).iloc[:, c]
            keep = rng.random(len(out)) < 0.5
            mixed = [a if k else b for a, b, k in zip(out.iloc[:, c], swap, keep, strict=True)]
            out = _with(out, c, mixed)
    return out


def _borders(graph: Graph, frame: pd.DataFrame) -> dict[int, np.ndarray]:
    """For each number column, the floats after which some Rank of the graph changes (one per gap between its values).

    Found by bisection over the ordered floats; if the original turns elsewhere, one of the two neighbours shows it.
    """
    ends = [n for n in graph.nodes() if isinstance(n, Rank)]
    found: dict[int, np.ndarray] = {}
    columns = {c for n in graph.inputs() if n.kind == NUMBER for c in n.columns} if ends else set()
    one = input_blocks(graph, frame.iloc[[0]])
    for c in sorted(columns):
        series = pd.to_numeric(frame.iloc[:, c]).astype("float64").to_numpy()
        grid = np.unique(np.append(series[np.isfinite(series)], [-1e6, 0.0, 1e6]))
        low, high = grid[:-1], grid[1:]

        def ranks(x: np.ndarray, c: int = c) -> np.ndarray:
            blocks = {n: np.repeat(b, len(x), axis=0) for n, b in one.items()}
            for n, b in blocks.items():
                if c in n.columns:
                    b[:, n.columns.index(c)] = x
            values = evaluate(ends, blocks)
            return np.concatenate([values[e] for e in ends], axis=1)

        try:
            differ = (ranks(low) != ranks(high)).any(axis=1)
            low, high = _keys(low[differ]), _keys(high[differ])
            left = ranks(_floats(low)) if len(low) else None
            for _ in range(64 if len(low) else 0):
                middle = low + (high - low) // 2
                same = (ranks(_floats(middle)) == left).all(axis=1)
                low, high = np.where(same, middle, low), np.where(same, high, middle)
        except InputError:
            continue
        if len(low):
            found[c] = _floats(low)
    return found


def _keys(x: np.ndarray) -> np.ndarray:
    bits = np.asarray(x, dtype=np.float64).view(np.int64)
    return np.where(bits < 0, -(bits & np.iinfo(np.int64).max), bits)


def _floats(keys: np.ndarray) -> np.ndarray:
    magnitude = np.abs(keys).view(np.float64)
    return np.where(keys < 0, -magnitude, magnitude)


# ------------------------------------------------------------------------------------------------------------ answers


def input_blocks(graph: Graph, rows: Any) -> dict[Input, np.ndarray]:
    """One block per input node, out of a frame or an array."""
    out: dict[Input, np.ndarray] = {}
    for node in graph.inputs():
        columns = [_column(graph, rows, c) for c in node.columns]
        block = np.empty((len(rows), len(columns)), dtype=float if node.kind == NUMBER else object)
        for i, column in enumerate(columns):
            if node.kind == NUMBER:
                block[:, i] = pd.to_numeric(pd.Series(column)).astype("float64")
            else:
                values = column.tolist() if node.kind == TEXT else categories(column.tolist(), str(i))
                codes = graph.schema.columns[node.columns[i]].codes
                if codes is not None and isinstance(rows, np.ndarray):
                    values = [coded(v, codes, str(i)) for v in values]
                block[:, i] = np.fromiter(values, dtype=object, count=len(rows))
        out[node] = block
    return out


def _column(graph: Graph, rows: Any, c: int) -> Any:
    if isinstance(rows, list):
        return np.fromiter(rows, dtype=object, count=len(rows))
    if isinstance(rows, np.ndarray):
        return rows[:, c]
    return rows[graph.schema.columns[c].name] if graph.schema.named else rows.iloc[:, c]


def original_answer(estimator: Any, method: str, rows: Any) -> Any:
    """The original's blocks, (n, k) each; None where it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            answer = getattr(estimator, method)(rows)
        except (ValueError, TypeError, AttributeError, IndexError):
            return None
    parts = answer if isinstance(answer, list) or getattr(answer, "ndim", 0) == 3 else [answer]
    return [_matrix(p) for p in parts]


def graph_answer(graph: Graph, method: str, rows: Any) -> Any:
    """The graph's blocks, as the original's; None where it raises InputError."""
    blocks = input_blocks(graph, rows)
    values = graph_values(graph, method, blocks)
    return None if values is None else labelled(graph, method, values)


def graph_values(graph: Graph, method: str | None, blocks: dict[Input, np.ndarray]) -> dict[Node, Any] | None:
    """The values of all nodes that a method needs, or all methods; None where it raises InputError."""
    outputs = graph.outputs if method is None else [graph.output(method)]
    try:
        return evaluate([n for o in outputs for n in o.nodes], blocks)
    except InputError:
        return None


def labelled(graph: Graph, method: str, values: dict[Node, Any]) -> list[np.ndarray]:
    """A method's answer out of the values of its nodes."""
    output = graph.output(method)
    parts = [_matrix(values[n]) for n in output.nodes]
    if output.labels:
        parts = [np.stack([t[parts[0][:, i]] for i, t in enumerate(output.labels)], axis=1)]
    return parts


def limits(graph: Graph, method: str, rows: Any) -> list[np.ndarray | None]:
    """How far rounding may carry each block of an answer (see slimml.parity.bound); a mask for labels."""
    values = graph_values(graph, method, input_blocks(graph, rows))
    assert values is not None
    return list(bounds(graph, values)[method])


def _matrix(value: Any) -> np.ndarray:
    dense = value.toarray() if isinstance(value, Csr) or hasattr(value, "toarray") else np.asarray(value)
    return dense[:, None] if dense.ndim == 1 else dense


def accepted(answer: Any, rows: Any) -> np.ndarray:
    """Which rows `answer` takes, by halving the batches that it refuses."""
    mask = np.zeros(len(rows), dtype=bool)
    stack = [np.arange(len(rows))]
    while stack:
        at = stack.pop()
        if answer(take(rows, at)) is not None:
            mask[at] = True
        elif len(at) > 1:
            stack += [at[: len(at) // 2], at[len(at) // 2 :]]
    return mask


def take(rows: Any, at: np.ndarray) -> Any:
    """Some rows of a frame, an array or a list."""
    if isinstance(rows, list):
        return [rows[i] for i in at.tolist()]
    return rows.iloc[at] if isinstance(rows, pd.DataFrame) else rows[at]


def same_cells(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cell by cell: floats by their bits (all NaN are one), others as Python compares, with NaN equal to NaN."""
    if a.dtype.kind == "f" and b.dtype.kind in "fiub":
        x, y = (np.ascontiguousarray(v, dtype=np.float64) for v in (a, b))
        return (x.view(np.int64) == y.view(np.int64)) | (np.isnan(x) & np.isnan(y))
    pairs = zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)
    return np.array([x == y or (x != x and y != y) for x, y in pairs], dtype=bool).reshape(a.shape)
