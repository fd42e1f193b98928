"""The nodes of a skops schema to Records and plain values, one function for each loader of skops's protocols.

Nodes are walked in skops's own order, and a node whose `__id__` was met before is that object again, whatever else it
says: so no name escapes the list of imports that skops would come upon (skops/io/_audit.py, `get_tree`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from slimml.errors import CorruptInputError, LimitError
from slimml.ingest import sparse
from slimml.ingest.arrays import count_of
from slimml.ingest.keys import check_keys
from slimml.ingest.machine import Context, Machine
from slimml.ingest.opcodes import set_state
from slimml.ingest.record import Record, Symbol
from slimml.ingest.skops.members import Members
from slimml.ingest.skops.npy import read_npy

Node = dict[str, Any]

# Read by recursion: an object within an object is three nodes, and honest models are ten objects deep.
_DEEPEST = 120
_LONGEST_NUMBER, _MOST_STEPS = 400, 8
_TREE = ("sklearn.tree._tree", "Tree")
_QUANTILE_FOREST = ("quantile_forest._quantile_forest_fast", "QuantileForest")
# Compiled classes whose pickles are `newObj(Class)` and a tuple; skops writes the tuple as the state of the class.
_NEW_OBJ = frozenset(
    [
        *("sklearn.neighbors._kd_tree", "sklearn.neighbors._ball_tree", "sklearn.neighbors._dist_metrics"),
        "sklearn.metrics._dist_metrics",
    ]
)
_SCALARS = {t.__name__: t for t in np.sctypeDict.values() if not issubclass(t, (np.object_, np.void))}
_SPARSE = {"csr": "csr", "csc": "csc", "dia": "dia"}
_OPEN = object()


class Reader(Machine):
    """Reads nodes. What stands in the file is named by its place in the model, not by a byte."""

    def __init__(self, members: Members, context: Context, protocol: int) -> None:
        super().__init__(b"", context)
        self.members, self.protocol = members, protocol
        self.path: list[str] = []
        self._seen: dict[int, Any] = {}
        self._made: dict[tuple[str, str], Any] = {}

    def corrupt(self, what: str) -> CorruptInputError:
        """An error at the current place of the model."""
        return CorruptInputError(what, where=".".join(self.path[-_MOST_STEPS:]))

    def value(self, node: Any, step: str = "") -> Any:
        """What a node stands for. Raises an IngestError."""
        if type(node) is not dict:
            raise self.corrupt("a part of the schema is no node")
        key = node.get("__id__")
        if key is not None and type(key) is not int:
            raise self.corrupt("an object is numbered by something other than a number")
        # skops takes 0 for no number.
        if key and key in self._seen:
            if self._seen[key] is _OPEN:
                raise self.corrupt("an object holds itself, as skops writes none")
            return self._seen[key]
        loader = LOADERS.get(text_of(self, node, "__loader__"))
        if loader is None:
            raise self.corrupt(
                f"skops knows no {node['__loader__'][:60]!r}; the file is damaged or of a later protocol"
            )
        if key:
            self._seen[key] = _OPEN
        self.path.append(step)
        if len(self.path) > _DEEPEST:
            raise LimitError(f"the schema is nested more than {_DEEPEST} objects deep")
        made = loader(self, node)
        self.path.pop()
        if key:
            self._seen[key] = made
        return made

    def values(self, nodes: Any) -> list[Any]:
        """What a list of nodes stands for."""
        if type(nodes) is not list:
            raise self.corrupt("a part of the schema is no list of nodes")
        return [self.value(node, str(i)) for i, node in enumerate(nodes)]

    def named(self, node: Node, role: set[Symbol] | None = None) -> Symbol:
        """The class or function that a node names; it joins those of a role."""
        symbol = self.symbol(text_of(self, node, "__module__"), text_of(self, node, "__class__"))
        if role is not None:
            role.add(symbol)
        return symbol

    def once(self, node: Node, kind: str, make: Callable[[bytes], Any]) -> Any:
        """What is made of the member that a node names; once for each, however many nodes name it."""
        name = text_of(self, node, "file")
        if (kind, name) not in self._made:
            self._made[kind, name] = make(self.members.read(name))
        return self._made[kind, name]


def text_of(reader: Reader, node: Node, key: str) -> str:
    """A text of a node."""
    value = node.get(key)
    if type(value) is not str:
        raise reader.corrupt(f"a node of the schema has no {key}")
    return value


def _is(node: Node, module: str, *names: str) -> bool:
    return node.get("__module__") == module and node.get("__class__") in names


def _content(reader: Reader, node: Node, *keys: str) -> list[Any]:
    """The values of the nodes in `content`, by key."""
    content = node.get("content")
    if type(content) is not dict or not content.keys() >= set(keys):
        raise reader.corrupt(f"a {node.get('__loader__')} does not hold {', '.join(keys)}")
    return [reader.value(content[key], key) for key in keys]


# ------------------------------------------------------------------------------------------------- values, containers


def _json(reader: Reader, node: Node) -> Any:
    text = text_of(reader, node, "content")
    if text[:1] == '"':
        return _parsed(reader, text)
    if text[:1] in ("{", "[") or len(text) > _LONGEST_NUMBER:
        raise reader.corrupt("a JSON value is neither a text nor a number")
    return _parsed(reader, text)


def _parsed(reader: Reader, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise reader.corrupt("a JSON value is damaged") from None


def _dict(reader: Reader, node: Node) -> Any:
    kinds, content = reader.value(node.get("key_types"), "key_types"), node.get("content")
    if type(kinds) is not list or type(content) is not dict or len(kinds) != len(content):
        raise reader.corrupt("a dict does not have a type for each of its keys")
    keys = [_key(reader, kind, text) for kind, text in zip(kinds, content, strict=True)]
    check_keys(reader, keys, 0)
    pairs = list(zip(keys, [reader.value(v, k) for k, v in content.items()], strict=True))
    if _is(node, "builtins", "dict") or _is(node, "collections", "OrderedDict"):
        return dict(pairs)
    symbol = reader.named(node, reader.context.classes)
    return Record(symbol.module, symbol.name, pairs=pairs)


def _key(reader: Reader, kind: Any, text: str) -> Any:
    """A key, which JSON made a text, as the type that it was."""
    module, name = (kind.module, kind.name) if type(kind) is Symbol else ("", "")
    if (module, name) == ("builtins", "str"):
        return text
    try:
        if module == "builtins" and name in ("int", "float"):
            return int(text) if name == "int" else float(text)
        if (module == "builtins" and name == "bool") or (module == "numpy" and name in ("bool", "bool_")):
            return {"true": True, "false": False}[text]
        if module == "numpy" and name in _SCALARS:
            scalar = _SCALARS[name]
            return scalar(int(text)) if issubclass(scalar, np.integer) else scalar(text)
    except (ValueError, KeyError, OverflowError):
        raise reader.corrupt(f"a key of a dict is no {name}") from None
    raise reader.corrupt(f"a dict has keys of the type {module}.{name}, which skops does not bring back")


def _default_dict(reader: Reader, node: Node) -> Any:
    # The factory is never called: what the model holds, it holds.
    return _content(reader, node, "main", "default_factory")[0]


def _renaming_dict(reader: Reader, node: Node) -> Any:
    return _content(reader, node, "main", "_deprecated_key_to_new_key")[0]


def _list(reader: Reader, node: Node) -> Any:
    items = reader.values(node.get("content"))
    if _is(node, "builtins", "list"):
        return items
    symbol = reader.named(node, reader.context.classes)
    return Record(symbol.module, symbol.name, items=items)


def _tuple(reader: Reader, node: Node) -> Any:
    items = tuple(reader.values(node.get("content")))
    if _is(node, "builtins", "tuple"):
        return items
    symbol = reader.named(node, reader.context.classes)
    return Record(symbol.module, symbol.name, items)


def _set(reader: Reader, node: Node) -> Any:
    items = reader.values(node.get("content"))
    if not _is(node, "builtins", "set"):
        symbol = reader.named(node, reader.context.classes)
        return Record(symbol.module, symbol.name, (items,))
    check_keys(reader, items, 0)
    return set(items)


def _slice(reader: Reader, node: Node) -> slice:
    content = node.get("content")
    parts = [content.get(k) for k in ("start", "stop", "step")] if type(content) is dict else [()]
    if not all(type(p) in (int, type(None), str) for p in parts):
        raise reader.corrupt("a slice is not made of three numbers")
    return slice(*parts)


# ------------------------------------------------------------------------------------------------------------- arrays


def _array(reader: Reader, node: Node) -> Any:
    if node.get("type") == "json":
        return _objects(reader, node)
    if node.get("type") != "numpy":
        raise reader.corrupt("an array is stored in a way that is not known")
    array = reader.once(node, "npy", lambda content: read_npy(reader, content))
    if _is(node, "numpy", "ndarray"):
        return array
    if _is(node, "numpy", *_SCALARS):
        if array.shape != ():
            raise reader.corrupt("a numpy scalar is an array")
        return array[()]
    # skops calls this name with the array. A subclass of arrays is its numbers here.
    reader.named(node, reader.context.called)
    return array


def _objects(reader: Reader, node: Node) -> np.ndarray:
    items, shape = reader.values(node.get("content")), reader.value(node.get("shape"), "shape")
    count = count_of(reader, shape)
    for extent in shape[1:] if shape else ():
        if not all(type(item) is list and len(item) == extent for item in items):
            raise reader.corrupt("an array of objects contradicts its shape")
        items = [cell for item in items for cell in item]
    if not shape or len(items) != count:
        raise reader.corrupt("an array of objects does not hold as many as its shape says")
    if not _is(node, "numpy", "ndarray"):
        reader.named(node, reader.context.called)
    flat = np.fromiter(items, dtype=object, count=count).reshape(shape)
    flat.flags.writeable = False
    return flat


def _masked_array(reader: Reader, node: Node) -> Record:
    symbol = reader.symbol("numpy.ma", "MaskedArray")
    return Record(symbol.module, symbol.name, tuple(_content(reader, node, "data", "mask")))


def _dtype(reader: Reader, node: Node) -> Any:
    empty = reader.value(node.get("content"), "content")
    if type(empty) is not np.ndarray:
        raise reader.corrupt("a dtype is not that of an array")
    return empty.dtype


def _sparse(reader: Reader, node: Node) -> Any:
    if node.get("type") != "scipy":
        raise reader.corrupt("a sparse matrix is stored in a way that is not known")
    return reader.once(node, "npz", lambda content: _matrix(reader, content))


def _matrix(reader: Reader, content: bytes) -> Any:
    """The matrix that scipy.sparse.save_npz wrote."""
    parts = Members(content, reader.limits, reader.members.spent)
    reader.members.spent = parts.spent

    def part(name: str) -> Any:
        return read_npy(reader, parts.read(f"{name}.npy")) if f"{name}.npy" in parts else None

    said, shape, is_array = part("format"), part("shape"), part("_is_array")
    if said is None or said.shape != () or said.dtype.kind not in "SU" or shape is None or shape.shape != (2,):
        raise reader.corrupt("a sparse matrix has no layout or no shape")
    layout = said[()].decode("latin-1") if said.dtype.kind == "S" else str(said[()])
    if layout not in _SPARSE:
        raise reader.corrupt(f"a sparse matrix has the layout {layout[:20]!r}, which models do not keep")
    state = {name: part(name) for name in ("data", "indices", "indptr", "offsets")}
    kind = "array" if is_array is not None and is_array.dtype.kind == "b" and is_array.all() else "matrix"
    return sparse.finish(reader, f"{layout}_{kind}", {"_shape": tuple(shape.tolist()), **state})


def _bytes(reader: Reader, node: Node) -> Any:
    return reader.once(node, "bytes", lambda content: content)


def _bytearray(reader: Reader, node: Node) -> Any:
    return reader.once(node, "bytearray", bytearray)


# ------------------------------------------------------------------------------------------------------------ objects


def _object(reader: Reader, node: Node) -> Any:
    content = node.get("content")
    if node.get("__module__") in _NEW_OBJ:
        symbol = reader.named(node)
        maker = reader.symbol(symbol.module, "newObj")
        reader.context.called.add(maker)
        return Record(maker.module, maker.name, (symbol,), state=reader.value(content, "state"))
    symbol = reader.named(node, reader.context.classes)
    record = Record(symbol.module, symbol.name)
    if content is not None:
        _set_state(reader, record, content)
    return record


def _set_state(reader: Reader, record: Record, content: Any) -> None:
    state = reader.value(content, record.name)
    if state is not None:
        set_state(record, state)


def _reduced(reader: Reader, node: Node) -> Any:
    """An object made by calling its class; in skops's order the state comes before the arguments."""
    symbol = reader.named(node, reader.context.called)
    record = Record(symbol.module, symbol.name)
    reduced = node.get("__reduce__")
    if type(reduced) is not dict:
        raise reader.corrupt(f"the making of {symbol.path} is not told")
    _set_state(reader, record, node.get("content"))
    record.args = _arguments(reader, reduced.get("args"))
    return record


