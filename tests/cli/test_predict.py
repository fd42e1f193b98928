"""slimml predict: answers as tables."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import slimml
from slimml.cli import main
from slimml.tables import from_any, read_table
from slimml.tables.answers import answer
from tests.cli.conftest import Ran, Shrunk

Run = Callable[..., Ran]


def test_csv_to_stdout_is_every_answer_to_the_last_digit(run: Run, shrunk: Shrunk):
    model, rows = slimml.load(shrunk.artifact), pd.read_csv(shrunk.rows)
    labels = pd.read_csv(io.StringIO(run("predict", shrunk.artifact, shrunk.rows).out))
    assert labels.columns.tolist() == ["predict"]
    assert labels["predict"].tolist() == model.predict(rows).tolist()
    done = run("predict", shrunk.artifact, shrunk.rows, "--method", "predict_proba", "--quiet")
    header, *lines = done.out.splitlines()
    assert header.split(",") == [f"predict_proba_{c}" for c in model.classes_]
    assert [[float(v) for v in line.split(",")] for line in lines] == model.predict_proba(rows).tolist()


@pytest.mark.parametrize("ending", ["csv", "parquet", "feather", "npy"])
def test_the_ending_picks_the_format(run: Run, shrunk: Shrunk, tmp_path: Path, ending: str):
    if ending in ("parquet", "feather"):
        pytest.importorskip("pyarrow")
    out = tmp_path / f"answers.{ending}"
    done = run("predict", shrunk.artifact, shrunk.rows, "-o", out, "--method", "predict_proba")
    assert (done.code, done.err) == (0, "")
    expected = slimml.load(shrunk.artifact).predict_proba(pd.read_csv(shrunk.rows))
    read = np.load(out) if ending == "npy" else np.column_stack(list(read_table(out).columns.values()))
    assert np.array_equal(read, expected)


def test_data_of_any_format_and_column_order_give_the_same(run: Run, shrunk: Shrunk, tmp_path: Path):
    pytest.importorskip("pyarrow")
    rows = pd.read_csv(shrunk.rows)
    turned = rows[rows.columns[::-1]].assign(extra="x")
    turned.to_parquet(tmp_path / "rows.parquet")
    plain = run("predict", shrunk.artifact, shrunk.rows, "--method", "predict_proba").out
    assert run("predict", shrunk.artifact, tmp_path / "rows.parquet", "--method", "predict_proba").out == plain


def test_rows_are_answered_in_chunks(shrunk: Shrunk, monkeypatch: pytest.MonkeyPatch):
    model, table = slimml.load(shrunk.artifact), read_table(shrunk.rows)
    whole = answer(model, "predict_proba", table)
    monkeypatch.setattr("slimml.tables.answers._CHUNK", 7)
    parts = answer(model, "predict_proba", table)
    assert all(np.array_equal(whole.columns[n], parts.columns[n]) for n in whole.names)


def test_a_method_that_the_model_lacks_is_wrong_usage(run: Run, shrunk: Shrunk):
    done = run("predict", shrunk.artifact, shrunk.rows, "--method", "transform")
    assert done.code == 2 and "it answers: predict, predict_proba" in done.err


def test_a_missing_column_is_named_and_an_existing_output_survives(run: Run, shrunk: Shrunk, tmp_path: Path):
    out = tmp_path / "answers.csv"
    out.write_text("old")
    pd.read_csv(shrunk.rows).drop(columns="age").to_csv(tmp_path / "rows.csv", index=False)
    done = run("predict", shrunk.artifact, tmp_path / "rows.csv", "-o", out)
    assert done.code == 3 and "'age'" in done.err
    assert out.read_text() == "old"


def test_a_wrong_ending_is_refused_before_the_work(run: Run, tmp_path: Path):
    done = run("predict", tmp_path / "no.slim", tmp_path / "no.csv", "-o", tmp_path / "answers.xlsx")
    assert done.code == 2 and "answers.xlsx" in done.err


@pytest.mark.parametrize(
    ("name", "method", "columns"),
    [
        ("linear/two-outputs", "predict", ["predict_0", "predict_1"]),
        ("tree/two-words", "predict", ["predict_0", "predict_1"]),
        (
            "tree/two-words",
            "predict_proba",
            [
                "predict_proba_0_down",
                "predict_proba_0_up",
                "predict_proba_1_far",
                "predict_proba_1_low",
                "predict_proba_1_near",
            ],
        ),
        ("logistic/strings", "predict_proba", ["predict_proba_no", "predict_proba_yes"]),
        ("logistic/strings", "decision_function", ["decision_function"]),
        ("tree/one-class", "predict_proba", ["predict_proba_4"]),
    ],
)
def test_columns_are_named_by_output_and_class(name: str, method: str, columns: list[str]):
    from slimml.backends import BACKENDS
    from slimml.candidates import build
    from slimml.frontends.lowerer import lower
    from slimml.ingest.live import read_live
    from slimml.options import ShrinkOptions
    from tests.zoo import zoo_model

    estimator, rows = zoo_model(name)
    portable = next(b for b in BACKENDS if b.name == "portable")
    model = build(portable, lower(read_live(estimator).root), ShrinkOptions(), {}, []).model
    answers = answer(model, method, from_any(rows))
    assert list(answers.names) == columns
    expected = getattr(model, method)(rows)
    blocks = [b[:, None] if b.ndim == 1 else b for b in (expected if isinstance(expected, list) else [expected])]
    assert np.array_equal(np.column_stack(list(answers.columns.values())), np.concatenate(blocks, axis=1))


def test_main_is_what_the_console_script_calls(shrunk: Shrunk, capsys: pytest.CaptureFixture[str]):
    assert main(["predict", str(shrunk.artifact), str(shrunk.rows)]) == 0
    assert capsys.readouterr().out.startswith("predict\n")
