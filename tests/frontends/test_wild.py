"""Model files that people committed to public repositories: each is lowered, or refused with every reason named.

`REFUSED` holds the files that no frontend takes, with what is said of each. A file that is lowered after all has to
leave it. A file that holds a model and what stands before it counts as lowered where the chain of both is, which the
message offers.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from slimml.errors import IngestError, UnsupportedModelError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.refusals import refusals, refused
from tests.shared import shared_dir, why_no_shared

WILD = (shared_dir() or Path("nowhere")) / "wild"
_NONE = (".md", ".tsv")
# Seconds for one file, on a busy machine; the largest takes one.
LIMIT = 30
LEAST = 140

_CATBOOST = "no frontend knows catboost.core.CatBoostClassifier: models of CatBoost are not read"
_TOKENIZER = "TfidfVectorizer with its own tokenizer (__main__.tokenizer) is not handled"
REFUSED: dict[str, tuple[str, ...]] = {
    "AI-School-F5-P2__proyecto_airlines_equipo_2/catboost_airplanes.pkl": (f"model: {_CATBOOST}",),
    "AI-School-F5-P2__proyecto_airlines_equipo_2/modelo_CatBoostClassifier.pkl": (f"model: {_CATBOOST}",),
    "CatherineLE__Stackoverflow/MultiLabelBinarizer.pkl": ("takes sets of labels, not rows of a table",),
    "CatherineLE__Stackoverflow/v-MultiLabelBinarizer.pkl": ("takes sets of labels, not rows of a table",),
    "CatherineLE__Stackoverflow/lda.pkl": ("model: no frontend knows", "LatentDirichletAllocation"),
    "FarhanBud__HR-Analytics-JCDSBSD/lgbm_model.pkl": (
        "2 steps cannot be lowered",
        "model.preprocess.ordinal: no frontend knows category_encoders.ordinal.OrdinalEncoder",
        "model.preprocess.binary: no frontend knows category_encoders.binary.BinaryEncoder",
    ),
    "NJChern__StrokePrognosis/voting_classifier.pkl": (f"model.CatBoost: {_CATBOOST}",),
    "NJChern__StrokePrognosis/weighted_voting_classifier.pkl": (f"model.CatBoost: {_CATBOOST}",),
    "prakharchoudhary__IPSA/classifier.pkl": (f"model.vect: {_TOKENIZER}",),
    "prakharchoudhary__IPSA/v-classifier.pkl": (f"model.vect: {_TOKENIZER}",),
    "spynom__game_recommendation_app/column_transformer.pkl": (
        "4 steps cannot be lowered",
        *(f"model.{step} (sklearn.preprocessing" for step in ("game_id", "user_id", "target_transformer")),
        "__main__.ser_to_numpy",
        "__main__.overall_player_rating_transform",
        "__main__.target_transform",
    ),
}

pytestmark = pytest.mark.skipif(shared_dir() is None, reason=why_no_shared())


def _files() -> list[str]:
    return sorted(p.relative_to(WILD).as_posix() for p in WILD.rglob("*") if p.is_file() and p.suffix not in _NONE)


@cache
def _verdict(name: str) -> str:
    """What is said of a file; "" where it is lowered, "as" and the selection where a chain in it is."""
    path, chain = WILD / name, None
    try:
        source = read(path)
    except IngestError as error:
        offered = re.search(r"one pipeline: --select (.*)\.$", error.hint)
        if offered is None:
            return str(error)
        chain = offered[1]
        source = read(path, select=chain)
    try:
        lower(source.root)
    except UnsupportedModelError as error:
        return str(refused(refusals(source.root, error), error))
    return f"as {chain}" if chain else ""


@pytest.mark.parametrize("name", _files())
def test_each_file_is_lowered_or_refused_with_its_reasons(name: str):
    begin = time.perf_counter()
    said = _verdict(name)
    assert time.perf_counter() - begin < LIMIT
    wanted = REFUSED.get(name)
    if wanted is None:
        assert not said or said.startswith("as "), said
        return
    assert [w for w in wanted if w not in said] == [], said
    what, _, hint = said.rpartition("\n  ")
    # What is in the way, where it stands, and what to do next.
    assert re.search(r"\bmodel[\w.]*\b", what) and hint[0].isupper() and hint.endswith("."), said


def test_most_files_are_lowered():
    verdicts = {name: _verdict(name) for name in _files()}
    lowered = [n for n, said in verdicts.items() if not said or said.startswith("as ")]
    table = Counter(said.partition("\n")[0] for said in verdicts.values() if said)
    assert len(lowered) >= LEAST, table
    assert set(REFUSED) <= set(verdicts)
