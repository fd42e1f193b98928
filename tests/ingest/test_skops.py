"""Files of skops give the Records that a pickle gives; hostile ones end in an error, and nothing runs."""

from __future__ import annotations

import collections
import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from slimml.driver import shrink
from slimml.errors import CorruptInputError, IngestError, LimitError, UntrustedError
from slimml.frontends.lowerer import lower
from slimml.ingest.limits import Limits
from slimml.ingest.names import is_harmless
from slimml.ingest.read import read
from slimml.ingest.scan import scan
from slimml.ir.text import fingerprint
from tests.ingest.test_round_trip import same
from tests.zoo import ZOO, zoo_model

# One of each kind of state that skops writes in a way of its own: trees, losses, k-d trees, vocabularies, sparse
# matrices, bit generators, partial functions, boosters, arrays of objects.
_TELLING = [
    *("boosting/three", "hist/three", "hist/category-names", "text/table-logistic", "xgboost/categories"),
    *("lightgbm/pandas-categories", "knn/tree", "sgd/sparse", "select/generic", "target/three", "mlp/binary"),
]


def _schema(raw: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        schema: dict[str, Any] = json.loads(archive.read("schema.json"))
    return schema


def _archive(schema: Any, members: dict[str, bytes] | None = None, method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in (members or {}).items():
            archive.writestr(name, content)
        archive.writestr("schema.json", schema if isinstance(schema, bytes) else json.dumps(schema))
    return out.getvalue()


def _node(loader: str, path: str = "builtins.str", **more: Any) -> dict[str, Any]:
    module, _, name = path.rpartition(".")
    return {"__loader__": loader, "__module__": module, "__class__": name, **more}


def _json(value: Any) -> dict[str, Any]:
    return _node("JsonNode", content=json.dumps(value))


def _list(*nodes: Any) -> dict[str, Any]:
    return _node("ListNode", "builtins.list", content=list(nodes))


def _tuple(*nodes: Any) -> dict[str, Any]:
    return _node("TupleNode", "builtins.tuple", content=list(nodes))


def _file(node: dict[str, Any], protocol: Any = 2, **members: bytes) -> bytes:
    return _archive({**node, "protocol": protocol}, {name.replace("_npy", ".npy"): b for name, b in members.items()})


def _npy(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin-1")
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version[0] == 1 else 4, "little") + text + content


def _array(npy: bytes, path: str = "numpy.ndarray") -> bytes:
    return _file(_node("NdArrayNode", path, type="numpy", file="a.npy"), a_npy=npy)


# ------------------------------------------------------------------------------------------------------------- honest


@pytest.mark.parametrize("name", [m.name for m in ZOO if m.name in _TELLING])
def test_a_model_means_what_its_pickle_means(name: str) -> None:
    estimator, _ = zoo_model(name)
    pickled = read(pickle.dumps(estimator, 5))
    ingested = read(skops.io.dumps(estimator, compression=zipfile.ZIP_DEFLATED))
    assert fingerprint(lower(ingested.root)) == fingerprint(lower(pickled.root))
    assert ingested.versions == pickled.versions
    assert set(is_harmless(ingested.imports)) <= set(is_harmless(pickled.imports))
    assert ingested.format == f"skops protocol 2 ({skops.__version__})"


def _function(x: Any, axis: int = 0) -> Any:
    return x, axis


_TABLE = np.zeros(3, dtype=[("a", "<i8"), ("b", "<f4", (2,)), ("c", "u1")])
_VALUES: list[Any] = [
    *(None, True, 3, -(2**80), 0.1, float("inf"), "text", "\ud83d"),
    *([1, [2, "x"]], (1, ()), {1, 2}, {"a": 1, "b": {"c": None}}, {1: "a", 2: "b"}, {0.5: 1}, {True: 1, False: 2}),
    *(frozenset([1]), b"bytes", bytearray(b"more"), slice(1, None, 2)),
    collections.OrderedDict(a=1),
]


@pytest.mark.parametrize("value", _VALUES, ids=[repr(v)[:20] for v in _VALUES])
def test_plain_values_come_back(value: Any) -> None:
    expected = dict(value) if isinstance(value, dict) else value
    assert same(read(skops.io.dumps(value)).root, expected)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(3, dtype=">i4"),
        np.zeros((0, 4)),
        np.array(["a", "bcd"]),
        np.array(["2026-01-01"], dtype="M8[D]"),
        _TABLE,
        np.zeros(2, dtype=np.dtype([("a", "i1"), ("b", "f8")], align=True)),
        np.array([1, "a", None], dtype=object),
        np.array([["a", 1], [None, 2.5]], dtype=object),
        np.float32(0.1),
        np.str_("x"),
        np.bool_(True),
    ],
    ids=lambda a: str(a.dtype)[:20],
)
def test_arrays_and_scalars_come_back(array: Any) -> None:
    made = read(skops.io.dumps({"x": array})).root["x"]
    assert type(made) is type(array)
    assert (made.dtype, made.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(made, array)


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_array", "dia_matrix"])
def test_sparse_matrices_come_back(kind: str) -> None:
    matrix = getattr(sparse, kind)(sparse.diags([1.0, 2.0, 3.0]))
    made = read(skops.io.dumps([matrix])).root[0]
    assert type(made) is type(matrix)
    np.testing.assert_array_equal(made.toarray(), matrix.toarray())


def test_other_objects_are_inert() -> None:
    held = {
        "partial": partial(_function, 1, axis=2),
        "random": [np.random.RandomState(0), np.random.default_rng(0)],
        "masked": np.ma.MaskedArray([1.0, 2.0], [True, False]),
        "dtype": np.dtype("<i4"),
        "ufunc": np.log1p,
        "type": np.float64,
        "default": collections.defaultdict(list, a=[1]),
        "numpy keys": {np.int64(3): 1},
    }
    root = read(skops.io.dumps(held)).root
    assert (root["partial"].path, root["partial"].state[1:3]) == ("functools.partial", ((1,), {"axis": 2}))
    assert [r.name for r in root["random"]] == ["RandomState", "Generator"]
    assert root["masked"].args[0].tolist() == [1.0, 2.0]
    assert root["dtype"] == np.dtype("<i4")
    assert (root["ufunc"].name, root["type"].path) == ("log1p", "numpy.float64")
    assert root["default"] == {"a": [1]}
    assert root["numpy keys"] == {np.int64(3): 1}
    assert type(next(iter(root["numpy keys"]))) is np.int64


def test_objects_that_come_twice_are_one() -> None:
    shared = np.arange(3.0)
    first, second = read(skops.io.dumps([shared, shared])).root
    assert first is second


def test_protocol_0_names_functions_elsewhere() -> None:
    old = _node("FunctionNode", "x.y", content={"module_path": "numpy", "function": "log1p"})
    assert read(_file(old, 0)).root.path == "numpy.log1p"


def test_an_old_file_of_the_wild_is_read(shared: Path) -> None:
    ingested = read(shared / "wild" / "tobiarnold__german-credit-risk" / "model.skops")
    assert (ingested.format, ingested.versions) == ("skops protocol 1 (0.9.0)", {"scikit-learn": "1.1.2"})
    assert is_harmless(ingested.imports) == []
    assert lower(ingested.root).output("predict_proba").nodes[0].type.width == 2


def test_the_original_answers_for_its_file(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    path = tmp_path / "model.pkl"  # the format is told from the content
    path.write_bytes(skops.io.dumps(LogisticRegression().fit(rows, rows[:, 0] > 0)))
    result = shrink(path, backend="portable")
    assert result.reference.how == "process"
    assert result.source.format.startswith("skops protocol 2")


# ------------------------------------------------------------------------------------------------------------- hostile


@pytest.mark.parametrize(
    "attack",
    [
        _node("ConstructorFromReduceNode", "os.system", content=_tuple(_json("true"))),
        _node("FunctionNode", "builtins.eval"),
        _node("TypeNode", "subprocess.Popen"),
        _node("ObjectNode", "os.system"),
        _node("LossNode", "os.system", content=_json(None), __reduce__={"args": _tuple()}),
        _node("OperatorFuncNode", "operator.methodcaller", attrs=_tuple(_json("system"))),
        _node("NdArrayNode", "pandas.read_pickle", type="json", content=[_json(1)], shape=_tuple(_json(1))),
        _node("ListNode", "os.popen", content=[]),
        _node("RandomStateNode", "numpy.random.RandomState", content=_node("FunctionNode", "posix.system")),
    ],
    ids=lambda n: n["__loader__"],
)
def test_names_that_act_are_refused_wherever_they_stand(attack: dict[str, Any]) -> None:
    for node in (attack, _list(_json(1), attack)):
        with pytest.raises(UntrustedError):
            read(_file(node))
        assert scan(_file(node)).verdict == "dangerous"


def test_what_a_random_generator_would_be_made_of_is_listed() -> None:
    def named(name: str) -> list[str]:
        state = {"bit_generator": _json(name)}
        kinds = _list(_node("TypeNode", "builtins.str"))
        content = {"bit_generator": _node("DictNode", "builtins.dict", content=state, key_types=kinds)}
        node = _node("RandomGeneratorNode", "numpy.random._generator.Generator", content=content)
        return is_harmless(read(_file(node, 1)).imports)

    assert named("PCG64") == []
    assert named("seed") == ["numpy.random.seed"]


def test_a_method_is_listed_with_its_class() -> None:
    owner = _node("ObjectNode", "mine.Thing")
    report = scan(_file(_node("MethodNode", "mine.Thing", content={"func": "run", "obj": owner})))
    assert {i.path: i.verdict for i in report.imports} == {"mine.Thing.run": "unknown", "mine.Thing": "unknown"}
    assert (report.complete, report.format) == (True, "skops protocol 2")


def test_an_object_that_was_met_is_not_read_again() -> None:
    """As in skops: what a later node with the same number says is nothing that would be imported."""
    first, second = {**_json(1), "__id__": 7}, {**_node("FunctionNode", "os.system"), "__id__": 7}
    ingested = read(_file(_list(first, second, {**_node("CachedNode"), "__id__": 7})))
    assert ingested.root == [1, 1, 1]
    assert not ingested.imports


def _deep(levels: int) -> dict[str, Any]:
    node: dict[str, Any] = _json(1)
    for _ in range(levels):
        node = _list(node)
    return node


_F8 = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s,), }"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (_file(_json(1), 3), "protocol 3"),
        (_file(_json(1), True), "protocol True"),
        (_archive({"__loader__": "JsonNode"}), "protocol None"),
        (_archive({"a": 1}), "not that of skops"),
        (_archive(b"[]"), "not that of skops"),
        (_archive(b"{"), "breaks off"),
        (_archive(b"[" * 5000), "levels deep"),
        (_file(_deep(130)), "objects deep"),
        (_file(_node("EvilNode")), "EvilNode"),
        (_file({**_list({**_node("CachedNode"), "__id__": 9}), "__id__": 9}), "holds itself"),
        (_file(_list({**_node("CachedNode"), "__id__": 8})), "before it is told"),
        (_file({**_json(1), "__id__": [1]}), "numbered"),
        (_file(_node("JsonNode", content="[" * 9999)), "neither a text nor a number"),
        (_file(_node("JsonNode", content="9" * 9999)), "neither a text nor a number"),
        (_file(_node("JsonNode", content='"')), "damaged"),
        (_file(_node("ObjectNode", "x.é")), "not a plain name"),
        (_file(_node("TreeNode", "mine.Tree", content=_json(None), __reduce__={"args": _tuple()})), "something else"),
        (
            _file(
                _node(
                    "DictNode",
                    "builtins.dict",
                    content={"true": _json(1)},
                    key_types=_list(_node("TypeNode", "mine.Key")),
                )
            ),
            "keys of the type mine.Key",
        ),
        (_file(_node("NdArrayNode", "numpy.ndarray", type="numpy", file="no.npy")), "no 'no.npy'"),
        (_array(b"PK\x03\x04"), "numpy's format"),
        (_array(_npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"cos\nsystem\n.")), "objects"),
        (_array(_npy(_F8 % 10**17, b"12345678")), "bytes of content"),
        (_array(_npy(_F8 % "99999999999, 99999999999", b"12345678")), "bytes of content"),
        (_array(_npy(_F8 % "-1")), "plain description"),
        (_array(_npy("__import__('os')")), "plain description"),
        (_array(_npy("(" * 200)), "plain description"),
        (_array(_npy("{'descr': '<f8'}")), "does not describe"),
        (_array(_npy(" " * 20000, version=b"\x02\x00")), "20000 bytes"),
        (_array(_npy("{'descr': '|V99999999999', 'fortran_order': False, 'shape': (), }")), "dtype"),
        (_array(np.lib.format.magic(1, 0) + b"\xff\xff"), "65535 bytes"),
        (_array(_npy(_F8 % 1, b"12345678"), "numpy.float64"), "scalar is an array"),
    ],
)
def test_damage_is_named(content: bytes, named: str) -> None:
    with pytest.raises(IngestError, match=named):
        read(content)
    assert not scan(content).complete


