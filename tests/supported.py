"""What stands behind each class that slimml lowers, and the page that says so: `python -m tests.supported` (make docs).

`supported.json` holds what was found the last time, for each class (`sklearn.preprocessing.StandardScaler`, say, a name
under which its homes in older releases count too):

    zoo        the zoo models that lower it
    rounding   whether it adds rounding of its own in one of them (DESIGN: BITWISE, ROUNDING)
    backends   those that take all of these models, and those that take some
    releases   releases of its library (see `library`) whose files hold it, the answers compared with that release's
    read       those of whose files it is lowered, with nothing to compare it with
"""

from __future__ import annotations

import json
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from slimml.backends import BACKENDS
from slimml.errors import SlimmlError
from slimml.frontends.lowerer import Lowerer, lower
from slimml.frontends.registry import documentation, own, registered
from slimml.frontends.width import Columns
from slimml.ingest.live import read_live
from slimml.ingest.read import read
from slimml.ir.graph import evaluate
from slimml.ir.node import Node
from slimml.parity.bound import RULES
from slimml.passes import PASSES
from slimml.passes.runner import run_passes
from tests.hostile import input_blocks
from tests.kept_releases import boosters, columns_of, order, scikit_learn
from tests.shared import ROOT, shared_dir
from tests.zoo import ZOO, zoo_model

PAGE, FOUND = ROOT / "docs" / "estimators.md", ROOT / "tests" / "supported.json"
# Classes that no zoo model holds, and that add float32 sums in whatever order ONNX Runtime likes.
_ROUND_UNSEEN = {"onnx.ModelProto"}
# Folders of old files: those that say what their release answered, and those that are read.
_COMPARED, _READ = ("versions", "pickles"), ("wild",)


def public(path: str) -> str:
    """The name under which users know a class: without the modules that are the library's own affair."""
    package, *inner, name = path.split(".")
    known = [m for m in inner[:1] if package == "sklearn" and not m.startswith("_")]
    return ".".join([package, *known, name])


def classes() -> dict[str, str]:
    """Every class that slimml lowers, and its line of documentation."""
    return {public(p): documentation(p) for p in registered() if own(p)}


def found() -> dict[str, dict[str, Any]]:
    """What was found the last time, by class."""
    known: dict[str, dict[str, Any]] = json.loads(FOUND.read_text())
    return known


@contextmanager
def watched() -> Iterator[dict[str, str]]:
    """The classes that are lowered meanwhile, by where they stand in the pipeline."""
    seen: dict[str, str] = {}
    original = Lowerer._checked

    def checked(self: Lowerer, function: Any, est: Any, x: Any) -> Any:
        if own(est.path):
            seen[self.where] = public(est.path)
        return original(self, function, est, x)

    with mock.patch.object(Lowerer, "_checked", checked):
        yield seen


def of_zoo_model(name: str) -> tuple[dict[str, bool], set[str]]:
    """The classes in a zoo model, and whether each adds rounding there; the backends that take the model."""
    estimator, rows = zoo_model(name)
    with watched() as seen, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = lower(read_live(estimator).root)
        rounds = dict.fromkeys(seen.values(), False)
        ends = [n for o in graph.outputs if o.name != "predict_log_proba" for n in o.nodes]
        values = evaluate(ends, input_blocks(graph, rows))
        for node in graph.nodes():
            if node.origin in seen and _rounds(node, values):
                rounds[seen[node.origin]] = True
        final = run_passes(graph, PASSES)[0]
    return rounds, {b.name for b in BACKENDS if not b.refuses(final)}


def _rounds(node: Node, values: Any) -> bool:
    """Whether a node's answer may differ from the reference where what it reads does not."""
    if node not in values or type(node).__name__ not in RULES:
        return False
    with np.errstate(all="ignore"):
        bound = RULES[type(node).__name__](
            node, [values[x] for x in node.inputs], [None] * len(node.inputs), values[node]
        )
    cells = getattr(bound, "data", bound)
    return bound is not None and bool(np.any(np.asarray(cells)))


def library(name: str) -> str:
    """The library whose releases count for a class."""
    package = name.partition(".")[0]
    return "scikit-learn" if package == "sklearn" else package


def of_old_files(folders: Iterable[str]) -> dict[str, set[str]]:
    """For each class the releases of the shared files that hold it and are lowered; {} without the files."""
    held: dict[str, set[str]] = defaultdict(set)
    shared = shared_dir()
    paths = [p for f in folders for p in sorted((shared / f).rglob("*")) if p.is_file()] if shared is not None else []
    for path in paths:
        if path.suffix not in (".json", ".npz", ".csv", ".md", ".tsv"):
            _count(held, path)
    return held


