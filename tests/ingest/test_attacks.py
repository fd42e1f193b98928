"""Hostile pickles: nothing runs, nothing is imported, each ends in a refusal or in inert content with a warning."""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from slimml.errors import CorruptInputError, IngestError, LimitError, UntrustedError
from slimml.ingest.read import read
from slimml.ingest.record import Record
from slimml.ingest.scan import scan
from tests.ingest.attack import call, name, stream, text, value

_SYSTEM = name("os", "system")


@pytest.mark.parametrize(
    "attack",
    [
        stream(call(_SYSTEM, text("true"))),
        stream(call(name("nt", "system"), text("true"))),
        stream(b"(" + text("true") + b"ios\nsystem\n"),
        stream(b"(" + _SYSTEM + text("true") + b"o"),
        stream(call(name("builtins", "eval"), text("1"))),
        stream(call(name("__builtin__", "eval"), text("1"))),
        stream(call(name("commands", "getoutput"), text("ls"))),
        stream(call(name("builtins", "map"), _SYSTEM, value(["true"]))),
        stream(call(name("numpy", "memmap"), text("f"))),
        stream(call(name("pandas", "read_pickle"), text("f"))),
        stream(call(name("numpy.testing._private.utils", "runstring"), text("1"))),
        stream(call(name("joblib.externals.loky.backend", "spawn"), text("1"))),
        stream(call(name("numpy.core", "_ufunc_reconstruct"), text("os"), text("system"))),
        stream(call(name("numpy.core", "_ufunc_reconstruct"), text("numpy"), text("load"))),
        stream(b"}" + text("x") + _SYSTEM + b"s"),
        stream(_SYSTEM + b"0N"),
        stream(call(call(name("operator", "attrgetter"), text("system")), name("numpy", "ndarray"))),
    ],
)
def test_names_that_act_are_refused_wherever_they_stand(attack: bytes) -> None:
    with pytest.raises(UntrustedError):
        read(attack)


@pytest.mark.parametrize(
    ("attack", "error"),
    [
        (stream(text("os.path") + text("join.__globals__") + b"\x93"), UntrustedError),
        (stream(b"C\x02osC\x06system\x93"), UntrustedError),
        (stream(text("оs") + text("x") + b"\x93"), UntrustedError),
        (stream(call(b"]", text("x"))), UntrustedError),
        (stream(call(call(name("mine", "f")), text("x"))), UntrustedError),
        (stream(name("sklearn.base", "BaseEstimator") + b"}" + text("a") + b"K\x01sb"), UntrustedError),
        (stream(b"\x82\x01"), UntrustedError),
        (stream(b"Pid\n"), UntrustedError),
        (stream(text("id") + b"Q"), UntrustedError),
        (stream(b"\x97"), CorruptInputError),
        (stream(b"K\x01K\x02"), CorruptInputError),
        (stream(b"(K\x02"), CorruptInputError),
        (stream(b"]}b"), CorruptInputError),
        (stream(b"}]K\x01s"), CorruptInputError),
        (stream(b"\x95" + struct.pack("<Q", 1 << 40) + b"N"), CorruptInputError),
        (stream(b"\x8e" + struct.pack("<Q", 1 << 62)), CorruptInputError),
        (stream(b"\x8b" + struct.pack("<i", -1)), CorruptInputError),
        (stream(b"\x8b" + struct.pack("<i", 4000) + b"\x01" * 4000), LimitError),
        (stream(b"L" + b"9" * 5000 + b"L\n"), LimitError),
        (stream(call(name("builtins", "bytearray"), b"\x8a\x05\xff\xff\xff\xff\x7f")), CorruptInputError),
        (stream(call(name("_codecs", "encode"), text("eJw"), text("zlib"))), CorruptInputError),
        (stream(call(name("x" * 300, "y"))), LimitError),
        (b"\x80\x06N.", CorruptInputError),
    ],
)
def test_forms_that_no_pickler_writes_are_refused(attack: bytes, error: type[IngestError]) -> None:
    with pytest.raises(error):
        read(attack)


def test_unknown_classes_and_calls_stay_inert_with_a_warning() -> None:
    ingested = read(stream(call(name("mine.models", "build"), text("x"))))
    assert isinstance(ingested.root, Record)
    assert ingested.root.path == "mine.models.build"
    assert any("mine.models.build" in w for w in ingested.warnings)


