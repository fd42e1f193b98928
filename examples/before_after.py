"""The pickle and the artifact beside each other: bytes, first answer, one row, and the answers themselves.

    python examples/before_after.py FOLDER

reads what `fit_model.py` and `slimml shrink` left there: model.pkl, rows.csv, model.slim.
"""

from __future__ import annotations

import json
import pickle
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import slimml

FIRST_ANSWER = {
    "pickle": "import pickle, sys, json, pandas as pd; m = pickle.load(open({path!r}, 'rb'));"
    "m.predict_proba(pd.DataFrame([json.loads(sys.argv[1])]))",
    "slim": "import sys, json, slimml; m = slimml.load({path!r}); m.predict_proba(json.loads(sys.argv[1]))",
}


def median_seconds(call: Callable[[], Any], repeats: int = 200) -> float:
    """The median over calls, after a first one that warms up."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def first_answer_seconds(kind: str, path: Path, row: dict[str, Any]) -> float:
    """From a fresh interpreter to the first answer: what a cold start costs."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", FIRST_ANSWER[kind].format(path=str(path)), json.dumps(row)], check=True)
    return time.perf_counter() - start


def show(what: str, before: float, after: float, unit: str, scale: float, better: str) -> None:
    """One line of the table."""
    cells = f"{before / scale:>11,.2f} {unit:<2}{after / scale:>13,.2f} {unit:<2}"
    print(f"  {what:<30}{cells}{before / after:>9,.0f}x {better}")


def main(folder: Path) -> None:
    """Print the table."""
    pickled, slim = folder / "model.pkl", folder / "model.slim"
    rows = pd.read_csv(folder / "rows.csv")
    rows = rows.drop(columns=rows.columns[-1])
    original, model = pickle.loads(pickled.read_bytes()), slimml.load(slim)
    one_frame = rows.dropna().iloc[[0]]
    one_dict = json.loads(one_frame.to_json(orient="records"))[0]

    print(f"\n  {'':<30}{'model.pkl':>14}{'model.slim':>16}")
    show("file", pickled.stat().st_size, slim.stat().st_size, "MB", 1e6, "smaller")
    before = first_answer_seconds("pickle", pickled, one_dict)
    show("fresh process to first answer", before, first_answer_seconds("slim", slim, one_dict), "s", 1.0, "faster")
    before = median_seconds(lambda: original.predict_proba(one_frame))
    show("one row", before, median_seconds(lambda: model.predict_proba(one_dict)), "ms", 1e-3, "faster")

    expected, found = original.predict_proba(rows), model.predict_proba(rows)
    labels = int((original.predict(rows) != model.predict(rows)).sum())
    same = (
        "equal to the last bit" if np.array_equal(expected, found) else f"within {np.abs(expected - found).max():.1e}"
    )
    print(f"\n  {len(rows):,} rows that the model had not seen: {labels} labels differ, probabilities {same}.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