def of_kept_models(releases: Iterable[str]) -> dict[str, set[str]]:
    """For each class those of the releases ("0.24.2", "xgboost-1.7.6") whose models in tests/data hold it."""
    held: dict[str, set[str]] = defaultdict(set)
    for said in releases:
        package, _, release = said.rpartition("-")
        kept = (boosters() if package else scikit_learn())[said]
        for file, data in kept.files.items():
            columns = None if package else columns_of(kept, file.removesuffix(".pkl"))
            _count(held, data, {package: release} if package else {"scikit-learn": said}, columns)
    return held


def _count(
    held: dict[str, set[str]],
    source: Path | bytes,
    known: Mapping[str, str] | None = None,
    columns: Columns | None = None,
) -> None:
    """Add the classes that a file holds, if it is lowered, by its releases: those `known`, or those that it says."""
    with watched() as seen:
        try:
            ingested = read(source)
            lower(ingested.root, offered=columns)
        except SlimmlError:
            return
    for name in seen.values():
        release = (known or ingested.versions).get(library(name), "")
        held[name] |= {".".join(release.split(".")[:2])} if release else set()


def look() -> dict[str, dict[str, Any]]:
    """Find everything anew: fits the zoo, which takes minutes."""
    zoo: dict[str, list[str]] = defaultdict(list)
    rounding: set[str] = set()
    takers: dict[str, list[set[str]]] = defaultdict(list)
    for model in ZOO:
        rounds, backends = of_zoo_model(model.name)
        for name, rounded in rounds.items():
            zoo[name].append(model.name)
            takers[name].append(backends)
            rounding |= {name} if rounded else set()
    held, told = of_old_files(_COMPARED), of_old_files(_READ)
    for name, releases in of_kept_models([*scikit_learn(), *boosters()]).items():
        held[name] |= releases
    return {
        name: {
            "zoo": sorted(zoo[name]),
            "rounding": name in rounding | _ROUND_UNSEEN,
            "backends": {b.name: _share(b.name, takers[name]) for b in BACKENDS},
            "releases": sorted(held[name], key=order),
            "read": sorted(told[name] - held[name], key=order),
        }
        for name in sorted(classes())
    }


def _share(backend: str, models: list[set[str]]) -> str:
    taken = sum(backend in m for m in models)
    return "all" if taken and taken == len(models) else "some" if taken else "none"


def page(known: dict[str, dict[str, Any]]) -> str:
    """The page of supported estimators."""
    lines = classes()
    text = [_HEAD]
    for package in sorted({n.rpartition(".")[0] for n in lines}):
        text.append(f"\n## {package}\n\n| class | what | files of | exactness | backends |\n|---|---|---|---|---|\n")
        for name in sorted(n for n in lines if n.rpartition(".")[0] == package):
            text.append(_row(name, lines[name], known[name]))
    return "".join(text)


def _row(name: str, line: str, fact: dict[str, Any]) -> str:
    takers = [b + ("" if share == "all" else " (some)") for b, share in fact["backends"].items() if share != "none"]
    cells = (
        f"`{name.rpartition('.')[2]}`",
        line.replace("|", "\\|"),
        ", ".join([*fact["releases"], *(f"({release})" for release in fact["read"])]),
        "rounding" if fact["rounding"] else "bitwise",
        ", ".join(takers),
    )
    return f"| {' | '.join(cells)} |\n"


_HEAD = """# Supported estimators

Made by `make docs` from the classes that are registered and the models that the tests compare; do not edit.

- *what*: what of the class is supported, and what is refused. A model that holds anything else is refused by name.
- *files of*: the releases of scikit-learn (for XGBoost and LightGBM their own) whose own answers for a file with the
  class the tests hold the graph to; in brackets those of which there is a file, and no answer. The installed
  release is compared as a live model, option by option. Of other releases the files are read as well.
- *exactness*: `bitwise` steps answer with the bits of the original; `rounding` ones add sums, or functions such as exp,
  whose last bits differ between machines, and stay within 4 eps of the sum of their terms. The logarithms of
  `predict_log_proba` always do.
- *backends*: which take the models that the tests build with it; "(some)" where others of its options are refused.
"""


def main() -> None:
    """Find everything and write the page."""
    known = look()
    if shared_dir() is None:  # what is known of older files stays
        for name, fact in found().items():
            if name in known:
                releases = {*fact["releases"], *known[name]["releases"]}
                known[name] |= {"releases": sorted(releases, key=order), "read": fact["read"]}
    lines = [f"{json.dumps(name)}: {json.dumps(fact)}" for name, fact in known.items()]  # one a class, to merge well
    FOUND.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(known))


if __name__ == "__main__":
    main()
