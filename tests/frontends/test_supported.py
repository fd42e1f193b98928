"""Every class that slimml lowers has a line of documentation, a zoo model, and a test of an older release.

What was found is in tests/supported.json, which `make docs` writes together with the page.
"""

from __future__ import annotations

import pytest

from slimml.frontends.registry import documentation, lowering, own, registered
from tests.supported import PAGE, classes, found, of_kept_models, of_zoo_model, page, public
from tests.zoo import ZOO

MEND = "run `make docs` and commit what it writes"
# Classes that no zoo model holds, by the reason.
_NO_ZOO_MODEL = {
    "the installed scikit-learn has it no more: files of older releases are compared": """
        sklearn.grid_search.GridSearchCV sklearn.grid_search.RandomizedSearchCV sklearn.preprocessing.Imputer
    """,
    "its library is not among what the tests install": "imblearn.Pipeline",
    "the base of the wrappers, and lowered as they are": "lightgbm.LGBMModel xgboost.XGBModel",
    "a file, not an estimator: tests/frontends/test_onnx_models.py compares it with ONNX Runtime": "onnx.ModelProto",
    "predicts from a DMatrix alone: tests/frontends/test_xgboost.py compares it": "xgboost.Booster",
}
# Classes of which no file of an older release is at hand, nor of one that the same function lowers; by the reason.
_NO_OLD_FILE = {
    "imbalanced-learn says nothing of its release": "imblearn.Pipeline",
    "a file of ONNX says nothing of scikit-learn": "onnx.ModelProto",
}
NO_ZOO_MODEL = {name: reason for reason, names in _NO_ZOO_MODEL.items() for name in names.split()}
NO_OLD_FILE = {name: reason for reason, names in _NO_OLD_FILE.items() for name in names.split()}


def with_old_files() -> set[str]:
    """The classes of which an older file is lowered, or of one that the same function lowers."""
    known, covered = found(), set()
    together: dict[object, set[str]] = {}
    for path in registered():
        if own(path):
            together.setdefault(lowering(path), set()).add(public(path))
    for names in together.values():
        covered |= names if any(known[n]["releases"] or known[n]["read"] for n in names & set(known)) else set()
    return covered


def test_every_class_has_a_documentation_line():
    silent = sorted(p for p in registered() if own(p) and not documentation(p))
    assert not silent, (
        "give the function that lowers these a docstring; its first paragraph is what the page of supported estimators "
        f"says of them (what of the class is supported, what is refused): {', '.join(silent)}"
    )


def test_every_class_has_a_zoo_model():
    known = found()
    without = sorted(n for n in classes() if n not in NO_ZOO_MODEL and not known.get(n, {}).get("zoo"))
    assert not without, f"add a line to tests/zoo.py, then {MEND}: {', '.join(without)}"


def test_every_class_has_a_test_of_an_older_release():
    without = sorted(set(classes()) - set(NO_OLD_FILE) - with_old_files())
    assert not without, f"no file of an older release is read, and none is excused; {MEND}, or say why: {without}"


def test_the_models_that_the_repository_keeps_are_counted():
    """Those of one release; `make docs` counts them all."""
    known = found()
    for release in ("0.22.2.post1", "xgboost-1.7.6", "lightgbm-4.0.0"):
        for name, releases in of_kept_models([release]).items():
            assert releases <= set(known[name]["releases"]), f"{name}: {MEND}"


def test_excuses_are_needed():
    known, covered = found(), with_old_files()
    assert not [n for n in NO_ZOO_MODEL if known[n]["zoo"]], "take them out of NO_ZOO_MODEL"
    assert not [n for n in NO_OLD_FILE if n in covered], "take them out of NO_OLD_FILE"


def test_the_page_is_what_is_generated():
    assert PAGE.read_text() == page(found()), MEND


@pytest.mark.parametrize("name", [m.name for m in ZOO][::23])
def test_the_page_says_no_more_than_holds(name: str):
    rounds, takers = of_zoo_model(name)
    known = found()
    for each, rounded in rounds.items():
        fact = known[each]
        assert name in fact["zoo"], MEND
        assert fact["rounding"] or not rounded, MEND
        assert {b for b, share in fact["backends"].items() if share == "all"} <= takers, MEND