def _arguments(reader: Reader, node: Any) -> tuple[Any, ...]:
    arguments = reader.value(node, "args")
    if type(arguments) is not tuple:
        raise reader.corrupt("a call's arguments are not a tuple")
    return arguments


def _tree(reader: Reader, node: Node) -> Any:
    # Whatever the node says, skops makes a Tree of it.
    if not _is(node, *_TREE):
        raise reader.corrupt("a tree says that it is something else")
    return _reduced(reader, node)


def _quantile_forest(reader: Reader, node: Node) -> Any:
    if not _is(node, *_QUANTILE_FOREST):
        raise reader.corrupt("a forest of quantiles says that it is something else")
    return _reduced(reader, node)


def _constructed(reader: Reader, node: Node) -> Any:
    symbol = reader.named(node, reader.context.called)
    arguments = _arguments(reader, node.get("content"))
    if symbol.path == "builtins.frozenset" and len(arguments) == 1 and type(arguments[0]) in (list, tuple):
        check_keys(reader, arguments[0], 0)
        return frozenset(arguments[0])
    return Record(symbol.module, symbol.name, arguments)


def _function(reader: Reader, node: Node) -> Symbol:
    content = node.get("content")
    if reader.protocol > 0 or type(content) is not dict:
        return reader.named(node)
    return reader.symbol(content.get("module_path"), content.get("function"))


