"""One small fitted model per supported estimator and option that changes what it computes.

    for model in ZOO: ...                       # a list to parametrize over; nothing is fitted yet
    estimator, rows = zoo_model("forest/binary")    # fitted on first use, then kept

`rows` are held-out rows that the estimator answers: a frame where it was fitted on a frame, a list of texts where it
reads texts, else an array. Where the
estimator allows it they hold missing values, categories that were never seen, and numbers beyond the training range.
A new estimator or option is covered everywhere by one line here.
"""

from __future__ import annotations

import os
import pickle
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from lightgbm import LGBMClassifier, LGBMRanker, LGBMRegressor
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA, IncrementalPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import (
    enable_halving_search_cv,  # noqa: F401 (makes an import below possible)
    enable_iterative_imputer,  # noqa: F401
)
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.feature_selection import (
    RFE,
    RFECV,
    GenericUnivariateSelect,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
    f_regression,
)
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel
from sklearn.impute import IterativeImputer, KNNImputer, MissingIndicator, SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import (
    ARDRegression,
    BayesianRidge,
    ElasticNet,
    ElasticNetCV,
    GammaRegressor,
    HuberRegressor,
    Lars,
    LarsCV,
    Lasso,
    LassoCV,
    LassoLars,
    LassoLarsCV,
    LassoLarsIC,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    MultiTaskElasticNet,
    MultiTaskElasticNetCV,
    MultiTaskLasso,
    MultiTaskLassoCV,
    OrthogonalMatchingPursuit,
    OrthogonalMatchingPursuitCV,
    PassiveAggressiveClassifier,
    PassiveAggressiveRegressor,
    Perceptron,
    PoissonRegressor,
    QuantileRegressor,
    RANSACRegressor,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
    TheilSenRegressor,
    TweedieRegressor,
)
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    LocalOutlierFactor,
    NearestCentroid,
    RadiusNeighborsClassifier,
    RadiusNeighborsRegressor,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    LabelBinarizer,
    LabelEncoder,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC, NuSVR, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

TRAIN_ROWS, TRY_ROWS = 240, 80


@dataclass(frozen=True)
class ZooModel:
    """A named recipe: `build` fits the estimator and returns it with rows to try."""

    name: str
    build: Callable[[], tuple[Any, Any]]


@cache
def zoo_model(name: str) -> tuple[Any, Any]:
    """The fitted estimator and its rows; do not change either."""
    folder = os.environ.get("SLIMML_ZOO")
    if folder is None:
        return _recipe(name).build()
    # The processes of one test run share what one of them has fitted.
    kept = Path(folder) / f"{name.replace('/', '--')}.pkl"
    if not kept.exists():
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(pickle.dumps(_recipe(name).build()))
        os.replace(file.name, kept)
    estimator, rows = pickle.loads(kept.read_bytes())
    return estimator, rows


def _recipe(name: str) -> ZooModel:
    return next(m for m in ZOO if m.name == name)


# ---------------------------------------------------------------------------------------------------------- tables

NUMBERS = ["age", "hours", "income", "visits"]
CATEGORIES = ["city", "job"]


def people(n: int, seed: int, *, unseen: bool = False) -> pd.DataFrame:
    """Rows as a practitioner's CSV gives them; `unseen` adds values that the training rows do not have."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.integers(17, 91, n),
            "hours": np.where(rng.random(n) < 0.15, np.nan, np.round(rng.normal(40, 12, n), 1)),
            "income": np.where(rng.random(n) < 0.1, np.nan, rng.lognormal(10, 1, n)),
            "visits": np.where(rng.random(n) < 0.2, -1, rng.poisson(3, n)),  # -1: not known
            "member": rng.random(n) < 0.4,
            "plan": rng.choice([1, 2, 5, 10], n),
            "score": rng.choice([0.5, 1.0, 2.5, np.nan], n, p=[0.4, 0.3, 0.2, 0.1]),
            "grade": rng.choice(["low", "mid", "high"], n),
        }
    )
    city = rng.choice(["Bern", "Köln", "Oslo", "Paris", "São Paulo"], n, p=[0.4, 0.3, 0.2, 0.08, 0.02])
    frame["city"] = pd.Series(city, dtype="str").mask(rng.random(n) < 0.12)
    frame["job"] = pd.Series(rng.choice(["clerk", "nurse", "smith", "cook"], n, p=[0.5, 0.35, 0.1, 0.05]), dtype="str")
    region = np.array([None, "north", "south"], dtype=object)
    frame["region"] = pd.Series(region[rng.choice(3, n, p=[0.2, 0.4, 0.4])], dtype=object)
    frame["empty"] = np.nan
    if unseen:
        frame.loc[0:2, "city"] = ["Atlantis", "", "oslo"]
        frame.loc[3:5, "job"] = ["pilot", np.nan, "Clerk"]
        frame.loc[6:8, "plan"] = [7, 0, -3]
        frame.loc[0:1, "hours"] = [-1e9, 1e9]
        frame.loc[2:3, "age"] = [0, 10**6]
    return frame


def numbers(n: int, seed: int, *, missing: bool = False) -> np.ndarray:
    """Six columns of kinds that tables have: normal, count, skewed, binary, on a grid, and one that never changes."""
    rng = np.random.default_rng(seed)
    columns = [rng.normal(0, 1, n), rng.poisson(2, n), rng.lognormal(0, 1, n), rng.random(n) < 0.3]
    x = np.column_stack([*columns, np.round(rng.uniform(-2, 2, n), 1), np.full(n, 3.0)])
    if missing:
        x[:, :5][rng.random((n, 5)) < 0.15] = np.nan
    return x


_SUBJECTS = ("FREE prize", "your parcel", "the meeting", "İstanbul trip", "Straße café", "o'clock tea")
_VERBS = ("won!!", "is late, call 0800-123", "was re-scheduled", "needs you_now", "naïve & nai\u0308ve")
_ENDS = ("", " Now.", " ok? OK", " \u00a0 x  y", " 😀 win £100", " tomorrow the meeting")


def messages(n: int, seed: int, *, unseen: bool = False) -> list[str]:
    """Short texts of a few topics; `unseen` adds words that the training texts do not have."""
    rng = np.random.default_rng(seed)
    picks = [rng.choice(part, n) for part in (_SUBJECTS, _VERBS, _ENDS)]
    texts = [f"{a} {b}{c}" for a, b, c in zip(*(p.tolist() for p in picks), strict=True)]
    if unseen:
        texts[:4] = ["", "   ", "completely other words", "prize prize PRIZE the the"]
    return texts


def _signal(x: Any, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 0.4, len(x))
    if isinstance(x, list):
        return np.array([("prize" in t) + 0.5 * ("!!" in t) - ("meeting" in t) for t in x]) + noise
    if isinstance(x, pd.DataFrame):
        job = x["job"].map({"clerk": -0.5, "nurse": 0.3, "smith": 0.9, "cook": 0.0}).to_numpy(float)
        known = (x["age"] - 54) / 25 + (x["hours"].fillna(30) - 40) / 20 + x["city"].isna() * 0.8
        return known.to_numpy(float) + job + noise
    filled = np.nan_to_num(x, nan=1.5)
    return filled[:, 0] + 0.5 * (filled[:, 1] - 2) * filled[:, 4] - filled[:, 3] + 0.3 * np.isnan(x[:, 2]) + noise


TARGETS: dict[str, Callable[[np.ndarray], Any]] = {
    "binary": lambda s: (s > 0).astype(int),
    "signs": lambda s: np.where(s > 0.2, 1, -1),
    "bool": lambda s: s > 0,
    "yes/no": lambda s: np.where(s > 0, "yes", "no"),
    "three": lambda s: np.digitize(s, [-0.7, 0.5]),
    "odd": lambda s: np.array([3, 7, 40])[np.digitize(s, [-0.7, 0.5])],
    "words": lambda s: np.array(["gold", "iron", "tin"], dtype=object)[np.digitize(s, [-0.7, 0.5])],
    "one class": lambda s: np.full(len(s), 4),
    "amount": lambda s: 3.0 * s + 0.1 * s**2,
    "amount column": lambda s: (3.0 * s)[:, None],
    "two amounts": lambda s: np.column_stack([s, np.sin(2 * s) - 5]),
    "positive": lambda s: np.exp(0.7 * s),
    "share": lambda s: 1 / (1 + np.exp(-s)),
    "count": lambda s: np.floor(np.exp(0.5 * s)),
    "constant": lambda s: np.full(len(s), 2.5),
    "two labels": lambda s: np.column_stack([s > 0, np.digitize(s, [-1, 0, 1])]).astype(int),
    "two bits": lambda s: np.column_stack([s > 0, np.abs(s) < 0.7]).astype(int),
    "two words": lambda s: np.column_stack(
        [np.where(s > 0, "up", "down"), np.where(np.abs(s) < 0.7, "near", np.where(s > 0, "far", "low"))]
    ).astype(object),
}


def _fitted(estimator: Any, rows: Any, signal: np.ndarray, target: str | None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # imputers without observed values, drop= beside unknown categories
        fitted = clone(estimator).fit(rows, None if target is None else TARGETS[target](signal))
    # PCA keeps a view with gaps and a pickle does not, so that BLAS adds in another order: users load the latter.
    return pickle.loads(pickle.dumps(fitted))


def frame(
    name: str,
    estimator: Any,
    target: str | None = None,
    *,
    columns: list[str] | None = None,
    unseen: bool = True,
    prepare: Callable[[pd.DataFrame], pd.DataFrame] = lambda x: x,
) -> ZooModel:
    """Fitted on a frame. `unseen=False` where the estimator refuses categories that it does not know."""

    def build() -> tuple[Any, Any]:
        pick = columns if columns is not None else list(people(1, 0))
        train = people(TRAIN_ROWS, 1)
        fitted = _fitted(estimator, prepare(train)[pick], _signal(train, 5), target)
        return fitted, prepare(people(TRY_ROWS, 2, unseen=unseen))[pick]

    return ZooModel(name, build)


def array(
    name: str,
    estimator: Any,
    target: str | None = None,
    *,
    missing: bool = False,
    float32: bool = False,
    width: int | None = None,
) -> ZooModel:
    """Fitted on a plain array, or its first columns; `float32`: on one of float32, but asked in float64."""

    def build() -> tuple[Any, Any]:
        train, rows = numbers(TRAIN_ROWS, 3, missing=missing), numbers(TRY_ROWS, 4, missing=missing)
        rows[:3, 0], rows[3:6, 2] = [-1e30, 1e30, -0.0], [0.0, 1e-300, 1e6]
        signal = _signal(train, 5)
        train, rows = train[:, :width], rows[:, :width]
        return _fitted(estimator, train.astype(np.float32) if float32 else train, signal, target), rows

    return ZooModel(name, build)


def documents(name: str, estimator: Any, target: str | None = None) -> ZooModel:
    """Fitted on a list of texts."""

    def build() -> tuple[Any, Any]:
        train = messages(TRAIN_ROWS, 1)
        return _fitted(estimator, train, _signal(train, 5), target), messages(TRY_ROWS, 2, unseen=True)

    return ZooModel(name, build)


def counts(name: str, estimator: Any, target: str, *, top: int = 6) -> ZooModel:
    """Fitted on a plain array of small counts, as naive Bayes likes them."""

    def build() -> tuple[Any, Any]:
        train, rows = (np.random.default_rng(s).poisson(1.5, (n, 5)) % top for s, n in ((3, TRAIN_ROWS), (4, TRY_ROWS)))
        signal = train[:, 0] - 0.5 * train[:, 1] - 0.4
        return _fitted(estimator, train.astype(float), signal, target), rows.astype(float)

    return ZooModel(name, build)


def with_text(x: pd.DataFrame) -> pd.DataFrame:
    """The table of people with a column of texts."""
    seed = 6 if len(x) == TRAIN_ROWS else 7
    return x.assign(note=pd.Series(messages(len(x), seed, unseen=seed == 7), dtype="str"))


# ------------------------------------------------------------------------------------------------- ways to prepare


def prepared(*, sparse: bool = False) -> ColumnTransformer:
    """What stands in front of most models: numbers imputed and scaled, categories imputed and one-hot encoded."""
    return ColumnTransformer(
        [
            ("num", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
            (
                "cat",
                make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
                CATEGORIES,
            ),
        ],
        sparse_threshold=1.0 if sparse else 0.0,
    )


def ordinal() -> ColumnTransformer:
    """What stands in front of histogram boosting: categories as codes first, numbers as they are."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan)
    return ColumnTransformer([("cat", encoder, CATEGORIES), ("num", "passthrough", NUMBERS)])