def test_honest_parts_of_cloudpickle_stay_inert() -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    ingested = read(cloudpickle.dumps({"f": lambda x: x + 1}))
    assert isinstance(ingested.root["f"], Record)
    assert any("cloudpickle" in w for w in ingested.warnings)


def test_a_class_by_value_is_never_taken_for_a_library_class() -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    fake = type("LinearRegression", (LinearRegression,), {"__module__": "__main__", "coef_": 1})
    root = read(cloudpickle.dumps(fake())).root
    assert root.path == "<by value>.LinearRegression"


def test_a_ufunc_becomes_its_name() -> None:
    root = read(stream(call(name("numpy.core", "_ufunc_reconstruct"), text("numpy"), text("log1p")))).root
    assert root.path == "numpy.log1p"


def test_nested_tuples_as_keys_end_at_once() -> None:
    doubled = (b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86\x940" for i in range(64))
    bomb = b")\x940" + b"".join(doubled) + b"h\x40"
    with pytest.raises(LimitError, match="key"):
        read(stream(b"}" + bomb + b"Ns"))


def test_colliding_integers_as_keys_are_refused() -> None:
    keys = b"".join(b"\x8a\x0c" + (i * (2**61 - 1)).to_bytes(12, "little") + b"N" for i in range(1, 3000))
    with pytest.raises(LimitError, match="huge integers"):
        read(stream(b"}(" + keys + b"u"))


def test_a_list_that_holds_itself_ends() -> None:
    assert read(stream(b"]\x94h\x00a")).warnings


def test_deep_nesting_is_refused_without_recursion() -> None:
    with pytest.raises(LimitError, match="nested"):
        read(stream(b"]" * 100_000 + b"a" * 99_999))


def test_an_array_used_before_its_content_is_refused() -> None:
    new = name("numpy.core.multiarray", "_reconstruct") + name("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"
    with pytest.raises(CorruptInputError, match="before its content|unfinished"):
        read(stream(b"]" + new + b"a"))


def test_a_payload_before_damage_is_still_named() -> None:
    with pytest.raises(UntrustedError, match=r"os\.system"):
        read(b"\x80\x04" + call(_SYSTEM, text("true")) + b"\xff")


def test_the_path_of_a_hidden_payload_is_reported() -> None:
    inner = pickle.dumps({"steps": [1, {"func": "PLACE"}]}, 2)[2:-1]
    attack = inner.replace(text("PLACE"), _SYSTEM)
    with pytest.raises(UntrustedError) as caught:
        read(stream(attack))
    assert caught.value.where == "steps.1.func"


def test_reading_imports_no_library_that_the_file_names(tmp_path: Path) -> None:
    code = (
        "import sys; from slimml.ingest.read import read; r = read(sys.argv[1]).root; assert r.coef_.shape == (2,);"
        "bad = {m.split('.')[0] for m in sys.modules} & {'sklearn', 'pandas', 'joblib', 'scipy'}; assert not bad, bad"
    )
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(LinearRegression().fit(np.eye(2), [1.0, 2.0])))
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60, cwd=Path(__file__).parents[2])


@pytest.fixture
def canaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "canaries"
    folder.mkdir()
    monkeypatch.setenv("SLIMML_CANARY_DIR", str(folder))
    return folder


def test_no_shared_attack_runs_and_each_ends_soon(shared: Path, canaries: Path) -> None:
    manifest: list[dict[str, Any]] = json.loads((shared / "attacks" / "manifest.json").read_text())
    silent, slow = [], []
    for entry in manifest:
        path = shared / "attacks" / entry["file"]
        start = time.process_time()
        try:
            ingested = read(path)
        except IngestError as e:
            assert str(e)
        else:
            if entry["expect"] in ("canary", "dos", "native", "deferred") and not ingested.warnings:
                silent.append(entry["file"])
        scan(path).to_json()
        if time.process_time() - start > 4:
            slow.append(entry["file"])
    assert not list(canaries.iterdir())
    assert not silent
    assert not slow


def test_every_shared_canary_file_is_refused(shared: Path) -> None:
    manifest = json.loads((shared / "attacks" / "manifest.json").read_text())
    for entry in manifest:
        if entry["expect"] == "canary" or entry["group"] in ("native", "artifact", "numpy"):
            with pytest.raises(IngestError):
                read(shared / "attacks" / entry["file"])