def test_names_that_lead_out_and_names_that_come_twice_are_refused() -> None:
    with pytest.raises(CorruptInputError, match="leads out"):
        read(_archive({**_json(1), "protocol": 2}, {"../x.npy": b""}))
    with pytest.raises(CorruptInputError, match="twice"):
        read(_archive({**_json(1), "protocol": 2}, {"schema.json": b"{}"}))


def test_bombs_are_stopped_over_all_members() -> None:
    many = {f"{i}.bin": bytes(12 << 20) for i in range(4)}
    nodes = [_node("BytesNode", "builtins.bytes", file=name) for name in many]
    bomb = _archive({**_list(*nodes), "protocol": 2}, many, zipfile.ZIP_DEFLATED)
    with pytest.raises(LimitError, match="bomb"):
        read(bomb)
    # One member is read once, however many nodes name it.
    once = {"0.bin": many["0.bin"]}
    root = read(_archive({**_list(*[nodes[0]] * 100), "protocol": 2}, once, zipfile.ZIP_DEFLATED)).root
    assert len({id(content) for content in root}) == 1


def test_lzma_which_takes_its_memory_from_the_file_is_refused() -> None:
    with pytest.raises(CorruptInputError, match="method 14"):
        read(_archive({**_json(1), "protocol": 2}, method=zipfile.ZIP_LZMA))


