"""What no method of a fitted model reads (predict, predict_proba, decision_function, transform, score_samples).

Exact attributes of exact classes, a reason each; what is not listed counts as read. tests/analysis/test_unread.py takes
every attribute that is listed away from live models and compares their answers.
"""

from __future__ import annotations

from slimml.ingest.record import Record

RANDOM = "random state of the training"
HISTORY = "history of the training"
TEMPLATE = "unfitted copy that fit cloned from"
OUT_OF_BAG = "out-of-bag estimates"
STATISTIC = "statistic of the training data that only fit uses"
SAMPLES = "one value for each training row"
SEARCH = "results of the search"
OPTIMIZER = "state of the optimizer"
PADDING = "padding"
INNER = "values of inner nodes, where no row ends"

_PACKAGES = ("sklearn", "xgboost", "lightgbm")
# Attributes of every class of scikit-learn, and the classes that do read them.
_EVERYWHERE = {"random_state": RANDOM}
_READS = {
    "random_state": frozenset(
        "NMF MiniBatchNMF LatentDirichletAllocation IterativeImputer BernoulliRBM DummyClassifier "
        "IsolationForest".split()
    ),
}


def _all(names: str, reason: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), reason)


_FOREST = {
    # `estimator` is asked for its tags.
    **_all("base_estimator estimator_ base_estimator_", TEMPLATE),
    **_all("oob_score_ oob_decision_function_ oob_prediction_", OUT_OF_BAG),
}
_BOOSTING = {
    **_all("_rng", RANDOM),
    **_all("train_score_ oob_improvement_ oob_scores_ oob_score_", HISTORY),
}
_HISTOGRAM = {
    **_all("_feature_subsample_rng _random_seed", RANDOM),
    **_all("train_score_ validation_score_ _scorer", HISTORY),
}
_BAGGING = {
    # `estimator` is asked for its tags, `estimator_` for its methods.
    **_all("base_estimator base_estimator_", TEMPLATE),
    **_all("oob_score_ oob_decision_function_ oob_prediction_", OUT_OF_BAG),
    **_all("_seeds", RANDOM),
}
_SEARCH = {
    **_all("cv_results_ cv refit_time_", SEARCH),
    **_all("param_grid param_distributions", SEARCH),
}
_MLP = {
    **_all("_optimizer", OPTIMIZER),
    **_all("loss_curve_ validation_scores_ _best_coefs _best_intercepts", HISTORY),
    **_all("_random_state", RANDOM),
}
_NAIVE_BAYES = _all("feature_count_ class_count_ feature_all_", STATISTIC)
_PATHS = _all(
    "coefs_paths_ scores_ mse_path_ alphas_ coef_path_ cv_mse_path_ Cs_ l1_ratios_ cv_values_ cv_results_", SEARCH
)
_SVD = _all("explained_variance_ratio_ singular_values_", STATISTIC)

BY_CLASS: dict[str, dict[str, str]] = {
    **dict.fromkeys(
        ("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor"), _FOREST
    ),
    **dict.fromkeys(("GradientBoostingClassifier", "GradientBoostingRegressor"), _BOOSTING),
    **dict.fromkeys(("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), _HISTOGRAM),
    **dict.fromkeys(("BaggingClassifier", "BaggingRegressor"), _BAGGING),
    **dict.fromkeys(
        ("AdaBoostClassifier", "AdaBoostRegressor"),
        _all("estimator base_estimator estimator_ base_estimator_", TEMPLATE) | _all("estimator_errors_", HISTORY),
    ),
    **dict.fromkeys(("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"), _SEARCH),
    "TreePredictor": _all("binned_left_cat_bitsets", HISTORY),
    "ColumnTransformer": _all("transformers", TEMPLATE),
    "StandardScaler": _all("var_ n_samples_seen_", STATISTIC),
    "MinMaxScaler": _all("data_min_ data_max_ data_range_ n_samples_seen_", STATISTIC),
    "MaxAbsScaler": _all("max_abs_ n_samples_seen_", STATISTIC),
    "PCA": _SVD,
    "TruncatedSVD": _SVD | _all("explained_variance_", STATISTIC),
    **dict.fromkeys(("MultinomialNB", "BernoulliNB"), _all("feature_count_ class_count_", STATISTIC)),
    "ComplementNB": _NAIVE_BAYES,
    "GaussianNB": _all("class_count_", STATISTIC),
    **dict.fromkeys(("MLPClassifier", "MLPRegressor"), _MLP),
    "LinearRegression": _all("singular_ rank_", STATISTIC),
    **dict.fromkeys(
        ("LogisticRegressionCV", "LassoCV", "ElasticNetCV", "RidgeCV", "RidgeClassifierCV", "LassoLarsCV"), _PATHS
    ),
    **dict.fromkeys(("KMeans", "MiniBatchKMeans"), _all("labels_", SAMPLES)),
    "MiniBatchKMeans": _all("labels_", SAMPLES) | _all("_counts", STATISTIC) | _all("random_state_", RANDOM),
    "GaussianMixture": _all("covariances_ lower_bounds_", STATISTIC),
    **dict.fromkeys(("SGDClassifier", "SGDRegressor"), _all("_expanded_class_weight", HISTORY)),
    **dict.fromkeys(
        ("CountVectorizer", "TfidfVectorizer"), _all("stop_words_", "terms that were cut from the vocabulary")
    ),
    **dict.fromkeys(
        ("XGBClassifier", "XGBRegressor", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor", "XGBModel"),
        _all("evals_result_", HISTORY) | _all("callbacks", HISTORY),
    ),
    **dict.fromkeys(
        ("LGBMClassifier", "LGBMRegressor", "LGBMRanker", "LGBMModel"), _all("_evals_result _best_score", HISTORY)
    ),
}
# Fields of node arrays: of (class, attribute) the fields that no row's way through a tree asks for.
FIELDS: dict[tuple[str, str], dict[str, str]] = {
    ("Tree", "nodes"): {
        "impurity": "impurity of each node, used while growing",
        "n_node_samples": "training rows in each node",
        "weighted_n_node_samples": "weight of the training rows in each node",
    },
    ("TreePredictor", "nodes"): {
        "count": "training rows in each node",
        "gain": "gain of each split",
        "depth": "depth of each node",
        "bin_threshold": "thresholds on binned training data",
    },
}


def is_judged(record: Record) -> bool:
    """Whether the class is of a package that the table is about."""
    return record.module.partition(".")[0] in _PACKAGES


def unread(record: Record, attribute: str) -> str:
    """Why no method reads the attribute, or "" where one may."""
    if not is_judged(record):
        return ""
    reason = BY_CLASS.get(record.name, {}).get(attribute)
    if reason is None and record.module.startswith("sklearn.") and record.name not in _READS.get(attribute, ()):
        reason = _EVERYWHERE.get(attribute)
    return reason or ""