def one_hot(columns: list[str] | None = None, **options: Any) -> ColumnTransformer:
    """A one-hot encoder beside scaled numbers, in front of a linear model: every cell reaches the answer."""
    encoder = ("cat", OneHotEncoder(**options), columns or CATEGORIES)
    return ColumnTransformer([encoder, ("num", StandardScaler(), ["age", "visits"])])


def codes(columns: list[str] | None = None, **options: Any) -> ColumnTransformer:
    """An ordinal encoder alone."""
    return ColumnTransformer([("cat", OrdinalEncoder(**options), columns or CATEGORIES)])


def filled(*, columns: list[str] | None = None, **options: Any) -> ColumnTransformer:
    """An imputer alone on columns of numbers."""
    return ColumnTransformer([("num", SimpleImputer(**options), columns or ["hours", "income", "age", "visits"])])


def filled_categories(columns: list[str] | None = None, **options: Any) -> ColumnTransformer:
    """An imputer on categories, then one-hot."""
    steps = make_pipeline(SimpleImputer(**options), OneHotEncoder(handle_unknown="ignore"))
    return ColumnTransformer([("cat", steps, columns or CATEGORIES)])


def beside_text(vectorizer: Any, **options: Any) -> ColumnTransformer:
    """A vectorizer on one column, numbers and categories beside it."""
    encoder = OneHotEncoder(handle_unknown="ignore")
    steps = [("text", vectorizer, "note"), ("num", StandardScaler(), ["age", "visits"]), ("cat", encoder, ["job"])]
    return ColumnTransformer(steps, **options)


def as_category(x: pd.DataFrame) -> pd.DataFrame:
    """Strings as pandas categories over the values of the training rows; others become missing."""
    known = {c: sorted(people(TRAIN_ROWS, 1)[c].dropna().unique()) for c in CATEGORIES}
    return x.assign(**{c: pd.Categorical(x[c].where(x[c].isin(known[c])), categories=known[c]) for c in CATEGORIES})


def as_nullable(x: pd.DataFrame) -> pd.DataFrame:
    """Integers with missing values as pandas keeps them."""
    return x.assign(visits=x["visits"].astype("Int64").mask(x["visits"] == 2), member=x["member"].astype("boolean"))


# ---------------------------------------------------------------------------------------------------------- the zoo


