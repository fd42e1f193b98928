"""XGBoost and LightGBM models of older releases answer as these did, bit for bit; see tests/data/boosters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from slimml.backends import BACKENDS
from slimml.candidates import build, refusal
from slimml.errors import UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.intake import graphs, ingest
from slimml.options import ShrinkOptions
from slimml.sample import read_sample
from tests.hostile import graph_answer, same_cells
from tests.kept_releases import boosters, rows_of

RELEASES = sorted(boosters())
# What is refused, and why; all else is compared.
AT_RANDOM, RAISES, NO_SHAPE = "drops trees at random", "raises when it predicts", "in a wrong shape"
WHICH = "does not say whether 1.3.0 wrote it"
REFUSED = {
    **{("xgboost-0.90", name): AT_RANDOM for name in ("dart.bin", "dropped.pkl")},
    **{(f"xgboost-{v}", "best_linear.pkl"): RAISES for v in ("0.90", "1.0.2", "1.2.1", "1.3.3")},
    ("xgboost-1.3.3", "raw.bin"): WHICH,
    **{(f"lightgbm-{v}", "two.pkl"): NO_SHAPE for v in ("3.0.0", "3.2.1", "3.3.5", "4.0.0")},
}


def archive(release: str) -> tuple[dict[str, bytes], dict[str, np.ndarray]]:
    """The models of a release, by file name, and its answers."""
    return boosters()[release].files, boosters()[release].answers


def rows(name: str) -> np.ndarray:
    return rows_of("boosters", name)


def cases(release: str) -> list[tuple[str, str, str, np.ndarray, np.ndarray | None]]:
    """(file, method, key, rows, the release's answer or None) of all that it was asked."""
    files, answers = archive(release)
    asked = []
    for file in files:
        model = file.split(".")[0]
        for method in ("predict", "predict_proba"):
            if f"{model}/{method}" not in answers:
                continue
            near = rows("codes" if model == "categories" else "near")
            asked.append((file, method, f"{model}/{method}", near, answers[f"{model}/{method}"]))
            if model != "categories":
                far = f"{model}/{method}@far"
                asked.append((file, method, far, rows("far"), answers.get(far)))
    return asked


def same(expected: np.ndarray, got: Any) -> bool:
    """Equal bits, and numbers of the same kind."""
    got = np.asarray(got)
    kinds = {expected.dtype.kind, got.dtype.kind}
    return len(kinds) == 1 and same_cells(expected.reshape(got.shape), got).all()


@pytest.mark.parametrize("release", RELEASES)
def test_models_of_a_release_answer_as_it_did(release: str):
    files, _ = archive(release)
    graphs_of = {}
    for file, data in files.items():
        if (release, file) in REFUSED:
            with pytest.raises(UnsupportedEstimatorError, match=REFUSED[release, file]):
                lower(read(data).root)
        else:
            graphs_of[file] = lower(read(data).root)
    compared = [c for c in cases(release) if c[0] in graphs_of]
    assert {c[0] for c in compared} == set(graphs_of)
    for file, method, key, block, expected in compared:
        got = graph_answer(graphs_of[file], method, block)
        assert (got is None) == (expected is None), key
        if expected is not None:
            assert same(expected, got[0]), key


@pytest.mark.parametrize("release", ["xgboost-1.2.1", "xgboost-1.6.2", "lightgbm-3.2.1"])
def test_every_backend_has_the_bits_of_a_release(release: str):
    """Sums that begin at 0, links without a clamp, sets that send unseen codes the default way, a plain logarithm."""
    files, _ = archive(release)
    for file in sorted(f for f in files if f.split(".")[0] in ("sums", "steep", "dart", "categories", "one", "lambda")):
        source = ingest(files[file], None)
        _, final, _ = graphs(source, read_sample(source.root, None, None, None), ShrinkOptions())
        ran = set()
        for backend in BACKENDS:
            if backend.missing() or refusal(backend, final, asked=False):
                continue
            opened = build(backend, final, ShrinkOptions(), {}, []).model
            for name, method, key, block, expected in cases(release):
                if name == file and expected is not None:
                    assert same(expected, getattr(opened, method)(block)), f"{backend.name}: {key}"
            ran.add(backend.name)
        assert "portable" in ran