def _method(reader: Reader, node: Node) -> Record:
    content = node.get("content")
    if type(content) is not dict or type(content.get("func")) is not str:
        raise reader.corrupt("a method has no name")
    owner = reader.value(content.get("obj"), "obj")
    symbol = reader.symbol(f"{node.get('__module__')}.{node.get('__class__')}", content["func"])
    reader.context.called.add(symbol)
    return Record(symbol.module, symbol.name, (owner,))


def _partial(reader: Reader, node: Node) -> Record:
    # As a pickle has it: made of the function, then told everything (slimml.ingest.excused knows this form).
    symbol = reader.symbol("functools", "partial")
    reader.context.called.add(symbol)
    function, arguments, options, namespace = _content(reader, node, "func", "args", "kwds", "namespace")
    return Record(symbol.module, symbol.name, (function,), state=(function, arguments, options, namespace))


def _operator(reader: Reader, node: Node) -> Record:
    symbol = reader.named(node, reader.context.called)
    if symbol.module != "operator":
        raise reader.corrupt("a function of the operator module is of another one")
    return Record(symbol.module, symbol.name, _arguments(reader, node.get("attrs")))


def _random_state(reader: Reader, node: Node) -> Record:
    """No prediction reads it; its content is walked for the names in it alone."""
    symbol = reader.named(node, reader.context.classes)
    reader.value(node.get("content"), "content")
    return Record(symbol.module, symbol.name)