class OnOneColumn(BaseEstimator):
    """Fits what takes a vector, to the only column of a frame."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, x: Any, y: Any) -> Any:
        return self.estimator.fit(x.iloc[:, 0])


# fmt: off
# Tables: one line per model reads better than one per argument.

IMPUTERS = [
    frame("impute/mean", filled(strategy="mean")),
    frame("impute/median", filled(strategy="median")),
    frame("impute/most-frequent", filled(strategy="most_frequent")),
    frame("impute/constant", filled(strategy="constant", fill_value=-7)),
    frame("impute/indicator", filled(strategy="mean", add_indicator=True)),
    frame("impute/sentinel", filled(missing_values=-1, columns=["visits", "age"])),
    frame("impute/sentinel-indicator", filled(missing_values=-1, columns=["visits", "age"], add_indicator=True)),
    frame("impute/empty-dropped", filled(columns=["hours", "empty", "income"])),
    frame("impute/empty-kept", filled(columns=["hours", "empty", "income"], keep_empty_features=True)),
    frame("impute/empty-indicator", filled(columns=["hours", "empty"], keep_empty_features=True, add_indicator=True)),
    frame("impute/strings-most-frequent", filled_categories(strategy="most_frequent")),
    frame("impute/strings-constant", filled_categories(strategy="constant", fill_value="unknown")),
    frame("impute/strings-default-constant", filled_categories(strategy="constant")),
    frame("impute/none", filled_categories(["region"], missing_values=None, strategy="constant", fill_value="?")),
    frame("impute/then-model", make_pipeline(filled(add_indicator=True), LinearRegression()), "amount"),
    frame("impute/sentinel-forest", make_pipeline(
        filled(missing_values=-1, columns=["visits", "age"]), RandomForestClassifier(5, random_state=0)), "binary"),
    array("impute/array", SimpleImputer(strategy="median"), missing=True),
    array("impute/array-integers", SimpleImputer(missing_values=0, strategy="mean")),
]

SCALERS = [
    array("scale/standard", StandardScaler()),
    array("scale/standard-missing", StandardScaler(), missing=True),
    array("scale/standard-no-mean", StandardScaler(with_mean=False)),
    array("scale/standard-no-std", StandardScaler(with_std=False)),
    array("scale/standard-neither", StandardScaler(with_mean=False, with_std=False)),
    array("scale/minmax", MinMaxScaler()),
    array("scale/minmax-clip", MinMaxScaler(feature_range=(-1, 2), clip=True), missing=True),
    array("scale/robust", RobustScaler(), missing=True),
    array("scale/robust-no-center", RobustScaler(with_centering=False, quantile_range=(10, 80), unit_variance=True)),
    array("scale/robust-no-scale", RobustScaler(with_scaling=False)),
    array("scale/maxabs", MaxAbsScaler(), missing=True),
    array("scale/maxabs-clip", MaxAbsScaler(clip=True)),
    frame("scale/frame", StandardScaler(), columns=NUMBERS),
    frame("scale/sparse-standard", make_pipeline(
        OneHotEncoder(handle_unknown="ignore"), StandardScaler(with_mean=False)), columns=CATEGORIES),
    frame("scale/sparse-maxabs", make_pipeline(OneHotEncoder(handle_unknown="ignore"), MaxAbsScaler()),
          columns=CATEGORIES),
    frame("scale/sparse-robust", make_pipeline(
        prepared(sparse=True), RobustScaler(with_centering=False, quantile_range=(0, 100)))),
    frame("scale/sparse-model", make_pipeline(
        prepared(sparse=True), StandardScaler(with_mean=False), LogisticRegression()), "binary"),
    array("scale/chain-forest", make_pipeline(
        StandardScaler(), MinMaxScaler(clip=True), RobustScaler(), RandomForestRegressor(5, random_state=0)), "amount"),
]

ENCODERS = [
    frame("onehot/error", OneHotEncoder(), columns=CATEGORIES, unseen=False),
    frame("onehot/ignore", OneHotEncoder(handle_unknown="ignore"), columns=CATEGORIES),
    frame("onehot/warn", OneHotEncoder(handle_unknown="warn", min_frequency=20), columns=CATEGORIES),
    frame("onehot/infrequent-frequency", OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30),
          columns=CATEGORIES),
    frame("onehot/infrequent-share", OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=0.11),
          columns=CATEGORIES),
    frame("onehot/infrequent-max", OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=3),
          columns=CATEGORIES),
    frame("onehot/infrequent-none-rare", OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=2),
          columns=["grade", "job"]),
    frame("onehot/infrequent-drop", OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=30, drop="first"), columns=CATEGORIES),
    frame("onehot/drop-first", OneHotEncoder(drop="first"), columns=CATEGORIES, unseen=False),
    frame("onehot/drop-first-ignore", OneHotEncoder(drop="first", handle_unknown="ignore"), columns=CATEGORIES),
    frame("onehot/drop-if-binary", OneHotEncoder(drop="if_binary", handle_unknown="ignore"),
          columns=["region", "member", "grade"]),
    frame("onehot/drop-named", OneHotEncoder(drop=["Oslo", "nurse"]), columns=CATEGORIES, unseen=False),
    frame("onehot/dense", OneHotEncoder(sparse_output=False, handle_unknown="ignore"), columns=CATEGORIES),
    frame("onehot/float32", OneHotEncoder(dtype=np.float32, handle_unknown="ignore"), columns=CATEGORIES),
    frame("onehot/given-categories", OneHotEncoder(
        categories=[["Paris", "Bern", "Nowhere"], ["cook", "clerk"]], handle_unknown="ignore"), columns=CATEGORIES),
    frame("onehot/numbers", OneHotEncoder(handle_unknown="ignore"), columns=["plan"]),
    frame("onehot/numbers-missing", OneHotEncoder(handle_unknown="ignore"), columns=["score", "plan"]),
    frame("onehot/none", OneHotEncoder(handle_unknown="ignore"), columns=["region"]),
    frame("onehot/bool", OneHotEncoder(), columns=["member", "grade"]),
    frame("onehot/mixed", OneHotEncoder(handle_unknown="ignore"),
          columns=["member", "plan", "score", "city", "region"]),
    frame("onehot/then-linear", make_pipeline(one_hot(handle_unknown="ignore"), LogisticRegression()), "binary"),
    frame("onehot/float32-linear", make_pipeline(
        one_hot(handle_unknown="ignore", dtype=np.float32), LinearRegression()), "amount"),
    array("onehot/array", OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=4)),
    frame("ordinal/error", OrdinalEncoder(), columns=CATEGORIES, unseen=False),
    frame("ordinal/unknown", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), columns=CATEGORIES),
    frame("ordinal/unknown-nan", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan),
          columns=CATEGORIES),
    frame("ordinal/missing", OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2), columns=["city", "score"]),
    frame("ordinal/infrequent-frequency", OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=30), columns=CATEGORIES),
    frame("ordinal/infrequent-max", OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=99, max_categories=2, encoded_missing_value=-5),
        columns=CATEGORIES),
    frame("ordinal/numbers", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
          columns=["plan", "score", "member"]),
    frame("ordinal/none", OrdinalEncoder(), columns=["region"]),
    frame("ordinal/given-categories", OrdinalEncoder(
        categories=[["low", "mid", "high"]], dtype=np.int32), columns=["grade"]),
    frame("ordinal/float32", OrdinalEncoder(dtype=np.float32), columns=["grade", "plan"], unseen=False),
    frame("ordinal/then-forest", make_pipeline(
        codes(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
        RandomForestClassifier(8, random_state=0)), "binary"),
]

COMPOSITIONS = [
    frame("compose/names", ColumnTransformer(
        [("a", StandardScaler(), ["income", "age"]), ("b", SimpleImputer(), ["hours"])])),
    frame("compose/positions", ColumnTransformer([("a", StandardScaler(), [2, 0]), ("b", SimpleImputer(), [-11])])),
    frame("compose/slices", ColumnTransformer(
        [("a", StandardScaler(), slice(0, 2)), ("b", SimpleImputer(), slice("income", "visits"))])),
    frame("compose/mask", ColumnTransformer([("a", StandardScaler(), [c in NUMBERS for c in people(1, 0)])])),
    frame("compose/selectors", make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_include=np.number)),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(pattern="^(city|job)$")))),
    frame("compose/same-column-twice", ColumnTransformer(
        [("a", StandardScaler(), ["age", "visits"]), ("b", MinMaxScaler(), ["visits", "age"])])),
    frame("compose/drop", ColumnTransformer([("a", StandardScaler(), ["age"]), ("b", "drop", ["hours"])])),
    frame("compose/no-columns", ColumnTransformer([("a", StandardScaler(), ["age"]), ("b", SimpleImputer(), [])])),
    frame("compose/passthrough", ColumnTransformer(
        [("a", StandardScaler(), ["income"]), ("b", "passthrough", ["hours", "age"])])),
    frame("compose/passthrough-mixed", make_pipeline(ColumnTransformer(
        [("a", StandardScaler(), ["visits"]), ("b", "passthrough", ["plan", "age", "member"])]), LinearRegression()),
        "amount"),
    frame("compose/passthrough-integers", ColumnTransformer([("a", "passthrough", ["age", "plan"])])),
    frame("compose/passthrough-bools", ColumnTransformer([("a", "passthrough", ["member"])])),
    frame("compose/remainder-passthrough", ColumnTransformer(
        [("a", StandardScaler(), ["age"])], remainder="passthrough"), columns=["hours", "age", "visits", "income"]),
    frame("compose/remainder-estimator", ColumnTransformer(
        [("a", OneHotEncoder(handle_unknown="ignore"), CATEGORIES)], remainder=SimpleImputer()),
        columns=["hours", "city", "age", "job", "visits"]),
    frame("compose/sparse-output", prepared(sparse=True)),
    frame("compose/dense-output", prepared()),
    frame("compose/sparse-by-density", ColumnTransformer(
        [("a", OneHotEncoder(handle_unknown="ignore"), ["city", "job", "plan"]), ("b", StandardScaler(), ["age"])],
        sparse_threshold=0.5)),
    frame("compose/sparse-model", make_pipeline(prepared(sparse=True), LogisticRegression()), "binary"),
    frame("compose/weights", ColumnTransformer(
        [("a", StandardScaler(), ["age"]), ("b", OneHotEncoder(handle_unknown="ignore"), ["job"])],
        transformer_weights={"a": 2.5, "b": 0.3})),
    frame("compose/nested", make_pipeline(ColumnTransformer(
        [("in", ColumnTransformer([("a", StandardScaler(), ["age"])], remainder="passthrough"), ["age", "plan"]),
         ("cat", make_pipeline(SimpleImputer(strategy="most_frequent"), make_pipeline(OrdinalEncoder(
             handle_unknown="use_encoded_value", unknown_value=-1))), CATEGORIES)]), Ridge()), "amount"),
    frame("compose/on-array", make_pipeline(SimpleImputer(), ColumnTransformer(
        [("a", StandardScaler(), slice(0, 2)), ("b", MinMaxScaler(), [3, 2])]), LinearRegression()), "amount",
        columns=NUMBERS),
    array("compose/array-remainder", make_pipeline(ColumnTransformer(
        [("a", StandardScaler(), [4, 0])], remainder="passthrough"), LinearRegression()), "amount"),
    frame("compose/pandas-output", make_pipeline(ColumnTransformer(
        [("a", StandardScaler(), ["age"]), ("b", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["job"])],
        verbose_feature_names_out=False).set_output(transform="pandas"), LogisticRegression()), "binary"),
    frame("compose/nullable-integers", make_pipeline(ColumnTransformer(
        [("a", SimpleImputer(), ["visits", "age"])]), LinearRegression()), "amount", prepare=as_nullable),
    array("pipeline/passthrough", Pipeline(
        [("skip", "passthrough"), ("scale", StandardScaler()), ("none", None), ("model", LinearRegression())]),
        "amount"),
    array("pipeline/ends-in-passthrough", Pipeline([("scale", StandardScaler()), ("end", "passthrough")])),
    array("pipeline/nested", make_pipeline(
        make_pipeline(SimpleImputer(), make_pipeline(StandardScaler())), make_pipeline(MinMaxScaler(), Ridge())),
        "amount", missing=True),
    array("union/plain", FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler())])),
    array("union/weights-drop-passthrough", make_pipeline(FeatureUnion(
        [("a", StandardScaler()), ("x", "drop"), ("b", MinMaxScaler()), ("c", "passthrough")],
        transformer_weights={"a": 0.5, "c": 3}), LinearRegression()), "amount"),
    frame("union/sparse", FeatureUnion(
        [("a", OneHotEncoder(handle_unknown="ignore")), ("b", OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1))]), columns=CATEGORIES),
]

BINS = [
    array("bins/one-hot", KBinsDiscretizer(quantile_method="averaged_inverted_cdf")),
    array("bins/dense", KBinsDiscretizer(4, encode="onehot-dense", strategy="uniform")),
    array("bins/ordinal", KBinsDiscretizer(3, encode="ordinal", strategy="kmeans")),
    array("bins/linear", make_pipeline(KBinsDiscretizer(4, strategy="uniform"), LinearRegression()), "amount"),
    array("bins/tree", make_pipeline(
        KBinsDiscretizer(6, encode="ordinal", strategy="uniform"), DecisionTreeRegressor(random_state=0)), "amount"),
    array("bins/binarizer", Binarizer(threshold=0.5)),
    array("bins/binarizer-zero", make_pipeline(Binarizer(), LinearRegression()), "amount"),
    frame("target/binary", TargetEncoder(random_state=0), "yes/no", columns=CATEGORIES),
    frame("target/three", TargetEncoder(random_state=0), "words", columns=[*CATEGORIES, "plan"]),
    frame("target/continuous", make_pipeline(TargetEncoder(smooth=3.0), LinearRegression()), "amount",
          columns=["job", "grade", "plan"]),
]

FUNCTIONS = [
    array("function/logarithm", make_pipeline(
        FunctionTransformer(np.abs), FunctionTransformer(np.log1p), LinearRegression()), "amount"),
    frame("function/columns", make_pipeline(ColumnTransformer(
        [("root", FunctionTransformer(np.sqrt, feature_names_out="one-to-one"), ["income", "age"]),
         ("cube", FunctionTransformer(np.cbrt), ["visits"])]), HistGradientBoostingRegressor(max_iter=4)), "amount"),
]

SKEWED = [
    array("skewed/yeo-johnson", make_pipeline(PowerTransformer(), LinearRegression()), "amount"),
    frame("skewed/box-cox", make_pipeline(ColumnTransformer(
        [("a", PowerTransformer("box-cox", standardize=False), ["income", "age"])]),
        HistGradientBoostingRegressor(max_iter=4)), "amount", unseen=False),
    array("skewed/uniform", make_pipeline(
        QuantileTransformer(n_quantiles=30), RandomForestRegressor(4, random_state=0)), "amount"),
    array("skewed/normal", QuantileTransformer(n_quantiles=50, output_distribution="normal"), missing=True),
]

ROWS_AND_PRODUCTS = [
    array("polynomial/linear", make_pipeline(StandardScaler(), PolynomialFeatures(3), LinearRegression()), "amount"),
    array("polynomial/tree", make_pipeline(
        PolynomialFeatures((2, 3), interaction_only=True), DecisionTreeRegressor(max_depth=4)), "amount"),
    frame("polynomial/sparse", make_pipeline(
        OneHotEncoder(handle_unknown="ignore"), PolynomialFeatures(2, include_bias=False), MaxAbsScaler(), Normalizer(),
        LogisticRegression()), "binary", columns=CATEGORIES),
    array("spline/linear", make_pipeline(SplineTransformer(4, extrapolation="linear"), LinearRegression()), "amount"),
    array("spline/tree", make_pipeline(
        SplineTransformer(3, handle_missing="zeros"), DecisionTreeRegressor(max_depth=3)), "amount", missing=True),
    array("impute/iterative", make_pipeline(
        IterativeImputer(max_iter=3, min_value=-1.0, add_indicator=True), LinearRegression()), "amount", missing=True),
    array("normalizer/linear", make_pipeline(Normalizer(), LinearRegression()), "amount"),
    array("normalizer/max", make_pipeline(MaxAbsScaler(), Normalizer("max"))),
    array("indicator/new", MissingIndicator(), missing=True),
    frame("indicator/union", make_pipeline(FeatureUnion(
        [("values", SimpleImputer()), ("missing", MissingIndicator(features="all", sparse=True))]),
        LinearRegression()), "amount", columns=NUMBERS),
]

SELECTED = [
    array(f"select/{name}", make_pipeline(selector, LinearRegression()), "amount")
    for name, selector in {
        "best": SelectKBest(f_regression, k=3), "all": SelectKBest(f_regression, k="all"),
        "percentile": SelectPercentile(f_regression, percentile=60), "fpr": SelectFpr(f_regression),
        "fdr": SelectFdr(f_regression), "fwe": SelectFwe(f_regression),
        "generic": GenericUnivariateSelect(f_regression, mode="k_best", param=2),
    }.items()
] + [
    array("select/rfe", RFE(LogisticRegression(max_iter=500), n_features_to_select=3), "words"),
    array("select/rfecv", make_pipeline(StandardScaler(), RFECV(Ridge(), cv=2)), "amount"),
    array("select/from-forest", make_pipeline(
        SelectFromModel(RandomForestClassifier(5, max_depth=3, random_state=0)), LogisticRegression()), "binary"),
    array("select/sequential", SequentialFeatureSelector(Ridge(), n_features_to_select=2, cv=2), "amount"),
    array("select/variance", VarianceThreshold(0.3), missing=True),
    array("select/variance-zero", make_pipeline(VarianceThreshold(), LinearRegression()), "amount"),
]

LABELS = [
    frame("labels/encoder", OnOneColumn(LabelEncoder()), columns=["x0"], prepare=lambda x: x.assign(x0=x["grade"])),
    frame("labels/binarizer", OnOneColumn(LabelBinarizer(neg_label=-1)), columns=["x0"],
          prepare=lambda x: x.assign(x0=x["plan"])),
]

LINEAR = [
    array("linear/regression", LinearRegression(), "amount"),
    # Fitted on float32: see parity/test_float32.py for what they answer to float32 rows.
    array("float32/linear", LinearRegression(), "amount", float32=True),
    array("float32/no-intercept", LinearRegression(fit_intercept=False), "amount", float32=True),
    array("float32/ridge", make_pipeline(StandardScaler(), Ridge()), "two amounts", float32=True),
    array("float32/logistic", make_pipeline(MinMaxScaler(), LogisticRegression()), "binary", float32=True),
    array("float32/logistic-three", make_pipeline(RobustScaler(), LogisticRegression()), "words", float32=True),
    array("float32/union", FeatureUnion(
        [("a", StandardScaler()), ("b", MaxAbsScaler())], transformer_weights={"a": 2.5}), float32=True),
    array("float32/imputed", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), Ridge()), "amount",
        missing=True, float32=True),
    array("float32/pca", make_pipeline(StandardScaler(), PCA(2, whiten=True)), float32=True),
    array("float32/mlp", make_pipeline(
        StandardScaler(), MLPRegressor(hidden_layer_sizes=(4,), max_iter=20, random_state=0)), "amount", float32=True),
    array("float32/mlp-three", make_pipeline(
        StandardScaler(), MLPClassifier((4,), "tanh", max_iter=20, random_state=0)), "three", float32=True),
    array("float32/voting", VotingRegressor([("a", LinearRegression()), ("b", Ridge())]), "amount", float32=True),
    array("linear/no-intercept", LinearRegression(fit_intercept=False), "amount"),
    array("linear/two-outputs", LinearRegression(), "two amounts"),
    array("linear/column-target", LinearRegression(), "amount column"),
    array("linear/positive", LinearRegression(positive=True), "amount"),
    frame("linear/pipeline", make_pipeline(prepared(), LinearRegression()), "amount"),
    array("ridge/regression", Ridge(), "amount"),
    array("ridge/no-intercept", Ridge(alpha=3.0, fit_intercept=False), "amount"),
    array("ridge/two-outputs", Ridge(), "two amounts"),
    array("ridge/column-target", Ridge(), "amount column"),
    frame("ridge/sparse-pipeline", make_pipeline(prepared(sparse=True), Ridge(solver="lsqr")), "amount"),
    array("logistic/binary", LogisticRegression(), "binary"),
    array("logistic/signs", LogisticRegression(fit_intercept=False), "signs"),
    array("logistic/bool", LogisticRegression(), "bool"),
    array("logistic/strings", LogisticRegression(), "yes/no"),
    array("logistic/multinomial", LogisticRegression(max_iter=1000), "three"),
    array("logistic/multinomial-odd", LogisticRegression(max_iter=1000), "odd"),
    array("logistic/multinomial-strings", LogisticRegression(max_iter=1000), "words"),
    array("logistic/liblinear", LogisticRegression(solver="liblinear"), "binary"),
    array("logistic/liblinear-l1", LogisticRegression(solver="liblinear", l1_ratio=1.0, C=0.1), "yes/no"),
    frame("logistic/pipeline", make_pipeline(prepared(), LogisticRegression(class_weight="balanced")), "yes/no"),
    frame("logistic/pipeline-multinomial", make_pipeline(prepared(sparse=True), LogisticRegression()), "words"),
]

SHRUNK = [
    *(
        array(f"linear-model/{type(model).__name__}", make_pipeline(StandardScaler(), model), target)
        for target, models in {
            "amount": [
                ARDRegression(), BayesianRidge(), ElasticNet(), ElasticNetCV(cv=3), HuberRegressor(),
                Lars(), LarsCV(cv=3), Lasso(), LassoCV(cv=3), LassoLars(), LassoLarsCV(cv=3), LassoLarsIC(),
                OrthogonalMatchingPursuit(), OrthogonalMatchingPursuitCV(cv=3), QuantileRegressor(), RidgeCV(),
                RANSACRegressor(random_state=0), TheilSenRegressor(random_state=0, max_subpopulation=50),
                SGDRegressor(random_state=0), PassiveAggressiveRegressor(random_state=0),
            ],
            "two amounts": [
                MultiTaskElasticNet(), MultiTaskElasticNetCV(cv=3), MultiTaskLasso(), MultiTaskLassoCV(cv=3)],
            "positive": [GammaRegressor(), PoissonRegressor()],
            "words": [
                PassiveAggressiveClassifier(random_state=0), Perceptron(random_state=0), RidgeClassifier(),
                RidgeClassifierCV()],
        }.items()
        for model in models
    ),
    array("linear-model/lasso-column-target", Lasso(), "amount column"),
    array("linear-model/tweedie-identity", TweedieRegressor(power=0), "amount"),
    array("linear-model/tweedie-log", make_pipeline(StandardScaler(), TweedieRegressor(power=1.5)), "positive"),
    array("linear-model/tweedie-link", make_pipeline(
        StandardScaler(), TweedieRegressor(power=1.5, link="log")), "count"),
    array("linear-model/logistic-cv", make_pipeline(
        StandardScaler(), LogisticRegressionCV(Cs=3, cv=3, l1_ratios=(0.0,), use_legacy_attributes=False)), "three"),
    array("linear-model/ridge-binary", RidgeClassifier(), "yes/no"),
    array("sgd/hinge", make_pipeline(StandardScaler(), SGDClassifier(random_state=0)), "yes/no"),
    array("sgd/log", make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)), "binary"),
    array("sgd/log-three", make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)), "odd"),
    array("sgd/huber", make_pipeline(StandardScaler(), SGDClassifier(loss="modified_huber", random_state=0)), "bool"),
    array("sgd/huber-three", make_pipeline(
        StandardScaler(), SGDClassifier(loss="modified_huber", random_state=0)), "three"),
    frame("sgd/sparse", make_pipeline(
        prepared(sparse=True), SGDClassifier(loss="log_loss", random_state=0)), "words"),
]

TREES = [
    array("tree/binary", DecisionTreeClassifier(random_state=0), "binary"),
    array("tree/three", DecisionTreeClassifier(max_depth=4, random_state=0), "three"),
    array("tree/strings", DecisionTreeClassifier(max_leaf_nodes=12, random_state=0), "words"),
    array("tree/bool", DecisionTreeClassifier(criterion="entropy", max_depth=3, random_state=0), "bool"),
    array("tree/one-class", DecisionTreeClassifier(random_state=0), "one class"),
    array("tree/two-labels", DecisionTreeClassifier(max_depth=5, random_state=0), "two labels"),
    array("tree/two-words", DecisionTreeClassifier(max_depth=5, random_state=0), "two words"),
    array("tree/missing", DecisionTreeClassifier(max_depth=6, random_state=0), "binary", missing=True),
    array("tree/extra", ExtraTreeClassifier(random_state=0), "three"),
    array("tree/regression", DecisionTreeRegressor(random_state=0), "amount"),
    array("tree/regression-leaves", DecisionTreeRegressor(max_leaf_nodes=9, random_state=0), "amount"),
    array("tree/regression-one-leaf", DecisionTreeRegressor(random_state=0), "constant"),
    array("tree/regression-two-outputs", DecisionTreeRegressor(max_depth=5, random_state=0), "two amounts"),
    array("tree/regression-column-target", DecisionTreeRegressor(max_depth=5, random_state=0), "amount column"),
    array("tree/regression-missing", DecisionTreeRegressor(max_depth=6, random_state=0), "amount", missing=True),
    array("tree/regression-extra", ExtraTreeRegressor(random_state=0), "amount"),
    frame("tree/pipeline-one-leaf", make_pipeline(prepared(), DecisionTreeRegressor(random_state=0)), "constant"),
    frame("tree/pipeline", make_pipeline(prepared(), DecisionTreeClassifier(random_state=0)), "yes/no"),
    array("forest/binary", RandomForestClassifier(9, random_state=0), "binary"),
    array("forest/three", RandomForestClassifier(8, random_state=0), "three"),
    array("forest/strings", RandomForestClassifier(7, max_leaf_nodes=15, random_state=0), "words"),
    array("forest/bool", RandomForestClassifier(6, max_depth=4, random_state=0), "bool"),
    array("forest/class-weight", RandomForestClassifier(6, class_weight="balanced_subsample", random_state=0), "odd"),
    array("forest/no-bootstrap", RandomForestClassifier(5, bootstrap=False, max_features=2, random_state=0), "three"),
    array("forest/out-of-bag", RandomForestClassifier(30, oob_score=True, max_depth=3, random_state=0), "binary"),
    array("forest/one-class", RandomForestClassifier(3, random_state=0), "one class"),
    array("forest/two-labels", RandomForestClassifier(5, random_state=0), "two labels"),
    array("forest/two-words", RandomForestClassifier(5, random_state=0), "two words"),
    array("forest/missing", RandomForestClassifier(8, random_state=0), "binary", missing=True),
    array("forest/missing-three", RandomForestClassifier(6, max_depth=5, random_state=0), "three", missing=True),
    frame("forest/pipeline", make_pipeline(prepared(), RandomForestClassifier(10, random_state=0)), "yes/no"),
    frame("forest/pipeline-three", make_pipeline(prepared(sparse=True), RandomForestClassifier(
        8, random_state=0)), "words"),
    array("forest/regression", RandomForestRegressor(9, random_state=0), "amount"),
    array("forest/regression-leaves", RandomForestRegressor(6, max_leaf_nodes=12, random_state=0), "amount"),
    array("forest/regression-poisson", RandomForestRegressor(5, criterion="poisson", random_state=0), "count"),
    array("forest/regression-two-outputs", RandomForestRegressor(5, random_state=0), "two amounts"),
    array("forest/regression-missing", RandomForestRegressor(7, random_state=0), "amount", missing=True),
    frame("forest/regression-pipeline", make_pipeline(prepared(), RandomForestRegressor(8, random_state=0)), "amount"),
    array("extra/binary", ExtraTreesClassifier(8, random_state=0), "binary"),
    array("extra/three", ExtraTreesClassifier(6, max_leaf_nodes=20, random_state=0), "words"),
    array("extra/two-labels", ExtraTreesClassifier(5, random_state=0), "two labels"),
    array("extra/missing", ExtraTreesClassifier(8, random_state=0), "three", missing=True),
    frame("extra/pipeline", make_pipeline(prepared(), ExtraTreesClassifier(8, random_state=0)), "yes/no"),
    array("extra/regression", ExtraTreesRegressor(8, random_state=0), "amount"),
    array("extra/regression-bootstrap", ExtraTreesRegressor(6, bootstrap=True, random_state=0), "two amounts"),
    array("extra/regression-missing", ExtraTreesRegressor(6, random_state=0), "amount", missing=True),
]

BOOSTING = [
    array("boosting/binary", GradientBoostingClassifier(n_estimators=12, random_state=0), "binary"),
    array("boosting/three", GradientBoostingClassifier(n_estimators=8, max_depth=2, random_state=0), "words"),
    array("boosting/bool", GradientBoostingClassifier(n_estimators=6, random_state=0), "bool"),
    array("boosting/exponential", GradientBoostingClassifier(
        n_estimators=10, loss="exponential", random_state=0), "yes/no"),
    array("boosting/zero", GradientBoostingClassifier(n_estimators=10, init="zero", random_state=0), "binary"),
    array("boosting/zero-three", GradientBoostingClassifier(n_estimators=6, init="zero", random_state=0), "three"),
    array("boosting/subsample", GradientBoostingClassifier(
        n_estimators=10, subsample=0.6, max_features=3, random_state=0), "signs"),
    array("boosting/stopped-early", GradientBoostingClassifier(
        n_estimators=60, n_iter_no_change=3, learning_rate=0.5, random_state=0), "binary"),
    frame("boosting/pipeline", make_pipeline(prepared(), GradientBoostingClassifier(
        n_estimators=10, random_state=0)), "yes/no"),
    frame("boosting/sparse-pipeline", make_pipeline(prepared(sparse=True), GradientBoostingClassifier(
        n_estimators=8, random_state=0)), "three"),
    array("boosting/regression", GradientBoostingRegressor(n_estimators=15, random_state=0), "amount"),
    array("boosting/regression-zero", GradientBoostingRegressor(n_estimators=8, init="zero", random_state=0), "amount"),
    array("boosting/absolute", GradientBoostingRegressor(
        n_estimators=8, loss="absolute_error", random_state=0), "amount"),
    array("boosting/huber", GradientBoostingRegressor(n_estimators=8, loss="huber", random_state=0), "amount"),
    array("boosting/quantile", GradientBoostingRegressor(
        n_estimators=8, loss="quantile", alpha=0.8, max_leaf_nodes=6, random_state=0), "amount"),
    array("boosting/regression-subsample", GradientBoostingRegressor(
        n_estimators=10, subsample=0.5, learning_rate=0.3, random_state=0), "amount"),
    frame("boosting/regression-pipeline", make_pipeline(prepared(), GradientBoostingRegressor(
        n_estimators=12, max_depth=5, random_state=0)), "amount"),
]


TEXT = [
    documents("text/count", CountVectorizer()),
    documents("text/count-bigrams", CountVectorizer(ngram_range=(1, 2), stop_words="english")),
    documents("text/count-trigrams-only", CountVectorizer(ngram_range=(2, 3), binary=True, dtype=np.float32)),
    documents("text/count-own-words", CountVectorizer(vocabulary=["the", "prize", "meeting", "now ok"],
                                                      stop_words=["your", "won"], ngram_range=(1, 2))),
    documents("text/count-ascii", CountVectorizer(strip_accents="ascii", lowercase=False, max_features=20)),
    documents("text/count-unicode", CountVectorizer(strip_accents="unicode", token_pattern=r"\w+|[^\w\s]")),
    documents("text/count-group", CountVectorizer(token_pattern=r"\b(\w+)[!?']", dtype=bool)),
    documents("text/count-char", CountVectorizer(analyzer="char", ngram_range=(1, 3), max_features=150)),
    documents("text/count-char-wb", CountVectorizer(analyzer="char_wb", ngram_range=(2, 9), max_features=150)),
    documents("text/tfidf", TfidfVectorizer()),
    documents("text/tfidf-sublinear", TfidfVectorizer(sublinear_tf=True, norm="l1", smooth_idf=False)),
    documents("text/tfidf-plain", TfidfVectorizer(use_idf=False, norm=None)),
    documents("text/tfidf-float32", TfidfVectorizer(dtype=np.float32)),
    documents("text/tfidf-float32-linear", make_pipeline(
        TfidfVectorizer(dtype=np.float32), MaxAbsScaler(), LogisticRegression()), "yes/no"),
    documents("text/tfidf-char-wb", TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), max_features=120)),
    documents("text/hashing", HashingVectorizer(n_features=64)),
    documents("text/hashing-unsigned", HashingVectorizer(n_features=50, alternate_sign=False, norm="l1")),
    documents("text/hashing-binary", HashingVectorizer(n_features=8, binary=True, norm=None, ngram_range=(1, 2))),
    documents("text/hashing-tfidf", make_pipeline(
        HashingVectorizer(n_features=40, norm=None, alternate_sign=False), TfidfTransformer())),
    documents("text/union", FeatureUnion(
        [("words", TfidfVectorizer()), ("chars", CountVectorizer(analyzer="char", max_features=30))])),
    documents("text/logistic", make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression()), "yes/no"),
    documents("text/logistic-three", make_pipeline(
        CountVectorizer(), TfidfTransformer(sublinear_tf=True), LogisticRegression()), "words"),
    documents("text/hashing-logistic", make_pipeline(
        HashingVectorizer(n_features=128), LogisticRegression()), "binary"),
    documents("text/ridge", make_pipeline(TfidfVectorizer(), MaxAbsScaler(), Ridge()), "amount"),
    documents("text/multinomial", make_pipeline(CountVectorizer(), MultinomialNB()), "yes/no"),
    documents("text/multinomial-three", make_pipeline(TfidfVectorizer(), MultinomialNB(fit_prior=False)), "words"),
    documents("text/complement", make_pipeline(CountVectorizer(), ComplementNB(norm=True)), "three"),
    documents("text/bernoulli", make_pipeline(CountVectorizer(), BernoulliNB(binarize=0.5)), "binary"),
    documents("text/forest", make_pipeline(TfidfVectorizer(), RandomForestClassifier(6, random_state=0)), "binary"),
    frame("text/table", beside_text(TfidfVectorizer()), columns=["age", "note", "visits", "job"], prepare=with_text),
    frame("text/table-dense", beside_text(CountVectorizer(max_features=10), sparse_threshold=0),
          columns=["age", "note", "visits", "job"], prepare=with_text),
    frame("text/table-logistic", make_pipeline(beside_text(TfidfVectorizer(ngram_range=(1, 2))), LogisticRegression()),
          "yes/no", columns=["age", "note", "visits", "job", "empty"], prepare=with_text),
    frame("text/table-forest", make_pipeline(
        beside_text(CountVectorizer()), RandomForestClassifier(6, random_state=0)), "three",
        columns=["age", "note", "visits", "job"], prepare=with_text),
]

NAIVE_BAYES = [
    counts("bayes/multinomial", MultinomialNB(), "binary"),
    counts("bayes/multinomial-three", MultinomialNB(alpha=0.1, fit_prior=False), "words"),
    counts("bayes/multinomial-one-class", MultinomialNB(), "one class"),
    counts("bayes/complement", ComplementNB(), "yes/no"),
    counts("bayes/complement-norm", ComplementNB(norm=True), "three"),
    counts("bayes/complement-one-class", ComplementNB(), "one class"),
    counts("bayes/bernoulli", BernoulliNB(), "bool"),
    counts("bayes/bernoulli-threshold", BernoulliNB(binarize=2.0), "odd"),
    counts("bayes/bernoulli-as-is", BernoulliNB(binarize=None), "binary", top=2),
    counts("bayes/categorical", CategoricalNB(min_categories=6), "three"),
    counts("bayes/categorical-more", CategoricalNB(min_categories=9, alpha=0.5), "yes/no"),
    array("bayes/gaussian", GaussianNB(), "binary"),
    array("bayes/gaussian-three", GaussianNB(priors=[0.5, 0.3, 0.2]), "words"),
    frame("bayes/pipeline", make_pipeline(prepared(), GaussianNB()), "yes/no"),
    frame("bayes/sparse-pipeline", make_pipeline(
        OneHotEncoder(handle_unknown="ignore"), MultinomialNB()), "binary", columns=CATEGORIES),
]


def hist(classifier: bool = True, **options: Any) -> Any:
    """Histogram gradient boosting, small."""
    kind = HistGradientBoostingClassifier if classifier else HistGradientBoostingRegressor
    return kind(**{"max_iter": 8, "min_samples_leaf": 8, "random_state": 0, "early_stopping": False, **options})


GBM: dict[str, Any] = {"n_estimators": 8, "num_leaves": 7, "min_child_samples": 8, "random_state": 0, "verbose": -1}


def gbm(classifier: bool = True, **options: Any) -> Any:
    """LightGBM, small."""
    return (LGBMClassifier if classifier else LGBMRegressor)(**{**GBM, "n_jobs": 1, **options})


class Raw(BaseEstimator):
    """Fits to the Booster inside of a LightGBM estimator."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, x: Any, y: Any) -> Any:
        return self.estimator.fit(x, y).booster_


