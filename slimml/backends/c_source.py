"""C of a Treelite checkpoint, by TL2cgen: one source file, a row of plain numbers in, NaN for missing.

TL2cgen's own entry is a union of a number and a flag for missing, so that a double whose low half is all ones (the
neighbour of a float32 cut is one) is taken for missing. Here a row is an array of numbers, and missing is NaN.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from slimml._optional import require
from slimml.errors import InternalError, NoBackendError
from slimml.ir.graph import Graph
from slimml.ir.node import Node
from slimml.ir.ops.models import Forest

# gcc 12 -O0 at 9 k and 81 k nodes: 0.3 to 0.5 ms and 22 kB of memory a node, in one function.
_SECONDS, _BYTES = 0.5e-3, 22_000
_MOST_SECONDS, _MOST_BYTES = 120.0, 8 << 30
_FLAGS = ("-O0", "-shared", "-fPIC", "-std=c99", "-ffp-contract=off")
_GENERATE = """
import sys, tl2cgen, treelite
tl2cgen.generate_c_code(treelite.Model.deserialize(sys.argv[1]), sys.argv[2], {})
"""
_ENTRY = re.compile(r"union Entry \{.*?\};\n", re.DOTALL)


def cost_of_c(node: Node) -> str | None:
    """Why the C of a forest would be out of proportion, with figures, or None."""
    nodes = _nodes(node)
    if nodes * _SECONDS <= _MOST_SECONDS and nodes * _BYTES <= _MOST_BYTES:
        return None
    return (
        f"compiling C of its {nodes:,} nodes would take about {nodes * _SECONDS / 60:.0f} minutes and "
        f"{nodes * _BYTES / 1e9:.0f} GB without optimization; .tl and .onnx hold it"
    )


def _nodes(node: Node) -> int:
    while not isinstance(node, Forest):
        node = node.inputs[0]
    return node.trees.nodes


def c_source(checkpoint: bytes, graph: Graph) -> bytes:
    """One C99 file. Raises InternalError where TL2cgen writes what is not known."""
    require("tl2cgen", "treelite")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.tl").write_bytes(checkpoint)
        # In a process of its own: its library prints what it likes, and takes what memory it likes.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", _GENERATE, str(Path(folder, "model.tl")), folder]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise NoBackendError(f"TL2cgen failed: {last}", hint="Write a .tl or .onnx file.")
        header, main = (Path(folder, name).read_text(encoding="utf-8") for name in ("header.h", "main.c"))
    number = re.search(r"(double|float) fvalue;", header)
    if number is None or '#include "header.h"' not in main:
        raise InternalError("TL2cgen wrote a header that slimml does not know")
    text = main.replace('#include "header.h"', _ENTRY.sub("", header))
    text = text.replace("union Entry* data", f"const {number[1]}* data")
    text = re.sub(r"data\[(\d+)\]\.missing != -1", r"data[\1] == data[\1]", text)
    text = re.sub(r"data\[(\d+)\]\.missing == -1", r"data[\1] != data[\1]", text)
    text = re.sub(r"data\[(\d+)\]\.fvalue", r"data[\1]", text)
    if "Entry" in text or ".missing" in text or ".qvalue" in text:
        raise InternalError("TL2cgen wrote a test that slimml does not know")
    return (_head(graph, number[1]) + text.strip() + "\n" + _tail(graph, number[1])).encode()


def _head(graph: Graph, number: str) -> str:
    from slimml.backends.treelite_export import categories

    codes = {c.number: c.listed() for c in categories(graph)}
    columns = "".join(f" *   row[{i}] {_plain(n)}{_coded(codes.get(i))}\n" for i, n in enumerate(graph.schema.names))
    return (
        "/* A forest, by slimml and TL2cgen. Compile with -ffp-contract=off, never with -ffast-math; link with -lm.\n"
        f" *\n * slimml_predict(row, result): numbers are {number}, NaN is missing.\n{columns} */\n"
    )


def _coded(table: list[object] | None) -> str:
    if table is None:
        return ""
    return (
        "".join(f"\n *     {i}  {_plain(repr(v))}" for i, v in enumerate(table)) + f"\n *     {len(table)}  any other"
    )


def _plain(name: str) -> str:
    return "".join(c if c.isprintable() and c not in "*/\\" else "_" for c in name)[:80]


def _tail(graph: Graph, number: str) -> str:
    from slimml.backends.treelite_export import answered_node

    width = answered_node(graph).type.width
    return (
        f"\nvoid slimml_predict(const {number}* row, {number}* result) {{\n"
        f"  for (int i = 0; i < {width}; ++i) result[i] = 0;\n  predict(row, 0, result);\n}}\n"
    )


def compiled(source: bytes, columns: int, node: Node) -> tuple[Callable[[np.ndarray], np.ndarray] | None, str]:
    """What the source answers, compiled on the spot; or why it could not be."""
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if compiler is None:
        return None, "there is no C compiler here (cc, or what CC names)"
    dtype, width = np.dtype(node.type.dtype), node.type.width
    number = "float" if dtype == np.float32 else "double"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.c").write_bytes(source)
        # The very file, and a loop around its entry.
        Path(folder, "loop.c").write_text(
            f'#include "model.c"\nvoid slimml_rows(const {number}* rows, long count, {number}* out) {{\n'
            f"  for (long i = 0; i < count; ++i) slimml_predict(rows + i * {columns}, out + i * {width});\n}}\n"
        )
        command = [compiler, *_FLAGS, "loop.c", "-o", "loop.so", "-lm"]
        limit = 60 + 10 * _nodes(node) * _SECONDS
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            return None, f"{compiler} did not end within {limit:.0f} s"
        if done.returncode:
            return None, f"{compiler} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
        library = ctypes.CDLL(str(Path(folder, "loop.so")))

    def scores(raw: np.ndarray) -> np.ndarray:
        rows = np.ascontiguousarray(raw, dtype)
        out = np.zeros((len(rows), width), dtype)
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (rows, out)]
        library.slimml_rows(pointers[0], ctypes.c_long(len(rows)), pointers[1])
        return out

    return scores, ""
