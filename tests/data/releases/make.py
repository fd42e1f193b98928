# coding: utf-8
# Python 2.7 runs it too.
# fmt: off
# ruff: noqa: B023, B904, BLE001, E731, UP004, UP009, UP010, UP025, UP031
"""Fit small models with the scikit-learn at hand, from 0.18 on, and keep them beside its own answers.

    python tests/data/releases/make.py FOLDER
    python3 tests/data/releases/make.py --pack FOLDER

The first writes FOLDER/0.24.2.tar or the like: the models as pickles, and `answers.npz`, with `MODEL/METHOD@BLOCK` for
each block of `rows.npz` that a model is asked about (`...@BLOCK#0` and so on where the answer is a list; no answer: the
release raised). `MODEL/methods` are those that the model has, `MODEL/blocks` those that it was asked about. It runs on
Python 2.7 as on 3, since the oldest files come from there; what a release does not have is left out, and said. The
second packs these into `sklearn.tar.xz`, in place of what it holds of the same releases.
"""

from __future__ import print_function

import importlib
import io
import pickle
import sys
import tarfile
import warnings
from os import listdir
from os.path import dirname, exists, join

import numpy as np
import sklearn

HERE = dirname(__file__)
RELEASE = tuple(int(p) for p in sklearn.__version__.split(".")[:2])
# As people wrote them: 2 from Python 2 and for its sake, 3 the default before Python 3.8, 4 and 5 since.
PROTOCOL = 2 if RELEASE < (0, 21) else 3 if RELEASE < (1, 0) else 4 if RELEASE < (1, 6) else 5
METHODS = (
    "predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba", "decision_function", "transform",
    "score_samples",
)
NUMBERS = "near", "gaps", "far", "huge"


class Absent(Exception):
    """The release has no such class, or no such parameter."""


# ---------------------------------------------------------------------------------------------------------------- rows


def make_rows():
    """Rows to fit on, and blocks of rows to ask about; rounded, so that they meet cuts, ties and each other."""
    rng = np.random.RandomState(0)
    columns = rng.normal(0, 1, 60), rng.poisson(1, 60), rng.uniform(-3, 3, 60), rng.randint(-1, 2, 60)
    x = np.column_stack([np.round(columns[0], 2), columns[1], np.round(columns[2], 1), columns[3]]).astype(float)
    words = rng.choice([u"red", u"green", u"blue"], 60), rng.choice([u"S", u"M", u"L", u"Zürich"], 60)
    nouns = [u"Hund", u"Katze", u"Zürich", u"model", u"data", u"prize", u"café", u"42"]
    halves = (x[:3] + x[3:6]) / 2
    ends = np.array([[0, 0, 0, 0], [0.5, 1.5, -0.5, 0.5], [-0.0, 5e-324, 1e-7, -1e-7], [8, 40, -9, 5], [-1, 1, 1, -1]])
    return {
        "x": x,
        "signal": np.round(x[:, 0] + 0.5 * x[:, 1] - 0.3 * x[:, 2] * x[:, 3] + rng.normal(0, 0.4, 60), 2),
        "weight": np.round(rng.uniform(0.5, 2, 60), 1),
        "whole": rng.randint(0, 4, (60, 4)).astype(float),
        "words": np.column_stack(words),
        "docs": np.array([u" ".join(rng.choice(nouns, rng.randint(1, 6))) for _ in range(60)]),
        "near": np.vstack([x[:4], np.nextafter(x[1:2], 9), halves, ends]),
        "gaps": np.vstack([np.where(np.eye(4), np.nan, x[4:8]), np.full((1, 4), np.nan)]),
        "far": np.array([[0.5, 1, np.inf, 0], [-np.inf, 1, 0.5, 1]]),
        "huge": np.array([[1e5, -1e5, 1e4, 1e6], [-1e9, 1e8, 1e9, -1e9]]),
        "counts": np.array([[0, 0, 0, 0], [3, 2, 1, 0], [1, 1, 1, 1], [0, 3, 0, 2], [2, 2, 0, 3]], dtype=float),
        "above": np.array([[1, 2, 3, 4], [0, 9, 0, 1]], dtype=float),
        "below": np.array([[-1, 0, 1, 2]], dtype=float),
        "texts": np.array([u"Hund Katze", u"", u"Zürich café café 42", u"MODEL data unknown", u"prize " * 9]),
        "names": np.array([u"low", u"top", u"mid", u"top"]),
        "ends": np.array([u"top", u"low", u"low"]),
        "others": np.array([u"low", u"never"]),
        "seen": np.array([[u"red", u"L"], [u"blue", u"S"], [u"green", u"Zürich"]]),
        "unseen": np.array([[u"red", u"XL"], [u"", u"M"]]),
    }


if not exists(join(HERE, "rows.npz")):
    np.savez_compressed(join(HERE, "rows.npz"), **make_rows())
ROWS = dict(np.load(join(HERE, "rows.npz")))
X, SIGNAL, WEIGHT, WHOLE = (ROWS[k] for k in ("x", "signal", "weight", "whole"))
WORDS, DOCS = ROWS["words"].astype(object), ROWS["docs"].tolist()
TWO, THREE = (SIGNAL > 0.3).astype(int), np.digitize(SIGNAL, [-0.3, 1.0])
NAMES, BYTES = np.array([u"low", u"mid", u"top"])[THREE], np.array(["no", "yes"])[TWO]
PAIR = np.column_stack([SIGNAL, np.round(2 - SIGNAL * X[:, 2], 2)])
SEVERAL = np.column_stack([TWO, (X[:, 2] > 0).astype(int), (X[:, 0] > 0.5).astype(int)])
CONSTANT = np.column_stack([TWO, np.ones(60, dtype=int), np.zeros(60, dtype=int)])
LABELS = np.column_stack([TWO, THREE])
HOLES = np.where(np.random.RandomState(1).uniform(size=X.shape) < 0.15, np.nan, X)
HOLES[:, 1] = X[:, 1]


