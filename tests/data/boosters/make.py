"""Train small models with the release of XGBoost or LightGBM at hand, and keep them beside its own answers.

    python tests/data/boosters/make.py xgboost|lightgbm

writes xgboost-1.7.6.tar.xz or the like: models in the forms in which that release saves them, and `answers.npz` with
`MODEL/METHOD` for `rows.npz`, and `MODEL/METHOD@far` for its rows with infinities. No answer: the release raised.
"""

from __future__ import annotations

import importlib
import io
import pickle
import sys
import tarfile
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ROWS = np.load(HERE / "rows.npz")
X, SIGNAL, NEAR, FAR, CODES = (ROWS[k] for k in ("x", "signal", "near", "far", "codes"))
BINARY, THREE = (SIGNAL > 0.8).astype(int), np.digitize(SIGNAL, [0.0, 1.5])
NAMED = np.array(["low", "mid", "top"])[THREE]


class Case:
    """The models and answers of one release."""

    def __init__(self, library: str) -> None:
        self.module = importlib.import_module(library)
        self.name = f"{library}-{self.module.__version__}"
        self.release = tuple(int(p) for p in self.module.__version__.split(".")[:2])
        # Not a ValueError in XGBoost before 1.0.
        self.refusal = self.module.core.XGBoostError if library == "xgboost" else ValueError
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, np.ndarray] = {}

    def keep(self, name: str, model: object, form: str) -> None:
        """A model as `pkl2`, `pkl4` or the ending of a file of the library's own."""
        if form.startswith("pkl"):
            self.files[f"{name}.pkl"] = pickle.dumps(model, int(form[3:]))
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.{form}"
            model.save_model(str(path))
            self.files[path.name] = path.read_bytes()

    def ask(self, name: str, method: str, answer, rows=NEAR, far=FAR) -> None:
        """Keep what `answer` makes of the rows; a release may raise."""
        for key, block in ((f"{name}/{method}", rows), (f"{name}/{method}@far", far)):
            if block is not None:
                with suppress(Exception):
                    self.answers[key] = np.asarray(answer(block))

    def face(self, name: str, make, y, form: str = "pkl4", **fit) -> None:
        """A scikit-learn face, where the release takes its parameters and labels."""
        with suppress(
            TypeError, ValueError, getattr(self.module, "core", self.module).__dict__.get("XGBoostError", ValueError)
        ):
            model = make().fit(X, y, **fit)
            self.keep(name, model, form)
            for method in ("predict", "predict_proba"):
                if hasattr(model, method):
                    self.ask(name, method, getattr(model, method))

    def write(self) -> None:
        """The archive of all of it, the same bytes for the same content."""
        held = io.BytesIO()
        np.savez(held, **self.answers)
        self.files["answers.npz"] = held.getvalue()
        path = HERE / f"{self.name}.tar.xz"
        with tarfile.open(path, "w:xz", preset=9) as out:
            for name, data in sorted(self.files.items()):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                out.addfile(entry, io.BytesIO(data))
        print(self.name, len(self.files) - 1, "models", path.stat().st_size, "bytes")