class StoppedEarly(BaseEstimator):
    """Fits LightGBM until a part of the rows is answered no better; `raw`: to a Booster that keeps later trees too."""

    def __init__(self, estimator: Any, raw: bool = False) -> None:
        self.estimator = estimator
        self.raw = raw

    def fit(self, x: Any, y: Any) -> Any:
        stop = [lightgbm.early_stopping(2, verbose=False)]
        if not self.raw:
            return self.estimator.fit(x[:160], y[:160], eval_set=[(x[160:], y[160:])], callbacks=stop)
        train = lightgbm.Dataset(x[:160], y[:160], params={"verbose": -1})
        options = {"objective": "binary", "verbose": -1, "num_threads": 1, "learning_rate": 0.5, "num_leaves": 7}
        fitted = lightgbm.train(
            options, train, 60, valid_sets=[train.create_valid(x[160:], y[160:])], callbacks=stop,
            keep_training_booster=True)  # fmt: skip
        assert 0 < fitted.best_iteration < fitted.num_trees()
        return fitted


class Grouped(BaseEstimator):
    """Fits a ranker to groups of twenty rows."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, x: Any, y: Any) -> Any:
        return self.estimator.fit(x, y, group=[20] * (len(x) // 20))


class CalibratedAfterwards(BaseEstimator):
    """Fits a classifier, then its calibration, which finds it frozen."""

    def __init__(self, estimator: Any, method: str) -> None:
        self.estimator = estimator
        self.method = method

    def fit(self, x: Any, y: Any) -> Any:
        return CalibratedClassifierCV(FrozenEstimator(self.estimator.fit(x, y)), method=self.method).fit(x, y)


def squared_error(y: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An objective of the user's own."""
    return predicted - y, np.ones_like(predicted)