def block(name):
    """A block of rows as models take it: texts as a list, words as objects."""
    if name == "texts":
        return ROWS[name].tolist()
    return ROWS[name].astype(object) if ROWS[name].dtype.kind == "U" else ROWS[name]


# ---------------------------------------------------------------------------------------------------------------- kept


def sk(path, *given, **named):
    """An estimator by its name below sklearn; Absent where the release has it not, or not with these parameters."""
    module, name = path.rsplit(".", 1)
    try:
        found = getattr(importlib.import_module("sklearn." + module), name)
        return found(*given, **named)
    except (ImportError, AttributeError, TypeError) as error:
        raise Absent(str(error))


class Kept(object):
    """The models and answers of this release."""

    def __init__(self):
        self.files, self.answers, self.absent = {}, {}, []

    def keep(self, name, make, x, y=None, ask=NUMBERS, **fit):
        """Fit what `make` makes, and ask it about the blocks `ask`."""
        try:
            model = make()
            model.fit(x, **fit) if y is None else model.fit(x, y, **fit)
            self.files[name + ".pkl"] = pickle.dumps(model, PROTOCOL)
        except (Absent, ValueError, TypeError) as error:
            self.absent.append("%s: %s" % (name, str(error)[:150].replace("\n", " ")))
            return
        self.answers[name + "/blocks"] = np.array(ask).astype("U")
        self.answers[name + "/methods"] = np.array([m for m in METHODS if hasattr(model, m)]).astype("U")
        for method in METHODS:
            for rows in ask:
                self.ask(model, name, method, rows)

    def ask(self, model, name, method, rows):
        """Keep an answer; a release that lacks the method, or raises, gives none."""
        try:
            answer = getattr(model, method)(block(rows))
        except Exception:  # whatever it is: the release does not answer
            return
        parts = answer if isinstance(answer, list) else [answer]
        for i, part in enumerate(parts):
            part = np.asarray(part.toarray() if hasattr(part, "toarray") else part)
            key = "%s/%s@%s" % (name, method, rows) + ("#%d" % i if isinstance(answer, list) else "")
            self.answers[key] = part.astype("U") if part.dtype.kind == "O" else part

    def write(self, folder):
        """The archive of all of it, the same bytes for the same content."""
        held = io.BytesIO()
        np.savez(held, **self.answers)
        self.files["answers.npz"] = held.getvalue()
        target = join(folder, "%s.tar" % sklearn.__version__)
        put({"%s/%s" % (name, sklearn.__version__): data for name, data in self.files.items()}, target, "w")
        print(sklearn.__version__, len(self.files) - 1, "models; absent:", *self.absent, sep="\n  ")


def put(files, path, mode, **how):
    """An archive of files, the same bytes for the same content."""
    with tarfile.open(path, mode, **how) as out:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            out.addfile(entry, io.BytesIO(data))


def pack(folder):
    """All releases in one archive, in which they differ by little."""
    files, packed = {}, join(HERE, "sklearn.tar.xz")
    paths = [packed] if exists(packed) else []
    paths.extend(sorted(join(folder, name) for name in listdir(folder)))
    for path in paths:
        with tarfile.open(path) as held:
            added = {entry.name: held.extractfile(entry).read() for entry in held}
        anew = {name.split("/")[1] for name in added}
        files = {name: data for name, data in files.items() if name.split("/")[1] not in anew}
        files.update(added)
    put(files, packed, "w:xz", preset=9)


def of_release(first, then, before):
    """`then` from that release on, else `before`."""
    return then if RELEASE >= first else before


STEPS = of_release((0, 19), {"max_iter": 5, "tol": None}, {"n_iter": 5})
STOP = of_release((0, 19), {"max_iter": 20, "tol": 1e-3}, {"n_iter": 20})
SEARCHED = of_release((0, 20), "model_selection", "grid_search")
VARIANTS = of_release((1, 2), "sparse_output", "sparse")
HALVES = of_release((0, 22), {"cv": 2}, {})


def pipe(*steps):
    """A pipeline of steps by their place."""
    return sk("pipeline.Pipeline", [("s%d" % i, step) for i, step in enumerate(steps)])


def words(**given):
    """Counts of words, which are sparse."""
    return sk("feature_extraction.text.CountVectorizer", **given)


def tree(kind="Regressor", depth=2):
    """A small tree."""
    return sk("tree.DecisionTree" + kind, max_depth=depth, random_state=0)


def ordinary():
    """Least squares."""
    return sk("linear_model.LinearRegression")


def logistic():
    """Logistic regression as it was by default."""
    return sk("linear_model.LogisticRegression")


def bayes():
    """A classifier of chances alone."""
    return sk("naive_bayes.GaussianNB")


# -------------------------------------------------------------------------------------------------------------- models