def _random_generator(reader: Reader, node: Node) -> Record:
    symbol, content = reader.named(node, reader.context.classes), node.get("content")
    if type(content) is not dict or type(state := content.get("bit_generator")) is not dict:
        raise reader.corrupt("a random generator has no state")
    if reader.protocol > 0:
        state = reader.value(state, "bit_generator")
    if reader.protocol > 1:
        reader.value(content.get("seed_seq"), "seed_seq")
    # skops calls the class of numpy.random that this text names.
    made = reader.symbol("numpy.random", state.get("bit_generator") if type(state) is dict else None)
    reader.context.called.add(made)
    return Record(symbol.module, symbol.name)


def _cached(reader: Reader, node: Node) -> Any:
    raise reader.corrupt("an object is referred to before it is told")


LOADERS: dict[str, Callable[[Reader, Node], Any]] = {
    "BytearrayNode": _bytearray,
    "BytesNode": _bytes,
    "CachedNode": _cached,
    "ConstructorFromReduceNode": _constructed,
    "DTypeNode": _dtype,
    "DefaultDictNode": _default_dict,
    "DictNode": _dict,
    "FunctionNode": _function,
    "JsonNode": _json,
    "ListNode": _list,
    "LossNode": _reduced,
    "MaskedArrayNode": _masked_array,
    "MethodNode": _method,
    "NdArrayNode": _array,
    "ObjectNode": _object,
    "OperatorFuncNode": _operator,
    "PartialNode": _partial,
    "QuantileForestNode": _quantile_forest,
    "RandomGeneratorNode": _random_generator,
    "RandomStateNode": _random_state,
    "SetNode": _set,
    "SliceNode": _slice,
    "SparseMatrixNode": _sparse,
    "TreeNode": _tree,
    "TupleNode": _tuple,
    "TypeNode": lambda reader, node: reader.named(node),
    "_DictWithDeprecatedKeysNode": _renaming_dict,
}