def test_the_budget_counts_the_schema() -> None:
    with pytest.raises(LimitError):
        read(_file(_json("x" * 2000)), limits=Limits(decoded_bytes=1000))


_MODEL = skops.io.dumps(LogisticRegression().fit([[0.0], [1.0], [2.0]], [0, 1, 1]), compression=zipfile.ZIP_DEFLATED)


@given(st.integers(0, len(_MODEL) - 1), st.integers(1, 255))
def test_a_flipped_byte_never_crashes(at: int, by: int) -> None:
    damaged = bytearray(_MODEL)
    damaged[at] ^= by
    try:
        read(bytes(damaged))
    except IngestError:
        return


def _paths(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(p for k, v in inner for p in _paths(v, (*path, k)))]


_SCHEMA = _schema(_MODEL)
_SWAPS: list[Callable[[], Any]] = [lambda: None, list, dict, lambda: 7, lambda: "x", lambda: _json(1)]


@given(st.sampled_from(_paths(_SCHEMA)[1:]), st.sampled_from(_SWAPS))
def test_a_changed_schema_never_crashes(path: tuple[Any, ...], swap: Callable[[], Any]) -> None:
    schema = json.loads(json.dumps(_SCHEMA))
    holder = schema
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = swap()
    with zipfile.ZipFile(io.BytesIO(_MODEL)) as archive:
        members = {n: archive.read(n) for n in archive.namelist() if n != "schema.json"}
    try:
        read(_archive(schema, members))
    except IngestError:
        return