HISTOGRAM_BOOSTING = [
    array("hist/binary", hist(), "binary"),
    array("hist/three", hist(max_iter=5), "words"),
    array("hist/bool", hist(max_depth=2), "bool"),
    array("hist/one-leaf", hist(classifier=False, max_iter=2), "constant"),
    array("hist/missing", hist(), "yes/no", missing=True),
    array("hist/missing-three", hist(max_iter=4), "odd", missing=True),
    array("hist/stopped-early", hist(
        max_iter=60, early_stopping=True, n_iter_no_change=2, learning_rate=0.5, validation_fraction=0.3), "binary"),
    array("hist/few-bins", hist(max_bins=5, max_leaf_nodes=7, l2_regularization=1.0), "signs"),
    array("hist/mask", hist(categorical_features=[False, True, False, True, False, False]), "binary", missing=True),
    array("hist/positions", hist(categorical_features=[1]), "three"),
    frame("hist/from-dtype", hist(categorical_features="from_dtype"), "yes/no",
          columns=["age", *CATEGORIES, "income"], prepare=as_category),
    frame("hist/category-names", hist(categorical_features=["city"]), "binary",
          columns=["age", "city", "income"], prepare=as_category),
    frame("hist/string-names", hist(categorical_features=CATEGORIES), "words",
          columns=["hours", *CATEGORIES, "visits"]),
    frame("hist/numbers-named", hist(categorical_features=["plan"]), "binary", columns=["age", "plan", "hours"]),
    frame("hist/ordinal-pipeline", make_pipeline(ordinal(), hist(categorical_features=[0, 1])), "yes/no"),
    frame("hist/ordinal-pipeline-three", make_pipeline(
        ordinal(), hist(max_iter=4, categorical_features=[True, True, False, False, False, False])), "words"),
    frame("hist/one-hot-pipeline", make_pipeline(prepared(), hist()), "binary"),
    array("hist/regression", hist(False), "amount"),
    array("hist/regression-missing", hist(False), "amount", missing=True),
    array("hist/absolute", hist(False, loss="absolute_error"), "amount"),
    array("hist/gamma", hist(False, loss="gamma"), "positive", missing=True),
    array("hist/poisson", hist(False, loss="poisson"), "count"),
    array("hist/quantile", hist(False, loss="quantile", quantile=0.9), "amount"),
    array("hist/regression-stopped-early", hist(False, max_iter=60, early_stopping=True, learning_rate=0.6), "amount"),
    frame("hist/regression-pipeline", make_pipeline(ordinal(), hist(False, categorical_features=[0, 1])), "amount"),
    frame("hist/regression-frame", hist(False), "amount", columns=["age", "hours", "plan", "score", "visits"]),
]


