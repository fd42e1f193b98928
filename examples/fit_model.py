"""A heavy pipeline as one meets them: census rows, imputed, scaled, one-hot encoded, into 200 full-depth trees.

    python examples/fit_model.py FOLDER

writes FOLDER/model.pkl and FOLDER/rows.csv (rows that the model has not seen, with their answers). The rows are those
of `adult.csv` where the shared data is there (SLIMML_SHARED, else `shared` beside the repository), else generated ones.
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

TARGET = "income"


def census_rows() -> tuple[str, pd.DataFrame]:
    """Where the rows come from, and the rows."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    table = Path(os.environ.get("SLIMML_SHARED") or beside) / "data" / "adult.csv"
    if table.is_file():
        return "the UCI Adult table", pd.read_csv(table, na_values=["?"])
    return "generated rows", generated_rows(32_000, np.random.default_rng(0))


def generated_rows(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rows with the columns and the rough habits of the census table."""
    employers = np.array(["Private", "Self-emp", "Local-gov", "State-gov", None], dtype=object)
    schooling = np.array(["HS-grad", "Some-college", "Bachelors", "Masters", "11th", "Assoc-voc", "Doctorate"])
    jobs = np.array(["Clerical", "Craft", "Executive", "Service", "Specialist", "Sales", None], dtype=object)
    frame = pd.DataFrame(
        {
            "age": rng.integers(17, 91, n),
            "workclass": rng.choice(employers, n, p=[0.7, 0.1, 0.1, 0.05, 0.05]),
            "fnlwgt": rng.lognormal(12, 0.5, n).astype(int),
            "education": rng.choice(schooling, n),
            "education_num": rng.integers(1, 17, n),
            "marital_status": rng.choice(["Married", "Never-married", "Divorced", "Widowed"], n),
            "occupation": rng.choice(jobs, n),
            "sex": rng.choice(["Female", "Male"], n),
            "capital_gain": np.where(rng.random(n) < 0.08, rng.integers(100, 99_999, n), 0),
            "hours_per_week": np.clip(rng.normal(40, 12, n), 1, 99).astype(int),
        }
    )
    score = (frame["age"] - 40) / 30 + (frame["education_num"] - 10) / 4 + (frame["hours_per_week"] - 40) / 25
    score += (frame["marital_status"] == "Married") + (frame["capital_gain"] > 5000) * 3 - 1.5
    frame[TARGET] = np.where(score + rng.logistic(size=n) > 0, ">50K", "<=50K")
    return frame


def fit(x: pd.DataFrame, y: pd.Series) -> object:
    """What a practitioner writes."""
    numbers = x.select_dtypes("number").columns.tolist()
    categories = [c for c in x.columns if c not in numbers]
    prepare = ColumnTransformer(
        [
            ("num", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (
                "cat",
                make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
                categories,
            ),
        ]
    )
    return make_pipeline(prepare, RandomForestClassifier(100, random_state=0)).fit(x, y)


def main(folder: Path) -> None:
    """Fit on three quarters of the rows, keep the rest."""
    source, frame = census_rows()
    train, rows = train_test_split(frame, test_size=0.25, random_state=0)
    print(f"Fitting 200 trees on {len(train):,} rows ({source}) ...", flush=True)
    model = fit(train.drop(columns=TARGET), train[TARGET])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    rows.to_csv(folder / "rows.csv", index=False)
    print(f"{folder / 'model.pkl'}: {(folder / 'model.pkl').stat().st_size / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
