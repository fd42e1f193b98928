"""The original: what it is run by, when it is not run at all, and that it dies cleanly."""

from __future__ import annotations

import gzip
import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import sklearn
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline

from slimml.parity import worker
from slimml.parity.answers import model_answers
from slimml.parity.compare import compare_outputs
from slimml.parity.inputs import Trials, trial_rows
from slimml.parity.process import ProcessReference, open_reference, undescribed, why_not_installed
from slimml.parity.reference import (
    ExpectedReference,
    LiveReference,
    NoReference,
    ReferenceFailedError,
    RowsRefusedError,
)
from slimml.parity.rows import RawRows
from slimml.parity.seams import Checker
from slimml.schema import Column, Schema
from tests.parity.planted import case, opened

SKLEARN = {"scikit-learn": sklearn.__version__}


class Sleeper:
    """A model that takes its time."""

    def predict(self, rows):
        time.sleep(60)


class Suicide:
    """A model whose process dies."""

    def predict(self, rows):
        os.kill(os.getpid(), signal.SIGKILL)


class Chatter:
    """A model that prints where answers go."""

    def predict(self, rows):
        print("noise", flush=True)
        os.write(1, b"more noise\n")
        return np.asarray(rows)[:, 0]


class Touch:
    """A pickle that leaves a file behind when it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def by_value(cls: type) -> bytes:
    """A pickle of an instance that a process without this module can load."""
    cloudpickle = pytest.importorskip("cloudpickle")
    cloudpickle.register_pickle_by_value(sys.modules[cls.__module__])
    try:
        return cloudpickle.dumps(cls())
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[cls.__module__])


def three_rows() -> RawRows:
    return RawRows.make(Schema((Column("x0"), Column("x1")), named=False), {"x0": [1, 2, 3], "x1": [0.5, 0, -1]})


@pytest.mark.parametrize("name", ["forest/pipeline", "tree/two-words", "impute/strings-constant", "onehot/mixed"])
def test_a_child_process_answers_as_this_one_does(name: str):
    honest = case(name)
    outputs = [o.name for o in honest.fresh.outputs]
    mine = LiveReference(honest.estimator).answers(honest.rows, outputs)
    with ProcessReference.start(gzip.compress(pickle.dumps(honest.estimator))) as reference:
        assert reference.versions == SKLEARN
        assert reference.library_version == sklearn.__version__
        theirs = reference.answers(honest.rows, outputs)
    report = compare_outputs("whole", mine, theirs)
    assert (report.verdict, report.notes) == ("bitwise", ())


def test_a_model_inside_of_a_container_is_selected():
    data = pickle.dumps({"parts": [0, {"the.model": case("linear/regression").estimator}]})
    with ProcessReference.start(data, select="parts.1.the.model") as reference:
        assert reference.class_name == "LinearRegression"


def test_rows_that_the_original_refuses_are_told_and_it_goes_on():
    honest = case("linear/regression")
    bad = honest.rows.take(np.arange(2))
    bad.columns["x0"][:] = np.nan
    with ProcessReference.start(pickle.dumps(honest.estimator)) as reference:
        with pytest.raises(RowsRefusedError, match="ValueError: Input X contains NaN"):
            reference.answers(bad, ["predict"])
        assert len(reference.answers(honest.rows, ["predict"])["predict"][0]) == len(honest.rows)


def test_a_slow_original_is_given_up():
    reference = ProcessReference.start(by_value(Sleeper), call_seconds=1.0)
    with pytest.raises(ReferenceFailedError, match="within 1 s"):
        reference.answers(three_rows(), ["predict"])
    reference.close()
    assert reference.child.process.returncode is not None


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_original_that_dies_is_told_by_its_signal():
    with ProcessReference.start(by_value(Suicide)) as reference:
        with pytest.raises(ReferenceFailedError, match="died of signal 9"):
            reference.answers(three_rows(), ["predict"])
        with pytest.raises(ReferenceFailedError):
            reference.answers(three_rows(), ["predict"])
        assert reference.timing(three_rows()) is None


def test_what_a_model_prints_does_not_reach_the_answers():
    with ProcessReference.start(by_value(Chatter)) as reference:
        assert reference.answers(three_rows(), ["predict"])["predict"][0].tolist() == [[1.0], [2.0], [3.0]]


def test_a_class_that_is_not_there_is_named():
    data = pickle.dumps(Sleeper()).replace(b"tests.parity.test_reference", b"tests.parity.not_there_xxxx")
    with pytest.raises(ReferenceFailedError, match="No module named"):
        ProcessReference.start(data)


@pytest.mark.skipif(sys.platform != "linux", reason="address space limits")
def test_a_module_that_is_not_found_is_said_how_to_find():
    data = b"\x80\x02cmy_own_module\nMyModel\n)R."
    said = open_reference(data, {}, ["my_own_module.MyModel"], trust=True).sentence
    assert "my_own_module" in said and "PYTHONPATH" in said


def test_memory_is_limited():
    data = pickle.dumps(np.zeros(1))
    with pytest.raises(ReferenceFailedError):
        ProcessReference.start(data, memory=1 << 20)


def test_a_python_that_is_not_there_is_told():
    reference = open_reference(b"", {}, [], python="/no/such/python")
    assert reference.sentence == (
        "not compared with the original: /no/such/python cannot be started: No such file or directory"
    )


def test_a_hostile_pickle_is_loaded_by_nobody(tmp_path):
    trap = tmp_path / "touched"
    data = pickle.dumps(Touch(str(trap)))
    reference = open_reference(data, SKLEARN, ["io.open"])
    assert isinstance(reference, NoReference)
    assert "io.open" in reference.sentence
    assert not trap.exists()
    open_reference(data, {}, ["io.open"], trust=True).close()
    assert trap.exists()


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({"scikit-learn": "0.22.1"}, "scikit-learn 0.22.1 wrote the file and"),
        ({"no-such-library": "1.0"}, "no-such-library 1.0 wrote the file and is not installed here"),
    ],
)
def test_another_release_does_not_answer(versions, said):
    assert said in (why_not_installed(versions) or "")
    reference = open_reference(b"never read", versions, [])
    assert reference.how == "none"
    assert said in reference.sentence


def test_a_reference_python_of_another_release_is_refused():
    data = pickle.dumps(case("linear/regression").estimator)
    reference = open_reference(data, {"scikit-learn": "1.2.0"}, [], python=sys.executable)
    assert f"scikit-learn 1.2.0 wrote the file and {sklearn.__version__} would run it" in reference.sentence
    reference = open_reference(data, SKLEARN, [], python=sys.executable)
    assert reference.how == "reference-python"
    reference.close()


def test_jobs_are_one_everywhere_and_come_back():
    inner = RandomForestClassifier(n_jobs=3)
    model = make_pipeline(VotingClassifier([("a", inner), ("b", LogisticRegression())], n_jobs=-1))
    outer = MultiOutputClassifier(model, n_jobs=2)
    outer.estimators_ = np.array([inner, {"x": (model,)}], dtype=object)
    changed = worker.single_job(outer)
    assert (outer.n_jobs, inner.n_jobs, model[0].n_jobs) == (1, 1, 1)
    worker.restore_jobs(changed)
    assert (outer.n_jobs, inner.n_jobs, model[0].n_jobs) == (2, 3, -1)


def test_a_live_estimator_is_left_as_it_was_even_when_it_raises():
    honest = case("forest/binary")
    estimator = pickle.loads(pickle.dumps(honest.estimator)).set_params(n_jobs=2)
    bad = honest.rows.take(np.arange(1))
    bad.columns["x1"][:] = np.inf
    reference = LiveReference(estimator)
    with pytest.raises(RowsRefusedError):
        reference.answers(bad, ["predict"])
    assert estimator.n_jobs == 2
    assert (reference.how, reference.library_version) == ("in-process", sklearn.__version__)


def test_a_live_estimator_is_timed_as_a_service_would_call_it():
    timed = LiveReference(case("logistic/pipeline").estimator).timing(case("logistic/pipeline").rows, "predict", 0.1)
    assert timed is not None
    assert 0 < timed["frame"]["p50"] <= timed["frame"]["p99"]
    assert timed["dict"]["p50"] > 0
    assert timed["rows_per_s"] > 100


def test_expected_answers_stand_for_the_original():
    honest = case("logistic/strings")
    right = model_answers(honest.estimator, honest.rows, ["predict", "predict_proba"])
    trials = trial_rows(honest.fresh, None, 100)
    reference = ExpectedReference(honest.rows, right, "answers.csv")
    report = Checker(reference, honest.fresh, honest.final, trials).check(opened(honest.final))
    assert (report.verdict, report.how) == ("bitwise", "expected")
    wrong = {**right, "predict": (right["predict"][0][::-1],)}
    report = Checker(ExpectedReference(honest.rows, wrong), honest.fresh, honest.final, trials).check(
        opened(honest.final)
    )
    assert report.blame == "a frontend"


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_original_that_dies_on_the_way_is_no_reference():
    honest = case("tree/regression")
    reference = ProcessReference.start(pickle.dumps(honest.estimator))
    trials: Trials = trial_rows(honest.fresh, honest.rows, 100)
    checker = Checker(reference, honest.fresh, honest.final, trials)
    reference.child.process.kill()
    report = checker.check(opened(honest.final))
    reference.close()
    assert (report.verdict, report.how) == ("bitwise", "none")
    assert "died of signal 9" in report.sentence


def test_the_worker_imports_nothing_of_slimml():
    program = "import runpy, sys; sys.stdin.close(); m = runpy.run_path(sys.argv[1]); print('slimml' in sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", program, worker.__file__], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_answers_travel_exactly():
    cells = np.array([[None, 1, 2**70], [float("nan"), -0.0, "x"], [True, float("inf"), "é\n"]], dtype=object)
    back = undescribed(*worker.described(cells))
    assert repr(back.tolist()) == repr(cells.tolist())
    for array in (np.array(["a", "long"]), np.arange(4, dtype=">i2"), np.array([np.nan, -0.0]), np.array([True])):
        back = undescribed(*worker.described(array))
        assert back.dtype.kind == array.dtype.kind
        assert repr(back.tolist()) == repr(array.tolist())
    with pytest.raises(ValueError, match="dtype"):
        undescribed({"dtype": "V8", "shape": [1]}, b"\0" * 8)
