"""Documents to make pages of: a forest's analysis, one of a hostile file, and a run of shrink."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import slimml
from tests.zoo import zoo_model

# What a file of a stranger may call a step and an attribute; each would set `hacked` if a page let it.
NAMES = (
    "</script><script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    '"><svg onload=window.hacked=1>',
    "' onmouseover='window.hacked=1",
    "</style></title><iframe src=javascript:window.hacked=1></iframe>",
    "javascript:window.hacked=1//\u202e\x00\x1b[31m",
)


@pytest.fixture(scope="session", autouse=True)
def _brief() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slimml.driver.MEASURE_SECONDS", 0.2)
        patch.setattr("slimml.analysis.run.MEASURE_SECONDS", 0.2)
        yield


@pytest.fixture(scope="session")
def forest() -> dict[str, Any]:
    """The analysis of a pipeline of five steps, the last of them a forest."""
    return slimml.analyze(zoo_model("forest/pipeline")[0]).to_json()


@pytest.fixture(scope="session")
def hostile() -> dict[str, Any]:
    """The analysis of a file whose names are markup."""
    x = np.random.default_rng(0).normal(size=(80, 3))
    scaler, model = StandardScaler().fit(x), RandomForestClassifier(3, random_state=0).fit(x, x[:, 0] > 0)
    for name in NAMES:
        setattr(scaler, name, np.zeros(500))
    pipeline = Pipeline([("scale", scaler), (NAMES[0], StandardScaler().fit(x)), (NAMES[1], model)])
    return slimml.analyze(pickle.dumps(pipeline)).to_json() | {"warnings": list(NAMES)}


@pytest.fixture(scope="session")
def shrunk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page that `shrink` wrote."""
    page = tmp_path_factory.mktemp("report") / "shrink.html"
    slimml.shrink(zoo_model("logistic/pipeline-multinomial")[0], report=page)
    return page