def voters(*, frames: bool = False) -> list[tuple[str, Any]]:
    """Three classifiers that disagree; on frames each prepares its columns for itself."""
    logistic, forest = LogisticRegression(), RandomForestClassifier(4, max_depth=4, random_state=0)
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    if not frames:
        return [("line", logistic), ("forest", forest), ("tree", tree)]
    hist_ = make_pipeline(ordinal(), hist(max_iter=3, categorical_features=[0, 1]))
    return [
        ("line", make_pipeline(prepared(sparse=True), logistic)),
        ("forest", make_pipeline(prepared(), forest)),
        ("hist", hist_),
    ]


def estimates() -> list[tuple[str, Any]]:
    """Three regressors."""
    return [
        ("line", Ridge()),
        ("forest", RandomForestRegressor(4, max_depth=4, random_state=0)),
        ("boost", GradientBoostingRegressor(n_estimators=4, max_depth=2, random_state=0)),
    ]


ENSEMBLES = [
    array("voting/hard", VotingClassifier(voters()), "words"),
    array("voting/hard-weights", VotingClassifier(voters(), weights=[0.1, 0.2, 0.3]), "three"),
    array("voting/hard-tie", VotingClassifier(voters()[:2]), "bool"),
    array("voting/soft", VotingClassifier(voters(), voting="soft"), "yes/no"),
    array("voting/soft-weights", VotingClassifier(
        voters(), voting="soft", weights=[2, 1, 0.7], flatten_transform=False), "odd"),
    array("voting/dropped", VotingClassifier(
        [*voters(), ("gone", "drop"), ("more", ExtraTreesClassifier(3, random_state=0))],
        voting="soft", weights=[1, 2, 3, 4, 5]), "signs"),
    frame("voting/pipelines", VotingClassifier(voters(frames=True), voting="soft"), "yes/no"),
    frame("voting/pipelines-hard", VotingClassifier(voters(frames=True)), "words"),
    array("voting/regression", VotingRegressor(estimates()), "amount"),
    array("voting/regression-weights", VotingRegressor(
        [*estimates(), ("gone", "drop")], weights=[0.2, 1, 3, 9]), "amount"),
    array("voting/nested", VotingClassifier(
        [("vote", VotingClassifier(voters(), voting="soft")), ("tree", DecisionTreeClassifier(max_depth=3))],
        voting="soft"), "words"),
    array("stacking/binary", StackingClassifier(voters(), cv=3), "yes/no"),
    array("stacking/three", StackingClassifier(voters(), cv=3), "words"),
    array("stacking/passthrough", StackingClassifier(voters(), cv=3, passthrough=True), "bool"),
    array("stacking/predict", StackingClassifier(voters(), cv=3, stack_method="predict"), "three"),
    array("stacking/dropped", StackingClassifier([("gone", "drop"), *voters()[1:]], cv=3), "binary"),
    array("stacking/decision", StackingClassifier(
        [("line", LogisticRegression()), ("boost", GradientBoostingClassifier(n_estimators=4, random_state=0))],
        cv=3, stack_method="decision_function"), "three"),
    array("stacking/forest-last", StackingClassifier(
        voters()[1:], RandomForestClassifier(5, max_depth=4, random_state=0), cv=3), "words"),
    array("stacking/forest-last-behind-lines", StackingClassifier(
        [("line", make_pipeline(StandardScaler(), LogisticRegression())), *voters()[1:]],
        DecisionTreeClassifier(max_depth=4, random_state=0), cv=3, passthrough=True), "words"),
    array("stacking/two-labels", StackingClassifier(
        [("forest", RandomForestClassifier(4, max_depth=3, random_state=0)), ("tree", DecisionTreeClassifier(
            max_depth=3, random_state=0))], RandomForestClassifier(4, random_state=0), cv=3), "two bits"),
    frame("stacking/pipelines", StackingClassifier(voters(frames=True), cv=3), "yes/no"),
    frame("stacking/transformer", make_pipeline(
        StackingClassifier(voters(frames=True)[:2], cv=3), StandardScaler(), LogisticRegression()), "words"),
    array("stacking/regression", StackingRegressor(estimates(), cv=3), "amount"),
    array("stacking/regression-passthrough", StackingRegressor(
        estimates(), RandomForestRegressor(4, max_depth=4, random_state=0), cv=3, passthrough=True), "amount"),
    frame("stacking/regression-pipelines", StackingRegressor(
        [("line", make_pipeline(prepared(), Ridge())), ("hist", make_pipeline(
            ordinal(), hist(False, max_iter=3, categorical_features=[0, 1])))], Ridge(), cv=3), "amount"),
    array("stacking/many-kinds", StackingClassifier(
        [("svm", SVC()), ("near", KNeighborsClassifier(3)), ("bayes", GaussianNB()),
         ("net", MLPClassifier((4,), max_iter=40, random_state=0))], cv=3), "words"),
    array("stacking/neighbours-last", StackingClassifier(
        [("line", make_pipeline(StandardScaler(), LogisticRegression())), ("bayes", GaussianNB())],
        KNeighborsClassifier(3), cv=3), "three"),
    array("stacking/in-voting", VotingClassifier(
        [("stack", StackingClassifier(voters()[1:], cv=3)), ("line", LogisticRegression())], voting="soft"), "three"),
]

