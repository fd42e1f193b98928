"""Functions that a test keeps as steps of a pipeline: what `--keep PATH=tests.kept_steps:NAME` names."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin


def ratios(X: Any) -> Any:
    """A frame with a column made of two."""
    X = X.copy()
    X["ratio"] = X["a"] / (1.0 + X["b"].abs())
    return X


def not_ratios(X: Any) -> Any:
    """Nearly the same."""
    return ratios(X).assign(ratio=0.0)


def half(X: Any) -> Any:
    """Loses rows."""
    return ratios(X).iloc[::2]


def fails(X: Any) -> Any:
    """What a user's bug looks like."""
    raise KeyError("no such column")


def words(documents: Any) -> Any:
    """Texts to the numbers of letters and of words."""
    return np.array([[len(d), len(d.split())] for d in documents], dtype=float)


class Ratios(BaseEstimator, TransformerMixin):
    """A custom step that does the same."""

    def fit(self, X: Any, y: Any = None) -> Ratios:
        self.feature_names_in_ = np.array(X.columns.tolist(), dtype=object)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: Any) -> Any:
        return ratios(X)


class Nearest(BaseEstimator, ClassifierMixin):
    """A classifier that nobody else knows: by the sign of the first column."""

    def fit(self, X: Any, y: Any) -> Nearest:
        self.classes_, self.n_features_in_ = np.unique(y), X.shape[1]
        return self

    def predict(self, X: Any) -> Any:
        return self.classes_[(X[:, 0] > 0).astype(int)]

    def predict_proba(self, X: Any) -> Any:
        share = 1.0 / (1.0 + np.abs(X[:, 0]))
        return np.stack([share, 1.0 - share], axis=1)


nearest = Nearest().fit(np.zeros((2, 3)), np.array(["no", "yes"]))


def sign(block: Any) -> Any:
    """The same as a function: predict alone."""
    return nearest.predict(block)