def selectors(kept):
    """Columns chosen."""
    path = "feature_selection."
    score = importlib.import_module("sklearn.feature_selection")
    for mode, param in (("k_best", 2), ("percentile", 60), ("fdr", 0.2), ("fpr", 0.05), ("fwe", 0.3)):
        make = lambda: sk(path + "GenericUnivariateSelect", mode=mode, param=param)
        kept.keep("generic_" + mode, make, X, THREE)
    kept.keep("fdr", lambda: sk(path + "SelectFdr", score.f_regression, alpha=0.1), X, SIGNAL)
    kept.keep("fpr", lambda: sk(path + "SelectFpr", alpha=0.01), X, NAMES)
    kept.keep("fwe", lambda: sk(path + "SelectFwe", alpha=0.1), X, TWO)
    kept.keep("percentile", lambda: sk(path + "SelectPercentile", score.chi2, percentile=50), WHOLE, THREE)
    flat = np.column_stack([X[:, 0], X[:, 0], X[:, 3], X[:, 3]])
    kept.keep("percentile_ties", lambda: sk(path + "SelectPercentile", percentile=25), flat, TWO)
    kept.keep("percentile_words", lambda: pipe(words(), sk(path + "SelectPercentile", score.chi2, percentile=40)),
              DOCS, TWO, TEXTS)
    forward = lambda **more: sk(path + "SequentialFeatureSelector", ordinary(), n_features_to_select=2, **more)
    kept.keep("forward", lambda: forward(cv=2), X, SIGNAL)
    kept.keep("backward", lambda: forward(direction="backward", cv=2), X, SIGNAL)
    tail = {"n_features_to_select": "auto", "tol": 0.05, "cv": 2}
    kept.keep("forward_auto", lambda: sk(path + "SequentialFeatureSelector", tree("Classifier"), **tail), X, TWO)
    kept.keep("variance", lambda: sk(path + "VarianceThreshold", 0.7), of_release((0, 20), HOLES, X))
    lasso = sk("linear_model.Lasso", alpha=0.1)
    kept.keep("from_model", lambda: sk(path + "SelectFromModel", lasso, threshold="0.5*mean"), X, SIGNAL)
    kept.keep("from_model_l1", lambda: sk(path + "SelectFromModel", lasso), X, SIGNAL)
    kept.keep("rfecv", lambda: sk(path + "RFECV", logistic(), cv=2), X, TWO)


def linear_models(kept):
    """Linear models that read coef_ and intercept_, and those behind a link."""
    path = "linear_model."
    for name, given in (("PoissonRegressor", {}), ("GammaRegressor", {"alpha": 0.5})):
        kept.keep(name.lower(), lambda: sk(path + name, **given), X, np.exp(SIGNAL / 2))
    for name, given in (("zero", {"power": 0}), ("between", {"power": 1.5}),
        ("identity", {"power": 1, "link": "identity"})):
        y = np.exp(SIGNAL / 2)
        kept.keep("tweedie_" + name, lambda: sk(path + "TweedieRegressor", **given), X, y, sample_weight=WEIGHT)
    kept.keep("passive", lambda: sk(path + "PassiveAggressiveRegressor", random_state=0, **STEPS), X, SIGNAL)
    kept.keep("passive_classes", lambda: sk(path + "PassiveAggressiveClassifier", random_state=0, **STEPS), X, NAMES)
    kept.keep("perceptron", lambda: sk(path + "Perceptron", random_state=0, **STEPS), X, THREE)
    kept.keep("ridge_two", lambda: sk(path + "RidgeClassifier", class_weight="balanced"), X, BYTES)
    kept.keep("ridge_three", lambda: sk(path + "RidgeClassifier", alpha=0.1), X, NAMES, sample_weight=WEIGHT)
    kept.keep("ridge_several", lambda: sk(path + "RidgeClassifier"), X, SEVERAL)
    kept.keep("ridge_words", lambda: pipe(words(), sk(path + "RidgeClassifier", solver="sag", random_state=0)), DOCS,
              TWO, TEXTS)
    kept.keep("ridge_cv", lambda: sk(path + "RidgeClassifierCV", alphas=[0.1, 1, 10]), X, NAMES)
    kept.keep("ridge_cv_several", lambda: sk(path + "RidgeClassifierCV"), X, SEVERAL)
    kept.keep("ridgecv", lambda: sk(path + "RidgeCV"), X, PAIR)
    kept.keep("sgd", lambda: sk(path + "SGDRegressor", random_state=0, **STEPS), X, SIGNAL)
    kept.keep("sgd_average", lambda: sk(path + "SGDRegressor", random_state=0, average=True, loss="huber", **STEPS), X,
              SIGNAL)
    kept.keep("svr", lambda: sk("svm.LinearSVR", random_state=0, epsilon=0.1), X, SIGNAL, sample_weight=WEIGHT)
    kept.keep("svr_flat", lambda: sk("svm.LinearSVR", random_state=0, fit_intercept=False), X, SIGNAL)
    kept.keep("svr_words", lambda: pipe(words(binary=True), sk("svm.LinearSVR", random_state=0)), DOCS, SIGNAL, TEXTS)
    kept.keep("logistic_cv", lambda: sk(path + "LogisticRegressionCV", Cs=[0.1, 1], cv=2, solver="liblinear"), X, TWO)
    kept.keep("logistic_cv_three", lambda: sk(path + "LogisticRegressionCV", Cs=[0.1, 1], cv=2), X, NAMES)
    kept.keep("quantile", lambda: sk(path + "QuantileRegressor", quantile=0.3, alpha=0.01, solver="highs"), X, SIGNAL)
    for name in (
        "ARDRegression", "BayesianRidge", "HuberRegressor", "Lars", "LarsCV", "LassoLars", "LassoLarsCV",
        "LassoLarsIC", "OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV", "TheilSenRegressor",
    ):
        kept.keep(name.lower(), lambda: sk(path + name), X, SIGNAL)
    for name, y in (("ElasticNet", SIGNAL), ("Lasso", SIGNAL), ("MultiTaskElasticNet", PAIR), ("MultiTaskLasso", PAIR)):
        kept.keep(name.lower(), lambda: sk(path + name, alpha=0.1), X, y)
        kept.keep(name.lower() + "cv", lambda: sk(path + name + "CV", alphas=[0.01, 0.1], cv=2), X, y)
    ransac = lambda *given, **more: sk(path + "RANSACRegressor", *given, random_state=0, **more)
    kept.keep("ransac", ransac, X, SIGNAL)
    kept.keep("ransac_pair", lambda: ransac(residual_threshold=2.0), X, PAIR)
    kept.keep("ransac_tree", lambda: ransac(tree(), min_samples=20), X, SIGNAL)