LIGHTGBM = [
    array("lightgbm/binary", gbm(), "binary"),
    array("lightgbm/three", gbm(n_estimators=5), "words"),
    array("lightgbm/bool", gbm(max_depth=2, sigmoid=0.7), "bool"),
    array("lightgbm/one-vs-all", gbm(n_estimators=5, objective="multiclassova", sigmoid=1.5), "odd"),
    array("lightgbm/missing", gbm(), "yes/no", missing=True),
    array("lightgbm/missing-three", gbm(n_estimators=4), "odd", missing=True),
    array("lightgbm/zero-missing", gbm(zero_as_missing=True), "binary", missing=True),
    array("lightgbm/nan-is-zero", gbm(use_missing=False), "binary", missing=True),
    array("lightgbm/categories", gbm(categorical_feature=[1, 3]), "binary", missing=True),
    array("lightgbm/categories-one-by-one", gbm(categorical_feature=[1, 4], max_cat_to_onehot=64), "three"),
    array("lightgbm/random-forest", gbm(boosting_type="rf", subsample=0.6, subsample_freq=1), "binary"),
    array(
        "lightgbm/random-forest-three",
        gbm(n_estimators=4, boosting_type="rf", subsample=0.6, subsample_freq=1),
        "words",
        missing=True,
    ),
    array("lightgbm/dart", gbm(boosting_type="dart"), "binary"),
    array("lightgbm/linear", gbm(linear_tree=True), "yes/no", missing=True),
    array("lightgbm/linear-three", gbm(n_estimators=4, linear_tree=True), "words"),
    array("lightgbm/linear-categories", gbm(
        False, linear_tree=True, categorical_feature=[1, 3]), "amount", missing=True),
    frame("lightgbm/linear-pipeline", make_pipeline(prepared(), gbm(False, linear_tree=True)), "amount"),
    array("lightgbm/sampled", gbm(data_sample_strategy="goss"), "signs"),
    array("lightgbm/stopped-early", StoppedEarly(gbm(n_estimators=60, learning_rate=0.5)), "binary"),
    array("lightgbm/booster-stopped-early", StoppedEarly(gbm(n_estimators=60, learning_rate=0.5), raw=True), "binary"),
    array("lightgbm/booster-three", Raw(gbm(n_estimators=3)), "three"),
    frame(
        "lightgbm/pandas-categories",
        gbm(cat_smooth=1.0, min_data_per_group=5),
        "yes/no",
        columns=["age", *CATEGORIES, "income"],
        prepare=as_category,
    ),
    frame("lightgbm/booster-frame", Raw(gbm(False)), "amount", columns=["age", "hours", "plan", "member", "visits"]),
    frame("lightgbm/pipeline", make_pipeline(prepared(), gbm()), "yes/no"),
    frame("lightgbm/sparse-pipeline", make_pipeline(prepared(sparse=True), gbm(n_estimators=4)), "words"),
    frame("lightgbm/ordinal-pipeline", make_pipeline(ordinal(), gbm(categorical_feature=[0, 1])), "binary"),
    array("lightgbm/regression", gbm(False), "amount", missing=True),
    array("lightgbm/absolute", gbm(False, objective="regression_l1"), "amount"),
    array("lightgbm/huber", gbm(False, objective="huber"), "amount"),
    array("lightgbm/fair", gbm(False, objective="fair"), "amount"),
    array("lightgbm/quantile", gbm(False, objective="quantile", alpha=0.9), "amount"),
    array("lightgbm/percentage", gbm(False, objective="mape"), "amount"),
    array("lightgbm/root", gbm(False, reg_sqrt=True), "amount"),
    array("lightgbm/poisson", gbm(False, objective="poisson"), "count"),
    array("lightgbm/gamma", gbm(False, objective="gamma"), "positive", missing=True),
    array("lightgbm/tweedie", gbm(False, objective="tweedie"), "count"),
    array("lightgbm/cross-entropy", gbm(False, objective="cross_entropy"), "share"),
    array("lightgbm/cross-entropy-lambda", gbm(False, objective="cross_entropy_lambda"), "share"),
    array("lightgbm/one-leaf", gbm(False, n_estimators=2), "constant"),
    array("lightgbm/own-objective", gbm(False, objective=squared_error), "amount"),
    array("lightgbm/own-objective-binary", gbm(objective=squared_error), "binary"),
    array("lightgbm/ranker", Grouped(LGBMRanker(**GBM)), "three"),
    array("lightgbm/ranker-cross-entropy", Grouped(LGBMRanker(objective="rank_xendcg", **GBM)), "three"),
]

SUPPORT_VECTORS = [
    array("svm/linear-svc", LinearSVC(random_state=0), "binary"),
    array("svm/linear-svc-words", LinearSVC(random_state=0), "words"),
    frame("svm/linear-svc-pipeline", make_pipeline(prepared(sparse=True), LinearSVC(random_state=0)), "yes/no"),
    array("svm/linear-svr", LinearSVR(random_state=0), "amount"),
    array("svc/rbf", SVC(), "binary"),
    array("svc/rbf-words", SVC(C=10), "words"),
    array("svc/linear", SVC(kernel="linear"), "bool"),
    array("svc/linear-ovo", SVC(kernel="linear", decision_function_shape="ovo"), "three"),
    array("svc/poly", make_pipeline(StandardScaler(), SVC(kernel="poly", degree=5, coef0=1.5)), "signs"),
    array("svc/poly-zero", SVC(kernel="poly", degree=0), "odd"),
    array("svc/sigmoid", make_pipeline(StandardScaler(), SVC(kernel="sigmoid", gamma=0.1, coef0=-0.5)), "words"),
    array("svc/ties-broken", SVC(break_ties=True, gamma="auto"), "odd"),
    array("svc/probability", SVC(probability=True, random_state=0), "yes/no"),
    array("svc/probability-three", SVC(probability=True, C=5, random_state=0), "three"),
    frame("svc/pipeline", make_pipeline(prepared(), SVC()), "yes/no"),
    frame("svc/sparse-pipeline", make_pipeline(prepared(sparse=True), SVC(probability=True, random_state=0)), "words"),
    array("svc/nu", NuSVC(nu=0.2), "yes/no"),
    array("svc/nu-three", NuSVC(nu=0.2, probability=True, random_state=0), "three"),
    array("svr/rbf", SVR(), "amount"),
    array("svr/linear", SVR(kernel="linear", C=0.1), "amount"),
    array("svr/constant", SVR(), "constant"),
    array("svr/nu", NuSVR(kernel="poly", degree=2, gamma=0.01), "amount"),
    array("svm/one-class", OneClassSVM(nu=0.2)),
    frame("svm/one-class-pipeline", make_pipeline(prepared(), OneClassSVM(kernel="sigmoid", nu=0.3))),
]

PROJECTIONS = [
    array("pca/plain", PCA(3)),
    array("pca/whiten", PCA(whiten=True)),
    array("pca/incremental", IncrementalPCA(2, whiten=True)),
    frame("pca/pipeline", make_pipeline(prepared(), PCA(4), LogisticRegression()), "yes/no"),
    frame("pca/sparse", make_pipeline(prepared(sparse=True), PCA(3, svd_solver="arpack", random_state=0))),
    array("pca/then-svc", make_pipeline(StandardScaler(), PCA(3), SVC()), "words"),
    array("svd/plain", TruncatedSVD(3, random_state=0)),
    frame("svd/sparse", make_pipeline(prepared(sparse=True), TruncatedSVD(4, algorithm="arpack"), Ridge()), "amount"),
]


SPREADS = np.linspace(0.3, 4.0, 6)
_MIXING = np.random.default_rng(11).normal(size=(6, 6))
INVERSE = _MIXING @ _MIXING.T

NEIGHBORS = [
    array("knn/tree", KNeighborsClassifier(), "binary"),
    array("knn/tree-words", KNeighborsClassifier(3, algorithm="kd_tree", leaf_size=5, weights="distance"), "words"),
    array("knn/ball", KNeighborsClassifier(4, algorithm="ball_tree", leaf_size=7), "three"),
    array("knn/ball-manhattan", KNeighborsClassifier(6, algorithm="ball_tree", p=1, weights="distance"), "bool"),
    array("knn/seuclidean", KNeighborsClassifier(5, algorithm="brute", metric="seuclidean", weights="distance",
                                                 metric_params={"V": SPREADS}), "odd"),
    array("knn/mahalanobis", KNeighborsRegressor(5, algorithm="brute", metric="mahalanobis", weights="distance",
                                                 metric_params={"VI": INVERSE}), "amount"),
    array("knn/cubes", KNeighborsClassifier(5, p=3, leaf_size=10), "odd"),
    array("knn/chebyshev", KNeighborsClassifier(20, metric="chebyshev", algorithm="kd_tree"), "yes/no"),
    array("knn/brute", KNeighborsClassifier(5, algorithm="brute"), "three"),
    array("knn/brute-distance", make_pipeline(
        StandardScaler(), KNeighborsClassifier(5, algorithm="brute", weights="distance")), "words"),
    array("knn/brute-manhattan", KNeighborsClassifier(5, algorithm="brute", p=1), "binary"),
    array("knn/cosine", KNeighborsClassifier(5, metric="cosine"), "three"),
    array("knn/two-labels", KNeighborsClassifier(5), "two labels"),
    array("knn/two-words-brute", KNeighborsClassifier(5, algorithm="brute", weights="distance"), "two words"),
    frame("knn/sparse", make_pipeline(prepared(sparse=True), KNeighborsClassifier(5, weights="distance")), "words"),
    frame("knn/pipeline", make_pipeline(prepared(), KNeighborsClassifier(7)), "yes/no"),
    array("knn/behind-projection", make_pipeline(StandardScaler(), PCA(3), KNeighborsClassifier(5)), "words"),
    array("knn/regression", KNeighborsRegressor(), "amount"),
    array("knn/regression-distance", KNeighborsRegressor(9, weights="distance", leaf_size=4), "amount"),
    array("knn/regression-ball", KNeighborsRegressor(3, algorithm="ball_tree", p=1), "two amounts"),
    array("knn/regression-brute", KNeighborsRegressor(4, algorithm="brute"), "count"),
    frame("knn/regression-pipeline", make_pipeline(prepared(), KNeighborsRegressor(weights="distance")), "amount"),
]


CENTRES = [
    array("outliers/factor", LocalOutlierFactor(n_neighbors=7, novelty=True, contamination=0.1)),
    array("outliers/envelope", make_pipeline(VarianceThreshold(), EllipticEnvelope(random_state=0))),
    array("centroid/priors", NearestCentroid(priors="empirical"), "three"),
    array("kernel-ridge/rbf", KernelRidge(kernel="rbf", gamma=0.1), "two amounts"),
    array("process/classes", make_pipeline(StandardScaler(), GaussianProcessClassifier(optimizer=None)), "three"),
    array("process/sum", make_pipeline(StandardScaler(), GaussianProcessRegressor(
        1.5 * Matern(nu=1.5) + WhiteKernel(), optimizer=None, normalize_y=True)), "amount"),
    array("impute/neighbours", KNNImputer(n_neighbors=3, weights="distance", add_indicator=True), missing=True),
    array("radius/classes", RadiusNeighborsClassifier(2.5, outlier_label="tin", weights="distance"), "words"),
    array("radius/regression", RadiusNeighborsRegressor(3.0, algorithm="brute", p=1), "amount"),
    array("lda/three", LinearDiscriminantAnalysis(), "words"),
    array("qda/binary", QuadraticDiscriminantAnalysis(reg_param=0.1), "yes/no"),
    array("kmeans/plain", KMeans(4, n_init=1, random_state=0)),
    array("kmeans/mini-batch", MiniBatchKMeans(3, n_init=1, random_state=0)),
    frame("kmeans/then-line", make_pipeline(prepared(sparse=True), KMeans(3, n_init=1, random_state=0), Ridge()),
          "amount"),
]


