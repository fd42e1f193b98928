"""The columns of a model whose release did not keep their number are told by its fitted arrays, or by the user."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import RFE, SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

import slimml
from slimml.errors import UnfittedModelError, UnsupportedEstimatorError
from slimml.frontends.width import Columns, columns_of
from slimml.ingest.limits import DEFAULT
from slimml.ingest.read import read
from slimml.ingest.record import Record
from slimml.ingest.walk import survey
from slimml.sample import read_sample

X = np.random.RandomState(0).normal(size=(60, 4))
Y = X[:, 0] > 0


def before_0_24(estimator: Any) -> Record:
    """The Record of a model, without what releases from 0.24 on say of its columns."""
    root = read(pickle.dumps(estimator)).root
    for record in survey(root, DEFAULT):
        for name in ("n_features_in_", "feature_names_in_", "_transformer_to_input_indices"):
            record.fields.pop(name, None)
    return root


@pytest.mark.parametrize(
    "estimator",
    [
        *(LogisticRegression(), GaussianNB(), KMeans(2, n_init=1), SVC(), KNeighborsClassifier(2)),
        *(MLPClassifier(3, max_iter=2), GradientBoostingClassifier(n_estimators=2), SelectKBest(k=2), MinMaxScaler()),
        *(RFE(LogisticRegression(), n_features_to_select=2), CalibratedClassifierCV(GaussianNB(), cv=2)),
        VotingClassifier([("a", make_pipeline(FunctionTransformer(), GaussianNB()))]),
        ColumnTransformer([("a", StandardScaler(), slice(0, 9)), ("b", OneHotEncoder(), [1])]),
        ColumnTransformer([("a", StandardScaler(), [True, False, True, False])], remainder="drop"),
    ],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fitted_arrays_tell_how_many_columns_there_are(estimator: Any):
    assert columns_of(before_0_24(estimator.fit(X, Y))) == Columns(("x0", "x1", "x2", "x3"))


def test_an_old_column_transformer_tells_the_names():
    frame = pd.DataFrame(X, columns=list("abcd"))
    root = before_0_24(make_pipeline(ColumnTransformer([("t", StandardScaler(), ["b"])]), GaussianNB()).fit(frame, Y))
    assert columns_of(root, Columns(("p", "b"), named=True)).names == ("p", "b")  # 0.20 keeps none
    root.fields["steps"][0][1].fields["_df_columns"] = np.array(list("abcd"), dtype=object)
    assert columns_of(root) == Columns(("a", "b", "c", "d"), named=True)


def test_a_choice_of_columns_that_is_none_tells_nothing():
    root = before_0_24(ColumnTransformer([("t", StandardScaler(), [0, 1])]).fit(X))
    for odd in ([[0, 1], [2]], ["a", None], [-1], 1 << 70, Record("x", "Y")):
        root.fields["transformers_"] = [("t", root.fields["transformers_"][0][1], odd)]
        root.fields["_remainder"] = ("remainder", "drop", None)
        with pytest.raises(UnsupportedEstimatorError):
            columns_of(root)


def test_texts_are_one_column():
    root = before_0_24(make_pipeline(CountVectorizer(), LogisticRegression()).fit(["a word", "no word"], [0, 1]))
    assert columns_of(root) == Columns(("x0",), documents=True)


def test_data_tell_what_the_file_does_not():
    passing = FunctionTransformer().fit(X)
    del passing.n_features_in_
    with pytest.raises(UnsupportedEstimatorError, match="--data"):
        slimml.shrink(passing)
    frame = pd.DataFrame(X, columns=list("abcd"))
    result = slimml.shrink(passing, data=frame, backend="portable")
    assert result.artifact is not None
    np.testing.assert_array_equal(slimml.load(result.artifact).transform(frame), X)
    assert slimml.verify(passing, result.artifact).ok
    declared = {"columns": {"a": {"kind": "number"}, "b": {"kind": "number"}}}
    sample = read_sample(read(pickle.dumps(passing)).root, None, None, declared)
    assert sample.columns == Columns(("a", "b"), named=True)


def test_what_was_never_fitted_is_said_to_be_so():
    with pytest.raises(UnfittedModelError, match="Call fit"):
        columns_of(read(pickle.dumps(LogisticRegression())).root)


def test_an_estimator_that_holds_itself_ends():
    root = read(pickle.dumps(make_pipeline(SVC()))).root
    root.fields["steps"] = [("again", root)]
    with pytest.raises(UnfittedModelError):
        columns_of(root)