def several(kept):
    """Models of classes and of targets, made of models of two classes and of one target."""
    path = "multiclass."
    kept.keep("pairs", lambda: sk(path + "OneVsOneClassifier", sk("svm.LinearSVC", random_state=0)), X, NAMES)
    kept.keep("pairs_chances", lambda: sk(path + "OneVsOneClassifier", bayes()), X, THREE)
    kept.keep("pairs_two", lambda: sk(path + "OneVsOneClassifier", logistic()), X, BYTES)
    kept.keep("pairs_two_chances", lambda: sk(path + "OneVsOneClassifier", bayes()), X, TWO)
    kept.keep("pairs_ties", lambda: sk(path + "OneVsOneClassifier", tree("Classifier", 1)), X, THREE)
    kept.keep("pairs_words", lambda: pipe(words(), sk(path + "OneVsOneClassifier", logistic())), DOCS, NAMES, TEXTS)
    kept.keep("code", lambda: sk(path + "OutputCodeClassifier", logistic(), code_size=2, random_state=0), X, NAMES)
    kept.keep("code_chances", lambda: sk(path + "OutputCodeClassifier", bayes(), code_size=1.5, random_state=3), X,
              THREE)
    kept.keep("code_regressors", lambda: sk(path + "OutputCodeClassifier", ordinary(), code_size=2, random_state=0), X,
              THREE)
    kept.keep("code_words", lambda: pipe(words(), sk(path + "OutputCodeClassifier", logistic(), random_state=0)), DOCS,
              NAMES, TEXTS)
    kept.keep("rest_constant", lambda: sk(path + "OneVsRestClassifier", logistic()), X, CONSTANT)
    kept.keep("rest_constant_chances", lambda: sk(path + "OneVsRestClassifier", bayes()), X, CONSTANT)
    kept.keep("rest", lambda: sk(path + "OneVsRestClassifier", bayes()), X, NAMES)
    kept.keep("rest_two", lambda: sk(path + "OneVsRestClassifier", sk("svm.LinearSVC", random_state=0)), X, BYTES)
    kept.keep("rest_ties", lambda: sk(path + "OneVsRestClassifier", tree("Classifier", 1)), X, THREE)
    path = "multioutput."
    kept.keep("targets", lambda: sk(path + "MultiOutputClassifier", logistic()), X, LABELS)
    kept.keep("targets_two", lambda: sk(path + "MultiOutputClassifier", logistic()), X, SEVERAL)
    mixed = np.column_stack([NAMES, BYTES.astype("U")])
    kept.keep("targets_names", lambda: sk(path + "MultiOutputClassifier", tree("Classifier")), X, mixed)
    kept.keep("targets_scores", lambda: sk(path + "MultiOutputClassifier", sk("svm.LinearSVC", random_state=0)), X,
              SEVERAL)
    kept.keep("targets_numbers", lambda: sk(path + "MultiOutputRegressor", tree()), X, PAIR, sample_weight=WEIGHT)
    chain = lambda *given, **more: sk(path + "ClassifierChain", *given, **more)
    kept.keep("chain", lambda: chain(logistic()), X, SEVERAL)
    kept.keep("chain_order", lambda: chain(bayes(), order=[2, 0, 1]), X, SEVERAL)
    kept.keep("chain_random", lambda: chain(tree("Classifier"), order="random", random_state=1, **HALVES), X, SEVERAL)
    kept.keep("chain_chances", lambda: chain(logistic(), chain_method="predict_proba"), X, SEVERAL)
    kept.keep("chain_three", lambda: chain(logistic()), X, LABELS)
    kept.keep("chain_words", lambda: pipe(words(), chain(logistic())), DOCS, SEVERAL, TEXTS)
    kept.keep("chain_numbers", lambda: sk(path + "RegressorChain", ordinary()), X, PAIR)
    kept.keep("chain_numbers_order", lambda: sk(path + "RegressorChain", tree(), order=[1, 0], **HALVES), X, PAIR)


