"""slimml in one page: shrink a fitted pipeline, load the artifact, predict.

python examples/quickstart.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import slimml

wine = load_wine(as_frame=True)
train, rows, labels, _ = train_test_split(wine.data, wine.target_names[wine.target], random_state=0)
pipeline = make_pipeline(StandardScaler(), RandomForestClassifier(100, random_state=0)).fit(train, labels)

with tempfile.TemporaryDirectory() as folder:
    # A fitted pipeline or the path of a pickle. `data` are rows to compare the answers on.
    result = slimml.shrink(pipeline, data=rows, out=Path(folder) / "wine.slim")
    print(result)

    # What a server does. It needs no scikit-learn.
    model = slimml.load(Path(folder) / "wine.slim")
    row = {name: float(value) for name, value in rows.iloc[0].items()}
    print(model.predict(row), model.predict_proba(row), model.classes_)

    # The same calls as the original's, with the same answers.
    assert np.array_equal(model.predict_proba(rows), pipeline.predict_proba(rows))
