"""The conformance corpus: fitted models that the test suites of other converters build, and what they answer.

A case holds where the artifact, reopened, answers `X.pkl` like `expected.pkl`: labels equal, numbers within 1e-6
relative and 1e-9 absolute, the bits of trees, forests and boosters; in the same shapes and dtypes (where no bits are
asked for, float64 may stand for float32). The bits of a forest with several jobs vary from run to run: slimml answers
as with one, and is held to the same distance as any other.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pickle
import re
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from slimml.backends import BACKENDS
from slimml.candidates import build, refusal
from slimml.ingest.read import read
from slimml.intake import graphs, ingest
from slimml.ir.graph import Graph
from slimml.options import ShrinkOptions
from slimml.sample import Sample
from tests.shared import shared_dir

RELATIVE, ABSOLUTE = 1e-6, 1e-9

# The estimators that the first two issues name.
NAMED = frozenset(
    """
    Pipeline ColumnTransformer FeatureUnion FunctionTransformer SimpleImputer StandardScaler MinMaxScaler RobustScaler
    MaxAbsScaler OneHotEncoder OrdinalEncoder LinearRegression Ridge RidgeCV LogisticRegression DecisionTreeClassifier
    DecisionTreeRegressor ExtraTreeClassifier ExtraTreeRegressor RandomForestClassifier RandomForestRegressor
    ExtraTreesClassifier ExtraTreesRegressor GradientBoostingClassifier GradientBoostingRegressor
    HistGradientBoostingClassifier HistGradientBoostingRegressor CountVectorizer TfidfTransformer TfidfVectorizer
    HashingVectorizer MultinomialNB BernoulliNB ComplementNB GaussianNB CategoricalNB SVC SVR NuSVC NuSVR OneClassSVM
    LinearSVC LinearSVR KNeighborsClassifier KNeighborsRegressor MLPClassifier MLPRegressor PCA TruncatedSVD
    StackingClassifier StackingRegressor VotingClassifier VotingRegressor XGBClassifier XGBRegressor XGBRFClassifier
    XGBRFRegressor XGBRanker LGBMClassifier LGBMRegressor LGBMRanker Booster
    """.split()
)
# What those are made of inside: labels, and what boosting starts from.
PARTS = frozenset({"DummyClassifier", "DummyRegressor", "LabelEncoder", "LabelBinarizer"})

_TREES = ("tree._classes", "_forest", "_gb.", "hist_gradient_boosting", "xgboost.", "lightgbm.")
_WIDTHS = {np.dtype(np.float32), np.dtype(np.float64)}
# Numbers that come of sums of exponentials are compared as numbers even there.
_LINKED = ("predict_proba", "predict_log_proba")


def folder() -> Path | None:
    """The corpus, or None where it is not there."""
    shared = shared_dir()
    return shared / "corpus" if shared is not None and (shared / "corpus").is_dir() else None


def cases() -> list[str]:
    """The names of all cases; empty without the corpus."""
    root = folder()
    return sorted(p.name for p in root.iterdir() if p.is_dir()) if root is not None else []


def named(case: str) -> bool:
    """Whether every estimator in a case's model is one that the issues name."""
    top = _json(case)["class"].rpartition(".")[2]
    inside = {i.name for i in read(_path(case) / "model.pkl").imports if _is_estimator(i.module, i.name)}
    return top in NAMED and inside <= NAMED | PARTS


def graph(case: str) -> Graph:
    """The graph of a case after all passes. Raises UnsupportedModelError, IngestError."""
    source = ingest((_path(case) / "model.pkl").read_bytes(), None)
    return graphs(source, Sample(), ShrinkOptions())[1]


def faults(case: str, final: Graph) -> list[str]:
    """What the artifacts of all backends that take the graph answer wrongly; empty where the case holds."""
    rows, wanted = (pickle.loads((_path(case) / f"{n}.pkl").read_bytes()) for n in ("X", "expected"))
    found, bitwise = [], _adds_in_order(case)
    for backend in BACKENDS:
        reason = refusal(backend, final, asked=False)
        if reason is not None:
            if backend.name == "portable" or not reason:
                found.append(f"{backend.name} refuses: {reason}")
            continue
        model = build(backend, final, ShrinkOptions(), {}, []).model
        for method, expected in wanted.items():
            exact = bitwise and method not in _LINKED
            wrong = _method_faults(model, method, rows, expected, exact)
            if wrong and getattr(rows, "dtype", None) == np.float32:
                # BLAS adds float32 up as the processor has it: what the original says on this one counts.
                wrong = _method_faults(model, method, rows, _on_this_machine(case, method, rows), exact)
            found += [f"{backend.name} {method}: {f}" for f in wrong]
    return found


def _on_this_machine(case: str, method: str, rows: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(pickle.loads((_path(case) / "model.pkl").read_bytes()), method)(rows)


def _adds_in_order(case: str) -> bool:
    """Whether the answer is a sum of leaves, each run in the same order: threads add as they end."""
    meta = _json(case)
    forest = "_forest" in meta["class"] and not re.search(r"'n_jobs': (None|1)\b", meta["params"])
    return any(t in meta["class"] for t in _TREES) and not forest


def _method_faults(model: Any, method: str, rows: Any, expected: Any, exact: bool) -> list[str]:
    if method not in model.outputs:
        return ["is missing"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            answer = getattr(model, method)(rows)
        except (ValueError, TypeError) as error:
            return [f"raises {type(error).__name__}: {error!s:.200}"]
    if isinstance(expected, list) != isinstance(answer, list):
        return [f"is a {type(answer).__name__}, not a {type(expected).__name__}"]
    pairs = zip(_blocks(expected), _blocks(answer), strict=True)
    return [f for one, other in pairs for f in [_fault(one, other, exact)] if f]


def _fault(expected: np.ndarray, answer: np.ndarray, exact: bool) -> str:
    if expected.shape != answer.shape:
        return f"has shape {answer.shape}, not {expected.shape}"
    if expected.dtype != answer.dtype and (exact or {expected.dtype, answer.dtype} != _WIDTHS):
        return f"is {answer.dtype}, not {expected.dtype}"
    # float64 answers to float32 rows are held to the same distance as any other.
    same = np.asarray(expected == answer) | ((expected != expected) & (answer != answer))
    if expected.dtype.kind == "f" and not exact:
        with np.errstate(invalid="ignore"):
            same |= np.abs(answer - expected) <= ABSOLUTE + RELATIVE * np.abs(expected)
    if same.all():
        return ""
    at = tuple(np.argwhere(~same)[0])
    return f"{int((~same).sum())} of {same.size} cells differ, first {answer[at]!r}, not {expected[at]!r}"


def _blocks(answer: Any) -> list[np.ndarray]:
    parts = answer if isinstance(answer, list) else [answer]
    return [p.toarray() if hasattr(p, "toarray") else np.asarray(p) for p in parts]


def _path(case: str) -> Path:
    root = folder()
    assert root is not None
    return root / case


@cache
def _json(case: str) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads((_path(case) / "meta.json").read_text())
    return meta


@cache
def _is_estimator(module: str, name: str) -> bool:
    if module.partition(".")[0] not in ("sklearn", "xgboost", "lightgbm"):
        return False
    found = getattr(importlib.import_module(module), name, None)
    return inspect.isclass(found) and (hasattr(found, "fit") or name == "Booster")