def holders(kept):
    """Ensembles and models that hold others."""
    path = "ensemble."
    few = {"n_estimators": 3, "random_state": 0}
    kept.keep("ada", lambda: sk(path + "AdaBoostRegressor", tree(), **few), X, SIGNAL)
    kept.keep("ada_default", lambda: sk(path + "AdaBoostRegressor", n_estimators=2, random_state=0), X[:24],
              SIGNAL[:24])
    kept.keep("ada_square", lambda: sk(path + "AdaBoostRegressor", ordinary(), loss="square", **few), X, SIGNAL,
              sample_weight=WEIGHT)
    samme = lambda **more: sk(path + "AdaBoostClassifier", tree("Classifier", 1), **dict(few, **more))
    kept.keep("samme", lambda: samme(algorithm="SAMME"), X, NAMES)
    kept.keep("samme_default", samme, X, BYTES)
    kept.keep("ada_exponential", lambda: sk(path + "AdaBoostRegressor", tree(), loss="exponential", **few), X, SIGNAL)
    kept.keep("bag", lambda: sk(path + "BaggingRegressor", tree(), max_features=0.5, **few), X, SIGNAL)
    kept.keep("bag_columns", lambda: sk(path + "BaggingRegressor", ordinary(), bootstrap_features=True, **few), X,
              SIGNAL)
    kept.keep("bag_default", lambda: sk(path + "BaggingRegressor", n_estimators=2, random_state=0), X[:24], SIGNAL[:24])
    linear = lambda: sk("svm.LinearSVC", random_state=0)
    kept.keep("bag_votes", lambda: sk(path + "BaggingClassifier", linear(), max_features=3, **few), X, NAMES)
    kept.keep("bag_chances", lambda: sk(path + "BaggingClassifier", tree("Classifier"), **few), X, BYTES)
    kept.keep("extra", lambda: sk(path + "ExtraTreesRegressor", max_depth=2, **few), X, PAIR, sample_weight=WEIGHT)
    kept.keep("extra_classes", lambda: sk(path + "ExtraTreesClassifier", max_depth=2, **few), X, NAMES)
    kept.keep("forest_targets", lambda: sk(path + "RandomForestClassifier", max_depth=2, **few), X, LABELS)
    kept.keep("forest_several", lambda: sk(path + "RandomForestRegressor", max_depth=2, **few), X, PAIR)
    kept.keep("extra_tree", lambda: sk("tree.ExtraTreeClassifier", max_depth=2, random_state=0), X, BYTES)
    kept.keep("extra_tree_numbers", lambda: sk("tree.ExtraTreeRegressor", max_depth=3, random_state=0), X, SIGNAL)
    pair = [("line", ordinary()), ("tree", tree())]
    kept.keep("votes", lambda: sk(path + "VotingRegressor", pair), X, SIGNAL, sample_weight=WEIGHT)
    out = [pair[0], ("out", of_release((0, 22), "drop", None)), pair[1]]
    kept.keep("votes_weights", lambda: sk(path + "VotingRegressor", out, weights=[3, 9, 1]), X, SIGNAL)
    kept.keep("stack", lambda: sk(path + "StackingRegressor", pair, cv=2), X, SIGNAL)
    kept.keep("stack_passed", lambda: sk(path + "StackingRegressor", pair, tree(), cv=2, passthrough=True), X, SIGNAL)
    kinds = [("line", logistic()), ("tree", tree("Classifier"))]
    kept.keep("votes_hard", lambda: sk(path + "VotingClassifier", kinds, weights=[1, 2]), X, NAMES)
    kept.keep("stack_classes", lambda: sk(path + "StackingClassifier", kinds, cv=2), X, NAMES)
    grid = {"max_depth": [1, 2]}
    kept.keep("grid", lambda: sk(SEARCHED + ".GridSearchCV", tree("Classifier"), grid, cv=2), X, NAMES)
    drawn = {"n_iter": 2, "cv": 2, "random_state": 0}
    kept.keep("random", lambda: sk(SEARCHED + ".RandomizedSearchCV", tree(), grid, **drawn), X, SIGNAL)
    for name in ("HalvingGridSearchCV", "HalvingRandomSearchCV"):
        make = lambda: halving(name, grid)
        kept.keep(name.lower(), make, X, TWO)
    part = np.where(np.arange(60) % 3 == 0, -1, TWO)
    trained = lambda *given, **more: sk("semi_supervised.SelfTrainingClassifier", *given, **more)
    kept.keep("trained", lambda: trained(logistic()), X, part)
    kept.keep("trained_best", lambda: trained(tree("Classifier"), criterion="k_best", k_best=5), X, part)
    kept.keep("frozen", lambda: sk("frozen.FrozenEstimator", logistic().fit(X, NAMES)), X, NAMES)
    kept.keep("frozen_block", lambda: sk("frozen.FrozenEstimator", sk("preprocessing.StandardScaler").fit(X)), X, THREE)
    fixed = lambda *given, **more: sk("model_selection.FixedThresholdClassifier", *given, **more)
    kept.keep("fixed", lambda: fixed(logistic(), threshold=0.7), X, TWO)
    kept.keep("fixed_score", lambda: fixed(linear(), threshold=0.2, pos_label="no"), X, BYTES)
    tuned = lambda *given, **more: sk("model_selection.TunedThresholdClassifierCV", *given, **more)
    kept.keep("tuned", lambda: tuned(logistic(), cv=2, thresholds=9), X, TWO)
    kept.keep("tuned_f1", lambda: tuned(bayes(), scoring="f1", cv=2, thresholds=9), X, TWO)


def halving(name, grid):
    """A search by halves, which has to be enabled."""
    importlib.import_module("sklearn.experimental.enable_halving_search_cv" if RELEASE >= (0, 24) else "sklearn")
    return sk("model_selection." + name, tree("Classifier"), grid, cv=2, random_state=0)


def near_rows(kept):
    """Models that keep training rows or centres."""
    path = "neighbors."
    few, signal, names, two = X[:40], SIGNAL[:40], NAMES[:40], TWO[:40]
    nearest = lambda **more: sk(path + "KNeighborsRegressor", n_neighbors=3, **more)
    kept.keep("nearest", nearest, few, signal)
    kept.keep("nearest_pair", lambda: nearest(weights="distance", algorithm="brute"), few, PAIR[:40])
    kept.keep("nearest_city", lambda: nearest(metric="manhattan", algorithm="ball_tree", leaf_size=5), few, signal)
    kept.keep("nearest_whole", nearest, few, THREE[:40])
    kept.keep("nearest_words", lambda: pipe(words(), nearest()), DOCS[:30], SIGNAL[:30], TEXTS)
    several = lambda **more: sk(path + "KNeighborsClassifier", n_neighbors=2, **more)
    kept.keep("nearest_labels", lambda: several(weights="distance"), few, LABELS[:40])
    center = lambda **more: sk(path + "NearestCentroid", **more)
    kept.keep("centroid", center, X, NAMES)
    kept.keep("centroid_city", lambda: center(metric="manhattan"), X, THREE)
    kept.keep("centroid_shrunk", lambda: center(shrink_threshold=0.3), X, BYTES)
    kept.keep("centroid_grid", center, np.array([[0, 0, 0, 0], [1, 1, 1, 1], [2, 2, -2, 0], [2, 2, 2, 0]]),
              [0, 1, 2, 3])
    kept.keep("centroid_prior", lambda: center(priors="empirical"), X, NAMES)
    kept.keep("centroid_prior_city", lambda: center(priors=[0.5, 0.3, 0.2], metric="manhattan"), X, NAMES)
    kept.keep("centroid_words", lambda: pipe(words(), center()), DOCS, NAMES, TEXTS)
    radius = lambda radius=1.5, **more: sk(path + "RadiusNeighborsClassifier", radius, **more)
    kept.keep("radius", radius, few, names)
    kept.keep("radius_wide", lambda: radius(1e3), few, names)
    kept.keep("radius_label", lambda: radius(outlier_label=7, weights="distance"), few, two)
    kept.keep("radius_known", lambda: radius(outlier_label=2, algorithm="brute"), few, THREE[:40])
    city = {"metric": "manhattan", "algorithm": "brute"}
    kept.keep("radius_city", lambda: radius(outlier_label=1, **city), few, two)
    kept.keep("radius_city_named", lambda: radius(outlier_label="mid", **city), few, names)
    kept.keep("radius_city_unknown", lambda: radius(outlier_label=9, weights="distance", **city), few, THREE[:40])
    kept.keep("radius_most", lambda: radius(outlier_label="most_frequent"), few, names)
    kept.keep("radius_targets", lambda: radius(outlier_label=[3, 4]), few, LABELS[:40])
    kept.keep("radius_targets_wide", lambda: radius(1e3, weights="distance"), few, LABELS[:40])
    around = lambda *given, **more: sk(path + "RadiusNeighborsRegressor", *given, **more)
    kept.keep("around", lambda: around(1.5), few, signal)
    kept.keep("around_pair", lambda: around(2.0, weights="distance", algorithm="brute"), few, PAIR[:40])
    kept.keep("around_whole", lambda: around(1.5, metric="chebyshev"), few, THREE[:40])
    factor = lambda **more: sk(path + "LocalOutlierFactor", n_neighbors=5, novelty=True, **more)
    kept.keep("factor", factor, few)
    kept.keep("factor_share", lambda: factor(contamination=0.1, algorithm="brute"), few)
    kept.keep("factor_cubed", lambda: factor(contamination=0.3, metric="minkowski", p=3, algorithm="ball_tree"), few)
    kept.keep("factor_city", lambda: factor(contamination=0.2, metric="manhattan"), few)
    envelope = lambda **more: sk("covariance.EllipticEnvelope", random_state=0, **more)
    kept.keep("envelope", envelope, X)
    kept.keep("envelope_share", lambda: envelope(contamination=0.2, support_fraction=0.9), X)
    kept.keep("envelope_centred", lambda: envelope(assume_centered=True), X)
    kept.keep("envelope_bare", lambda: envelope(store_precision=False), X)
    kept.keep("batches", lambda: sk("cluster.MiniBatchKMeans", 3, random_state=0, n_init=3), X)