def xgboost(case: Case) -> None:
    """Every place where a release of XGBoost answers otherwise than another."""
    xgb, release = case.module, case.release
    file = "json" if release >= (1, 0) else "bin"
    small = "ubj" if release >= (1, 6) else file
    binary = "deprecated" if release >= (2, 1) else "bin"

    def train(name: str, form: str, y: np.ndarray, rows=NEAR, far=FAR, types=None, **options) -> None:
        kinds = {} if types is None else {"feature_types": types, "enable_categorical": True}
        given = {"max_depth": 2, "nthread": 1, "seed": 0, "base_score": 0.3, **options}
        model = xgb.train(given, xgb.DMatrix(X, label=y, **kinds), 4)
        case.keep(name, model, form)
        case.ask(name, "predict", lambda block: model.predict(xgb.DMatrix(block, **kinds)), rows, far)

    train("sums", file, SIGNAL, objective="reg:squarederror")
    train("raw", binary, BINARY, objective="binary:logitraw")
    train("steep", "pkl2", BINARY, objective="binary:logistic", eta=300, reg_lambda=0)
    train("dart", small, SIGNAL, objective="reg:squarederror", booster="dart", rate_drop=0.5, one_drop=1)
    train("linear", "pkl4", THREE, objective="multi:softprob", num_class=3, booster="gblinear")
    train("parallel", small, np.exp(SIGNAL / 3), objective="reg:gamma", num_parallel_tree=2, subsample=0.7)
    if release >= (1, 6):
        kinds = {"objective": "reg:squarederror", "tree_method": "hist", "max_cat_to_onehot": 2}
        train("categories", "pkl4", SIGNAL, CODES, None, ["q", "q", "q", "c"], **kinds)
    if release >= (2, 0):
        train("quantiles", "ubj", SIGNAL, objective="reg:quantileerror", quantile_alpha=[0.2, 0.8])

    few = {"max_depth": 2, "n_estimators": 4, "n_jobs": 1, "random_state": 0, "learning_rate": 0.3}
    many = {**few, "n_estimators": 12, "learning_rate": 0.8}

    def early(name: str, make, y: np.ndarray, **fit) -> None:
        """Stopped on rows of shuffled answers, at once."""
        fit = {"eval_set": [(X[::2], y[::-1][::2])], "verbose": False, **fit}
        if release < (1, 6):
            case.face(name, make, y, early_stopping_rounds=2, **fit)
        else:
            case.face(name, lambda: make().set_params(early_stopping_rounds=2), y, **fit)

    regressor, classifier = xgb.XGBRegressor, xgb.XGBClassifier
    labels = NAMED if release < (1, 6) else THREE
    early("best", lambda: classifier(num_parallel_tree=2, subsample=0.8, **many), labels)
    early("best_linear", lambda: regressor(booster="gblinear", n_estimators=12, random_state=0, n_jobs=1), SIGNAL)
    grades, groups = np.clip(np.round(SIGNAL), 0, 4), [len(X) // 2] * 2
    early("ranked", lambda: xgb.XGBRanker(**many), grades, group=groups, eval_group=[[len(X) // 4] * 2])
    case.face("forest", lambda: xgb.XGBRFRegressor(max_depth=2, n_estimators=4, random_state=0, n_jobs=1), SIGNAL)
    dart = {"booster": "dart", "rate_drop": 0.5, "one_drop": 1, "base_score": 0.2}
    case.face("dropped", lambda: classifier(**dart, **few), BINARY, "pkl2")
    case.face("two", lambda: classifier(objective="multi:softprob", num_class=2, **few), BINARY)
    case.face("one", lambda: classifier(**few), np.zeros(len(X), int))
    case.face("missing", lambda: regressor(missing=-1, objective="count:poisson", **few), np.round(np.exp(SIGNAL / 3)))
    if release >= (1, 6):
        case.face("labels", lambda: classifier(**few), np.stack([BINARY, THREE == 1], axis=1).astype(int))
    if release >= (2, 0):
        wide = {"multi_strategy": "multi_output_tree", "tree_method": "hist"}
        case.face("wide", lambda: regressor(**wide, **few), np.stack([SIGNAL, -SIGNAL], axis=1))


def lightgbm(case: Case) -> None:
    """Objectives, boosters and faces of LightGBM as its texts and pickles have them."""
    lgb, release = case.module, case.release
    base = {"num_leaves": 5, "min_data_in_leaf": 5, "num_threads": 1, "verbose": -1, "seed": 0, "learning_rate": 0.3}

    def train(name: str, form: str, y: np.ndarray, columns="auto", **options) -> None:
        given = {**base, "min_data_per_group": 5, "cat_smooth": 1.0, **options}
        model = lgb.train(given, lgb.Dataset(X, y, params=given, categorical_feature=columns), 3)
        case.keep(name, model, form)
        case.ask(name, "predict", model.predict)

    train("zero", "txt", BINARY, [1, 3], objective="binary", zero_as_missing=True, sigmoid=1.7)
    train("ova", "txt", THREE, [3], objective="multiclassova", num_class=3)
    train("forest", "pkl2", THREE, objective="multiclass", num_class=3, boosting="rf", bagging_freq=1,
          bagging_fraction=0.6)  # fmt: skip
    train("lambda", "txt", 1 / (1 + np.exp(-SIGNAL)), objective="cross_entropy_lambda")
    train("root", "pkl4", np.exp(SIGNAL), objective="regression", reg_sqrt=True, use_missing=False)
    train("rate", "txt", np.exp(SIGNAL / 3), objective="gamma", boosting="dart")
    if release >= (3, 2):
        train("linear", "txt", SIGNAL, objective="regression", linear_tree=True)
    few = {"num_leaves": 5, "min_child_samples": 5, "n_jobs": 1, "n_estimators": 3, "random_state": 0}
    many = {**few, "n_estimators": 20, "learning_rate": 0.5}
    old = {"early_stopping_rounds": 2, "verbose": False}
    stop = {"callbacks": [lgb.early_stopping(2, verbose=False)]} if release >= (3, 3) else old
    early = {"eval_set": [(X[::2], THREE[::-1][::2])], **stop}
    case.face("words", lambda: lgb.LGBMClassifier(class_weight="balanced", **few), NAMED, "pkl2")
    case.face("best", lambda: lgb.LGBMClassifier(**many), THREE, **early)
    case.face("one", lambda: lgb.LGBMClassifier(**few), np.zeros(len(X), int))
    case.face("two", lambda: lgb.LGBMClassifier(objective="multiclass", num_class=2, **few), BINARY)
    case.face("start", lambda: lgb.LGBMRegressor(**few), SIGNAL, init_score=np.full(len(X), 2.5))
    case.face("ranked", lambda: lgb.LGBMRanker(**few), np.clip(np.round(SIGNAL), 0, 4).astype(int),
              group=[len(X) // 2] * 2)  # fmt: skip


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    made = Case(sys.argv[1])
    {"xgboost": xgboost, "lightgbm": lightgbm}[sys.argv[1]](made)
    made.write()