BOOSTED_AND_BAGGED = [
    array("ada/stumps", AdaBoostClassifier(n_estimators=6, random_state=0), "words"),
    array("ada/lines", AdaBoostClassifier(LogisticRegression(), n_estimators=4), "yes/no"),
    array("ada/regression", AdaBoostRegressor(n_estimators=7, random_state=0), "amount"),
    array("bagging/trees-of-some-columns", BaggingClassifier(
        DecisionTreeClassifier(max_depth=4), 5, max_features=3, bootstrap_features=True, random_state=0), "three"),
    frame("bagging/votes", make_pipeline(prepared(), BaggingClassifier(SVC(), 3, max_samples=0.4, random_state=0)),
          "yes/no"),
    array("bagging/bayes", BaggingClassifier(GaussianNB(), 3, max_samples=0.4, random_state=0), "words"),
    array("bagging/regression", BaggingRegressor(Ridge(), 4, max_features=0.7, random_state=0), "two amounts"),
    array("isolation/some-columns", IsolationForest(
        n_estimators=8, max_features=0.6, contamination=0.1, random_state=0), missing=True),
]


def perceptron(classifier: bool = True, **options: Any) -> Any:
    """A small multi-layer perceptron behind a scaler."""
    kind = MLPClassifier if classifier else MLPRegressor
    return make_pipeline(StandardScaler(), kind(**{"hidden_layer_sizes": (7, 5), "max_iter": 60, "random_state": 0,
                                                   **options}))


PERCEPTRONS = [
    array("mlp/binary", perceptron(), "binary"),
    array("mlp/bool-tanh", perceptron(activation="tanh"), "bool"),
    array("mlp/words-logistic", perceptron(activation="logistic"), "words"),
    array("mlp/odd-identity", perceptron(activation="identity", hidden_layer_sizes=()), "odd"),
    array("mlp/labels", perceptron(), "two bits"),
    frame("mlp/sparse-pipeline", make_pipeline(prepared(sparse=True), MLPClassifier(
        (6,), max_iter=60, random_state=0)), "yes/no"),
    array("mlp/regression", perceptron(False), "amount"),
    array("mlp/regression-two-outputs", perceptron(False, activation="tanh"), "two amounts"),
    array("mlp/poisson", perceptron(False, loss="poisson"), "count"),
]


def xgb(kind: str, **options: Any) -> Any:
    """A small XGBoost estimator; one thread, so that its sums are made in one order."""
    return getattr(xgboost, f"XGB{kind}")(**{"n_estimators": 6, "max_depth": 4, "n_jobs": 1, **options})


XGBOOST = [
    array("xgboost/regression", xgb("Regressor", n_estimators=40, base_score=0.3), "amount", missing=True),
    array("xgboost/binary", xgb("Classifier"), "binary", missing=True),
    array("xgboost/three", xgb("Classifier", num_parallel_tree=2, subsample=0.7), "three", missing=True),
    array("xgboost/softmax", xgb("Classifier", objective="multi:softmax"), "three"),
    array("xgboost/hinge", xgb("Classifier", objective="binary:hinge"), "binary"),
    array("xgboost/logitraw", xgb("Classifier", objective="binary:logitraw"), "binary"),
    array("xgboost/labels", xgb("Classifier"), "two bits"),
    array("xgboost/forest", xgb("RFClassifier", max_depth=5), "three"),
    array("xgboost/forest-regression", xgb("RFRegressor", max_depth=5), "amount"),
    array("xgboost/dart", xgb("Regressor", booster="dart", rate_drop=0.4), "amount", missing=True),
    array("xgboost/dart-three", xgb("Classifier", booster="dart", rate_drop=0.4), "three"),
    array("xgboost/linear", xgb("Regressor", booster="gblinear"), "amount", missing=True),
    array("xgboost/linear-three", xgb("Classifier", booster="gblinear"), "three"),
    array("xgboost/two", xgb("Regressor"), "two amounts"),
    array("xgboost/two-leaves", xgb("Regressor", multi_strategy="multi_output_tree"), "two amounts", missing=True),
    array("xgboost/pruned", xgb("Regressor", tree_method="exact", gamma=3.0, max_depth=6), "amount"),
    array("xgboost/sentinel", xgb("Regressor", missing=-1.0), "amount"),
    array("xgboost/quantiles", xgb("Regressor", objective="reg:quantileerror", quantile_alpha=[0.1, 0.9]), "amount"),
    array("xgboost/absolute", xgb("Regressor", objective="reg:absoluteerror"), "amount"),
    array("xgboost/huber", xgb("Regressor", objective="reg:pseudohubererror"), "amount"),
    array("xgboost/squared-log", xgb("Regressor", objective="reg:squaredlogerror"), "positive"),
    array("xgboost/logistic", xgb("Regressor", objective="reg:logistic"), "binary"),
    array("xgboost/gamma", xgb("Regressor", objective="reg:gamma"), "positive"),
    array("xgboost/tweedie", xgb("Regressor", objective="reg:tweedie"), "positive"),
    array("xgboost/poisson", xgb("Regressor", objective="count:poisson"), "count"),
    array("xgboost/cox", xgb("Regressor", objective="survival:cox"), "positive"),
    frame("xgboost/categories", xgb("Classifier", enable_categorical=True, max_cat_to_onehot=2), "three",
          columns=[*NUMBERS, "job"], prepare=as_category),
    frame("xgboost/one-hot-categories", xgb("Regressor", enable_categorical=True, max_cat_to_onehot=9), "amount",
          columns=[*NUMBERS, "job"], prepare=as_category),
    array("xgboost/ranker", Grouped(xgb("Ranker")), "three"),
    frame("xgboost/named", xgb("Regressor"), "amount", columns=NUMBERS),
    frame("xgboost/pipeline", make_pipeline(prepared(), xgb("Classifier")), "binary"),
    frame("xgboost/sparse", make_pipeline(prepared(sparse=True), xgb("Classifier")), "three"),
    array("xgboost/scaled", make_pipeline(StandardScaler(), xgb("Regressor")), "amount"),
]
MEMBERS = [
    frame("search/grid", GridSearchCV(
        make_pipeline(prepared(), LogisticRegression()), {"logisticregression__C": [0.1, 1.0]}, cv=2), "words"),
    array("search/random", RandomizedSearchCV(PCA(2), {"whiten": [True, False]}, n_iter=1, cv=2, random_state=0)),
    array("search/halving", HalvingGridSearchCV(
        DecisionTreeRegressor(random_state=0), {"max_depth": [2, 4]}, cv=2, random_state=0), "amount"),
    array("search/halving-random", HalvingRandomSearchCV(
        Ridge(), {"alpha": [0.5, 2.0]}, cv=2, random_state=0), "two amounts"),
    array("threshold/tuned", TunedThresholdClassifierCV(GaussianNB(), cv=2), "yes/no"),
    array("threshold/fixed", FixedThresholdClassifier(
        LinearSVC(random_state=0), threshold=-0.2, pos_label=-1), "signs"),
    array("self-training/bayes", SelfTrainingClassifier(GaussianNB()), "signs"),
    frame("calibrated/sigmoid", CalibratedClassifierCV(
        make_pipeline(prepared(sparse=True), LinearSVC(random_state=0)), cv=2), "yes/no"),
    array("calibrated/isotonic", CalibratedClassifierCV(
        RandomForestClassifier(4, max_depth=3, random_state=0), method="isotonic", cv=2), "words"),
    array("calibrated/frozen-isotonic", CalibratedAfterwards(LinearSVC(random_state=0), "isotonic"), "bool"),
    array("calibrated/frozen-temperature", CalibratedAfterwards(
        RandomForestClassifier(4, max_depth=3, random_state=0), "temperature"), "three"),
    array("calibrated/temperature", CalibratedClassifierCV(
        LogisticRegression(), method="temperature", cv=2), "words"),
    array("isotonic/missing", IsotonicRegression(), "amount", width=1),
    array("isotonic/clip", IsotonicRegression(increasing=False, out_of_bounds="clip"), "positive", width=1),
    array("rest/forest", OneVsRestClassifier(RandomForestClassifier(3, max_depth=4, random_state=0)), "words"),
    array("rest/labels", OneVsRestClassifier(LogisticRegression()), "two bits"),
    array("rest/one-class", OneVsRestClassifier(LogisticRegression()), "one class"),
    array("pairs/linear", OneVsOneClassifier(LinearSVC(random_state=0)), "words"),
    array("pairs/bayes", OneVsOneClassifier(GaussianNB()), "binary"),
    array("codes/tree", OutputCodeClassifier(
        DecisionTreeClassifier(max_depth=3, random_state=0), random_state=0), "odd"),
    array("several/classifiers", MultiOutputClassifier(
        DecisionTreeClassifier(max_depth=3, random_state=0)), "two words"),
    array("several/regressors", MultiOutputRegressor(Ridge()), "two amounts"),
    array("chain/classifiers", ClassifierChain(
        LogisticRegression(), order=[1, 0], chain_method="predict_proba"), "two bits"),
    array("chain/regressors", RegressorChain(DecisionTreeRegressor(max_depth=4, random_state=0)), "two amounts"),
    frame("dummy/classifier", DummyClassifier(), "words", columns=CATEGORIES),
    array("dummy/regressor", make_pipeline(StandardScaler(), DummyRegressor(strategy="median")), "amount"),
    array("target/log", TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1), "positive"),
    array("target/scaled", TransformedTargetRegressor(
        DecisionTreeRegressor(max_depth=4, random_state=0), transformer=StandardScaler()), "amount column"),
    array("target/power", TransformedTargetRegressor(
        GradientBoostingRegressor(n_estimators=4, random_state=0), transformer=PowerTransformer()), "amount"),
    array("target/box-cox", TransformedTargetRegressor(
        Ridge(), transformer=PowerTransformer("box-cox", standardize=False)), "positive"),
    array("target/quantiles", TransformedTargetRegressor(
        RandomForestRegressor(3, max_depth=4, random_state=0), transformer=QuantileTransformer(n_quantiles=30)),
        "two amounts"),
    frame("target/normal", TransformedTargetRegressor(
        make_pipeline(prepared(), LinearRegression()), transformer=make_pipeline(
            StandardScaler(), QuantileTransformer(n_quantiles=30, output_distribution="normal"))), "amount"),
]
# fmt: on

ZOO: list[ZooModel] = [
    *IMPUTERS,
    *SCALERS,
    *ENCODERS,
    *COMPOSITIONS,
    *BINS,
    *FUNCTIONS,
    *SKEWED,
    *ROWS_AND_PRODUCTS,
    *SELECTED,
    *LABELS,
    *LINEAR,
    *SHRUNK,
    *TREES,
    *BOOSTING,
    *HISTOGRAM_BOOSTING,
    *ENSEMBLES,
    *LIGHTGBM,
    *TEXT,
    *NAIVE_BAYES,
    *SUPPORT_VECTORS,
    *PROJECTIONS,
    *PERCEPTRONS,
    *XGBOOST,
    *NEIGHBORS,
    *CENTRES,
    *BOOSTED_AND_BAGGED,
    *MEMBERS,
]