# A generator of its own is pickled with a process, and the same one takes little room.
SEED = {"random_state": 0}


def kernels(kept):
    """Models of kernels and of densities."""
    few, signal, names, two = X[:14], SIGNAL[:14], NAMES[:14], BYTES[:14]
    ridge = lambda **more: sk("kernel_ridge.KernelRidge", **more)
    kept.keep("kernel", ridge, X[:24], SIGNAL[:24])
    kept.keep("kernel_rbf", lambda: ridge(kernel="rbf", gamma=0.2, alpha=0.1), X[:24], PAIR[:24])
    kept.keep("kernel_rbf_default", lambda: ridge(kernel="rbf"), X[:24], SIGNAL[:24], sample_weight=WEIGHT[:24])
    kept.keep("kernel_poly", lambda: ridge(kernel="poly", degree=2, coef0=0.5), X[:24], SIGNAL[:24])
    kept.keep("kernel_laplacian", lambda: ridge(kernel="laplacian"), X[:24], SIGNAL[:24])
    kept.keep("kernel_sigmoid", lambda: ridge(kernel="sigmoid", gamma=0.01), X[:24], THREE[:24])
    kept.keep("kernel_words", lambda: pipe(words(), ridge(kernel="rbf")), DOCS[:24], SIGNAL[:24], TEXTS)
    kinds = importlib.import_module("sklearn.gaussian_process.kernels")
    kernel = kinds.ConstantKernel(2.0, "fixed") * kinds.RBF(1.5, "fixed")
    process = lambda *given, **more: sk("gaussian_process.GaussianProcessRegressor", *given, **dict(SEED, **more))
    kept.keep("process", process, few, signal)
    kept.keep("process_normal", lambda: process(kernel, alpha=0.1, normalize_y=True), few, signal)
    kept.keep("process_pair", lambda: process(kernel + kinds.WhiteKernel(0.3), normalize_y=True), few, PAIR[:14])
    kept.keep("process_column", lambda: process(kernel, alpha=0.1), few, signal[:, None])
    kept.keep("process_matern", lambda: process(kinds.Matern([1.0, 2.0, 3.0, 1.0], nu=1.5), alpha=0.1, optimizer=None),
              few, signal)
    kept.keep("process_dot", lambda: process(kinds.DotProduct(1.0, "fixed") ** 2, alpha=1.0), few, signal)
    kept.keep("process_rational", lambda: process(kinds.RationalQuadratic(), alpha=0.1, optimizer=None), few, signal)
    chances = lambda *given, **more: sk("gaussian_process.GaussianProcessClassifier", *given, optimizer=None,
        **dict(SEED, **more))
    kept.keep("process_two", lambda: chances(kernel), few, two)
    kept.keep("process_three", chances, few, names)
    kept.keep("process_pairs", lambda: chances(kernel, multi_class="one_vs_one"), few, names)
    curved = lambda **more: sk("discriminant_analysis.QuadraticDiscriminantAnalysis", **more)
    kept.keep("curved", curved, X, NAMES)
    kept.keep("curved_two", lambda: curved(reg_param=0.3, priors=[0.2, 0.8]), X, BYTES)
    kept.keep("curved_stored", lambda: curved(**{of_release((0, 19), "store_covariance", "store_covariances"): True}),
              X, THREE)
    kept.keep("curved_flat", lambda: curved(reg_param=0.1), np.column_stack([X[:, :3], X[:, 0]]), NAMES)
    kept.keep("curved_eigen", lambda: curved(solver="eigen", shrinkage=0.2), X, NAMES)
    kept.keep("nu", lambda: sk("svm.NuSVC", nu=0.3, gamma=0.2), X[:30], NAMES[:30])
    kept.keep("nu_rest", lambda: sk("svm.NuSVC", nu=0.3, gamma=0.2, decision_function_shape="ovr"), X[:30], NAMES[:30])
    kept.keep("nu_numbers", lambda: sk("svm.NuSVR", nu=0.3, kernel="poly", degree=2, gamma=0.1), X[:30], SIGNAL[:30])
    kept.keep("one", lambda: sk("svm.OneClassSVM", nu=0.3, gamma="auto"), X[:30])
    kept.keep("one_default", lambda: sk("svm.OneClassSVM", nu=0.3), X[:30])


