"""Golden rows: recorded answers replay, and a changed answer is found."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from slimml.artifact.manifest import Manifest
from slimml.artifact.write import encode_artifact
from slimml.errors import ArtifactCorruptError
from slimml.ir.ops.models import Forest
from slimml.plan.encode import encode, label_tables
from slimml.runtime import golden, load
from slimml.runtime.golden import difference
from slimml.runtime.labels import write_labels
from tests.hostile import zoo_graph
from tests.runtime.test_predictor import artifact_of, records
from tests.zoo import zoo_model

SOME = ["logistic/pipeline", "tree/two-words", "compose/sparse-output", "forest/missing", "onehot/error", "hist/bool"]


def with_golden(graph, value):
    manifest = Manifest(
        schema=graph.schema,
        engine="portable",
        exactness="bitwise",
        outputs=[{"name": o.name, "form": o.form} for o in graph.outputs],
        classes=write_labels(label_tables(graph)),
        golden=value,
    )
    return load(encode_artifact(manifest, encode(graph)))


def rows_of(name):
    rows = records(zoo_model(name)[1])[:5]
    refused = {
        k: math.inf if isinstance(v, float) else "never seen" if isinstance(v, str) else v for k, v in rows[0].items()
    }
    return [*rows, refused]


@pytest.mark.parametrize("name", SOME)
def test_recorded_answers_replay(name):
    graph = zoo_graph(name)
    value = golden.record(load(artifact_of(graph)), rows_of(name))
    report = golden.replay(with_golden(graph, value))
    assert report.equal and report.rows == 6


def test_changed_leaf_is_found():
    graph = zoo_graph("forest/regression")
    value = golden.record(load(artifact_of(graph)), rows_of("forest/regression"))
    (node,) = (n for n in graph.nodes() if isinstance(n, Forest))
    bent = replace(node, trees=replace(node.trees, values=np.nextafter(node.trees.values, np.inf)))
    report = golden.replay(with_golden(graph.replace({node: bent}), value))
    assert not report.equal and 0 < report.max_abs < 1e-12 and report.label_mismatches == 0


def test_row_that_must_be_refused_and_is_answered_is_found():
    graph = zoo_graph("forest/regression")
    value = golden.record(load(artifact_of(graph)), rows_of("forest/regression"))
    assert value["answers"][-1] is None
    value["rows"][-1] = value["rows"][0]
    assert golden.replay(with_golden(graph, value)).label_mismatches == 1


MALFORMED = [
    {},
    {"rows": [], "answers": [None]},
    {"rows": 3, "answers": 3},
    {"rows": [1], "answers": [None]},
    {"rows": [], "answers": [], "more": 1},
]


@pytest.mark.parametrize("value", MALFORMED)
def test_malformed_golden_rows_are_refused(value):
    with pytest.raises(ArtifactCorruptError):
        golden.replay(with_golden(zoo_graph("forest/regression"), value))


# The largest difference of two numbers, absolute and relative, and how many other values differ.
DIFFERENCES = [
    (1.0, 1.0, (0.0, 0.0, 0)),
    (math.nan, math.nan, (0.0, 0.0, 0)),
    (1.0, 1.5, (0.5, 0.5, 0)),
    (1.0, math.nan, (math.inf, math.inf, 0)),
    (math.inf, 1.0, (math.inf, math.inf, 0)),
    ("a", "b", (0.0, 0.0, 1)),
    (1, True, (0.0, 0.0, 1)),
    (1, 1.0, (0.0, 0.0, 1)),
    (None, 1.0, (0.0, 0.0, 1)),
    ([1.0, 2.0], [1.0, 4.0], (2.0, 1.0, 0)),
    ([1.0], [1.0, 1.0], (0.0, 0.0, 1)),
    ({"a": ["x"]}, {"a": ["y"]}, (0.0, 0.0, 1)),
]


@pytest.mark.parametrize(("one", "other", "found"), DIFFERENCES)
def test_difference_counts_labels_and_measures_numbers(one, other, found):
    assert difference(one, other) == found
