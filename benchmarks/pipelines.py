"""Real pipelines on real tables: what `slimml shrink` is measured on.

    python -m benchmarks.pipelines [NAME ...] [--cache FOLDER]

writes NAME.pkl (the fitted pipeline) and NAME.csv (the held-out rows, input columns only) for each name. The tables are
the shared ones (see tests/shared.py). Every pipeline is fitted on a seeded 75 % of the rows; what was built before by
the same code, scikit-learn and table is taken from the cache (`SLIMML_BENCH_CACHE`, else `.bench`).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pickle
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from lightgbm import LGBMClassifier
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC
from xgboost import XGBRegressor

from tests.shared import ROOT, shared_dir, why_no_shared

SEED = 1994


@dataclass(frozen=True)
class Recipe:
    """A table, the column to predict, and the pipeline for its input columns, not yet fitted."""

    table: str
    target: str
    make: Callable[[pd.DataFrame | pd.Series], Pipeline]
    # The one column that a text model is fitted on, as the series that a vectorizer takes.
    text: str | None = None


@dataclass(frozen=True)
class Built:
    """A fitted pipeline on disk, with the rows that it saw and those that it did not."""

    path: Path
    csv: Path
    train_X: pd.DataFrame | pd.Series
    train_y: pd.Series
    held_out_X: pd.DataFrame | pd.Series
    held_out_y: pd.Series


def read_table(name: str) -> pd.DataFrame:
    """A shared table as a practitioner reads it, with what stands for missing made missing."""
    folder = shared_dir()
    if folder is None:
        raise FileNotFoundError(why_no_shared())
    frame = pd.read_csv(folder / "data" / f"{name}.csv", na_values=["?"])
    if name == "telco":
        frame["TotalCharges"] = pd.to_numeric(frame["TotalCharges"], errors="coerce")
        return frame.drop(columns="customerID")
    return frame


def impute_scale_one_hot(model: BaseEstimator) -> Callable[[pd.DataFrame], Pipeline]:
    """Numbers imputed and scaled, categories imputed and one-hot encoded, then the model."""

    def make(x: pd.DataFrame) -> Pipeline:
        numbers, categories = _kinds(x)
        number_steps = Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
        category_steps = Pipeline(
            [("impute", SimpleImputer(strategy="most_frequent")), ("encode", OneHotEncoder(handle_unknown="ignore"))]
        )
        prepare = ColumnTransformer([("num", number_steps, numbers), ("cat", category_steps, categories)])
        return Pipeline([("prep", prepare), ("model", model)])

    return make


def ordinal_histogram_boosting(x: pd.DataFrame) -> Pipeline:
    """Categories as codes, numbers as they are: histogram boosting takes missing values itself."""
    numbers, categories = _kinds(x)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    prepare = ColumnTransformer([("cat", encoder, categories), ("num", "passthrough", numbers)])
    model = HistGradientBoostingClassifier(
        max_iter=300, categorical_features=list(range(len(categories))), random_state=SEED
    )
    return Pipeline([("prep", prepare), ("model", model)])


def text_model(model: BaseEstimator) -> Callable[[pd.DataFrame], Pipeline]:
    """Words and pairs of words, weighed, then the model."""

    def make(_: pd.DataFrame) -> Pipeline:
        return Pipeline([("words", TfidfVectorizer(ngram_range=(1, 2))), ("model", model)])

    return make


def stack() -> StackingClassifier:
    """Three unlike learners, and a logistic regression that weighs what they say."""
    members = [
        ("forest", RandomForestClassifier(100, random_state=SEED)),
        ("boosting", HistGradientBoostingClassifier(max_iter=100, random_state=SEED)),
        ("linear", LogisticRegression(max_iter=1000)),
    ]
    return StackingClassifier(members, final_estimator=LogisticRegression(), cv=3)


def _kinds(x: pd.DataFrame) -> tuple[list[str], list[str]]:
    numbers = x.select_dtypes("number").columns.tolist()
    return numbers, [c for c in x.columns if c not in numbers]


PIPELINES: dict[str, Recipe] = {
    "adult-logistic": Recipe("adult", "income", impute_scale_one_hot(LogisticRegression(max_iter=1000))),
    "adult-forest": Recipe("adult", "income", impute_scale_one_hot(RandomForestClassifier(200, random_state=SEED))),
    "adult-hgb": Recipe("adult", "income", ordinal_histogram_boosting),
    "housing-forest": Recipe(
        "housing", "median_house_value", impute_scale_one_hot(RandomForestRegressor(200, random_state=SEED))
    ),
    "housing-boosting": Recipe(
        "housing",
        "median_house_value",
        impute_scale_one_hot(GradientBoostingRegressor(n_estimators=300, max_depth=5, random_state=SEED)),
    ),
    "telco-trees": Recipe("telco", "Churn", impute_scale_one_hot(ExtraTreesClassifier(300, random_state=SEED))),
    "diamonds-xgboost": Recipe(
        "diamonds", "price", impute_scale_one_hot(XGBRegressor(n_estimators=500, max_depth=8, random_state=SEED))
    ),
    "telco-lightgbm": Recipe(
        "telco", "Churn", impute_scale_one_hot(LGBMClassifier(n_estimators=300, random_state=SEED, verbose=-1))
    ),
    "telco-svc": Recipe("telco", "Churn", impute_scale_one_hot(SVC())),
    "telco-stacking": Recipe("telco", "Churn", impute_scale_one_hot(stack())),
    "sms-logistic": Recipe("sms", "label", text_model(LogisticRegression(max_iter=1000)), text="text"),
    "sms-bayes": Recipe("sms", "label", text_model(MultinomialNB()), text="text"),
}


def build(name: str, cache_dir: Path | None = None) -> Built:
    """The fitted pipeline and its rows, cached. Raises FileNotFoundError without the table."""
    recipe = PIPELINES[name]
    table = read_table(recipe.table)
    x, y = table[recipe.text] if recipe.text else table.drop(columns=recipe.target), table[recipe.target]
    train_x, held_out_x, train_y, held_out_y = train_test_split(x, y, test_size=0.25, random_state=SEED)
    folder = cache_dir or Path(os.environ.get("SLIMML_BENCH_CACHE") or ROOT / ".bench")
    built = Built(folder / f"{name}.pkl", folder / f"{name}.csv", train_x, train_y, held_out_x, held_out_y)

    stamp, made_from = folder / f"{name}.made-from", _fingerprint(table)
    if not (built.path.is_file() and built.csv.is_file() and stamp.is_file() and stamp.read_text() == made_from):
        folder.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        _write(built.path, pickle.dumps(_fit(recipe.make(x), train_x, train_y)))
        _write(built.csv, held_out_x.to_csv(index=False).encode())
        _write(stamp, made_from.encode())
    return built


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: test workers may build the same pipeline at once."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)


def _fit(pipeline: Pipeline, x: pd.DataFrame | pd.Series, y: pd.Series) -> Pipeline:
    model = pipeline[-1]
    if "n_jobs" in model.get_params() and not isinstance(model, LogisticRegression):
        model.set_params(n_jobs=-1)
        # Kept at None: with more jobs scikit-learn itself adds trees in the order in which threads end.
        return pipeline.fit(x, y).set_params(model__n_jobs=None)
    return pipeline.fit(x, y)


def _fingerprint(table: pd.DataFrame) -> str:
    rows = pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes()
    digest = hashlib.sha256(Path(__file__).read_bytes() + rows).hexdigest()
    return f"scikit-learn {sklearn.__version__}, numpy {np.__version__}, code and table {digest}"


def main(arguments: list[str] | None = None) -> int:
    """Build the pipelines that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipelines", description="Build the pipelines.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PIPELINES))
    parser.add_argument("--cache", type=Path, help="folder to write to (default: SLIMML_BENCH_CACHE, else .bench)")
    options = parser.parse_args(arguments)
    if unknown := [n for n in options.names if n not in PIPELINES]:
        parser.error(f"no pipeline {', '.join(unknown)}; there are {', '.join(PIPELINES)}")
    for name in options.names or PIPELINES:
        start = time.perf_counter()
        try:
            built = build(name, options.cache)
        except FileNotFoundError as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 2
        seconds = time.perf_counter() - start
        size = built.path.stat().st_size / 1e6
        print(f"{name:18} {size:8.1f} MB  {len(built.held_out_X):6} held-out rows  {seconds:5.1f} s  {built.path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