def plain(kept):
    """Bayes, networks, dummies."""
    counts = "counts", "above", "below", "gaps"
    path = "naive_bayes."
    kept.keep("bernoulli", lambda: sk(path + "BernoulliNB"), X, NAMES, sample_weight=WEIGHT)
    kept.keep("bernoulli_cut", lambda: sk(path + "BernoulliNB", binarize=0.5, fit_prior=False, alpha=0.1), X, BYTES)
    kept.keep("bernoulli_none", lambda: sk(path + "BernoulliNB", binarize=None), np.minimum(WHOLE, 1), TWO, counts)
    kept.keep("bernoulli_words", lambda: pipe(words(), sk(path + "BernoulliNB", alpha=0)), DOCS, NAMES, TEXTS)
    kept.keep("complement", lambda: sk(path + "ComplementNB"), WHOLE, NAMES, counts)
    kept.keep("complement_norm", lambda: sk(path + "ComplementNB", norm=True, alpha=0.5), WHOLE, THREE, counts)
    kept.keep("complement_two", lambda: sk(path + "ComplementNB"), WHOLE, BYTES, counts)
    kept.keep("complement_one", lambda: sk(path + "ComplementNB"), WHOLE, np.zeros(60, dtype=int), counts)
    kept.keep("complement_words", lambda: pipe(words(), sk(path + "ComplementNB")), DOCS, NAMES, TEXTS)
    kept.keep("categories", lambda: sk(path + "CategoricalNB"), WHOLE, NAMES, counts, sample_weight=WEIGHT)
    kept.keep("categories_two", lambda: sk(path + "CategoricalNB", alpha=0.1, fit_prior=False), WHOLE, BYTES, counts)
    kept.keep("categories_least", lambda: sk(path + "CategoricalNB", min_categories=6), WHOLE, THREE, counts)
    kept.keep("multinomial", lambda: sk(path + "MultinomialNB", alpha=0), WHOLE, NAMES, counts)
    kept.keep("multinomial_words", lambda: pipe(words(), sk(path + "MultinomialNB")), DOCS, BYTES, TEXTS)
    kept.keep("gaussian", lambda: sk(path + "GaussianNB", priors=[0.2, 0.3, 0.5]), X, NAMES, sample_weight=WEIGHT)
    path = "neural_network."
    small = {"hidden_layer_sizes": (3,), "max_iter": 20, "solver": "lbfgs", "random_state": 0}
    two_layers = {"hidden_layer_sizes": (3, 2), "max_iter": 9, "solver": "lbfgs", "random_state": 0}
    for name in ("relu", "tanh", "logistic"):
        kept.keep("network_" + name, lambda: sk(path + "MLPRegressor", activation=name, **small), X, SIGNAL)
    kept.keep("network_pair", lambda: sk(path + "MLPRegressor", activation="identity", **two_layers), X, PAIR)
    kept.keep("network_poisson", lambda: sk(path + "MLPRegressor", loss="poisson", **small), X, np.exp(SIGNAL / 2))
    kept.keep("network_several", lambda: sk(path + "MLPClassifier", **small), X, SEVERAL)
    kept.keep("network_two", lambda: sk(path + "MLPClassifier", **small), X, BYTES)
    for name, given in (("mean", {}), ("median", {}), ("quantile", {"quantile": 0.3}),
        ("constant", {"constant": [[1.5], [2]]})):
        make = lambda: sk("dummy.DummyRegressor", strategy=name, **given)
        kept.keep("dummy_" + name, make, X, PAIR)
    kept.keep("dummy_one", lambda: sk("dummy.DummyRegressor"), X, SIGNAL, sample_weight=WEIGHT)
    for name, y in (("prior", NAMES), ("most_frequent", LABELS)):
        kept.keep("dummy_" + name, lambda: sk("dummy.DummyClassifier", strategy=name), X, y)
    kept.keep("dummy_always", lambda: sk("dummy.DummyClassifier", strategy="constant", constant="no"), X, BYTES)


def blocks_of(kept):
    """Transformers of numbers."""
    path = "preprocessing."
    power = lambda *given, **more: sk(path + "PolynomialFeatures", *given, **more)
    kept.keep("powers", lambda: power(3), X)
    kept.keep("powers_mixed", lambda: power(3, interaction_only=True, include_bias=False), X)
    kept.keep("powers_from", lambda: power((2, 3), include_bias=False), X)
    kept.keep("powers_fortran", lambda: power(2, order="F"), X)
    kept.keep("powers_words", lambda: pipe(words(max_features=3), power(2)), DOCS, None, TEXTS)
    kept.keep("powers_words_high", lambda: pipe(words(max_features=2), power(4)), DOCS, None, TEXTS)
    spline = lambda **more: sk(path + "SplineTransformer", n_knots=3, **more)
    for name in ("constant", "linear", "continue", "error", "periodic"):
        kept.keep("spline_" + name, lambda: spline(degree=2, extrapolation=name), X)
    kept.keep("spline_quantile", lambda: spline(knots="quantile", include_bias=False), X[:, [0, 2, 0, 2]])
    kept.keep("spline_sparse", lambda: spline(sparse_output=True), X)
    kept.keep("spline_missing", lambda: spline(degree=2, handle_missing="zeros"), HOLES)
    kept.keep("binarizer", lambda: sk(path + "Binarizer", threshold=0.5), X)
    kept.keep("binarizer_words", lambda: pipe(words(), sk(path + "Binarizer", threshold=1)), DOCS, None, TEXTS)
    kept.keep("function", lambda: sk(path + "FunctionTransformer", np.arctan), X)
    kept.keep("parts", lambda: sk("decomposition.IncrementalPCA", 2, batch_size=30, whiten=True), X)
    kept.keep("label_binary", lambda: sk(path + "LabelBinarizer"), NAMES, None, ("names", "others"))
    kept.keep("label_two", lambda: sk(path + "LabelBinarizer", neg_label=-1, pos_label=2), NAMES[NAMES != "mid"], None,
              ("ends", "others"))
    kept.keep("label_sparse", lambda: sk(path + "LabelBinarizer", sparse_output=True), NAMES, None, ("names", "others"))
    kept.keep("label_codes", lambda: sk(path + "LabelEncoder"), NAMES, None, ("names", "others"))
    seen = "seen", "unseen"
    target = lambda **more: sk(path + "TargetEncoder", random_state=0, **more)
    kept.keep("target", target, WORDS, SIGNAL, seen)
    kept.keep("target_two", lambda: target(smooth=3.0), WORDS, BYTES, seen)
    kept.keep("target_three", lambda: target(target_type="multiclass"), WORDS, NAMES, seen)
    kept.keep("target_listed", lambda: target(categories=[["red", "green", "blue"], ["S", "M", "L", u"Zürich", "XL"]]),
              WORDS, TWO, seen)
    path = "impute."
    gap = lambda **more: sk(path + "MissingIndicator", **more)
    kept.keep("gap", gap, HOLES)
    kept.keep("gap_quiet", lambda: gap(error_on_new=False), HOLES)
    kept.keep("gap_all", lambda: gap(features="all", sparse=False), HOLES)
    kept.keep("gap_sparse", lambda: gap(sparse=True, error_on_new=False), HOLES)
    kept.keep("gap_number", lambda: gap(missing_values=-1, error_on_new=False), X)
    kept.keep("gap_words", lambda: gap(missing_values="red", error_on_new=False), WORDS, None, seen)
    kept.keep("round", lambda: rounds(max_iter=3), HOLES)
    kept.keep("round_marked", lambda: rounds(max_iter=2, add_indicator=True, min_value=-1, max_value=[1, 2, 1, 1]),
              HOLES)
    kept.keep("round_limits", lambda: rounds(max_iter=2, min_value=-1, max_value=1), HOLES)
    kept.keep("round_random", lambda: rounds(max_iter=2, imputation_order="random", n_nearest_features=2), HOLES)
    kept.keep("round_tree", lambda: rounds(tree(), max_iter=2, initial_strategy="median"), HOLES)
    kept.keep("round_number", lambda: rounds(missing_values=-1, max_iter=2), X)
    empty = np.column_stack([HOLES[:, :3], np.full(60, np.nan)])
    kept.keep("round_empty", lambda: rounds(max_iter=2), empty)
    kept.keep("round_empty_kept", lambda: rounds(max_iter=2, keep_empty_features=True), empty)
    kept.keep("round_none", lambda: rounds(max_iter=0), HOLES)
    for name in ("mean", "most_frequent"):
        kept.keep("fill_" + name, lambda: sk(path + "SimpleImputer", strategy=name), empty)


def rounds(*given, **more):
    """An IterativeImputer, which has to be enabled."""
    importlib.import_module("sklearn.experimental.enable_iterative_imputer" if RELEASE >= (0, 21) else "sklearn")
    return sk("impute.IterativeImputer", *given, random_state=0, **more)


def texts(kept):
    """Texts, hashed and weighed."""
    path = "feature_extraction.text."
    hashed = lambda **more: sk(path + "HashingVectorizer", n_features=16, **more)
    kept.keep("hashed", hashed, DOCS, None, TEXTS)
    kept.keep("hashed_pairs", lambda: hashed(ngram_range=(1, 2), norm="l1", lowercase=False), DOCS, None, TEXTS)
    kept.keep("hashed_letters",
              lambda: hashed(analyzer="char_wb", ngram_range=(2, 3), norm=None,
                  strip_accents="unicode"), DOCS, None, TEXTS)
    kept.keep("hashed_binary", lambda: hashed(binary=True, dtype=np.float32), DOCS, None, TEXTS)
    kept.keep("hashed_positive", lambda: hashed(non_negative=True), DOCS, None, TEXTS)
    kept.keep("hashed_plus", lambda: hashed(alternate_sign=False, norm=None), DOCS, None, TEXTS)
    kept.keep("hashed_plus_positive", lambda: hashed(alternate_sign=True, non_negative=True, norm=None), DOCS, None,
              TEXTS)
    kept.keep("hashed_model", lambda: pipe(hashed(), logistic()), DOCS, BYTES, TEXTS)
    weigh = lambda **more: sk(path + "TfidfTransformer", **more)
    counts = "counts", "above", "below", "gaps", "far"
    kept.keep("weighed", weigh, WHOLE, None, counts)
    kept.keep("weighed_l1", lambda: weigh(norm="l1", smooth_idf=False, sublinear_tf=True), WHOLE, None, counts)
    kept.keep("weighed_not", lambda: weigh(use_idf=False), WHOLE, None, counts)
    kept.keep("weighed_plain", lambda: weigh(norm=None), WHOLE, None, counts)
    kept.keep("weighed_words", lambda: pipe(words(), weigh(sublinear_tf=True), logistic()), DOCS, NAMES, TEXTS)
    kept.keep("weighed_words_block", lambda: pipe(words(ngram_range=(1, 2), max_features=9), weigh()), DOCS, None,
              TEXTS)


TEXTS = ("texts",)

def main(given):
    """Make, or pack what was made."""
    if given[0] == "--pack":
        pack(given[1])
        return
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    everything = Kept()
    for family in (selectors, linear_models, several, holders, near_rows, kernels, plain, blocks_of, texts):
        family(everything)
    everything.write(given[0])


if __name__ == "__main__":
    main(sys.argv[1:])
