"""The pages as text: nothing of a file is markup, nothing is fetched, and the figures are those of the document."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import slimml
from slimml.errors import ParityError, UsageError
from slimml.report.analysis import analysis_page
from slimml.report.charts import squarified
from slimml.report.html import Html, join, tag, text
from slimml.report.shrink import shrink_page
from tests.report.conftest import NAMES

VOID = {"meta", "link", "br", "hr", "input"}


class Elements(HTMLParser):
    """Every element and attribute of a page; fails where elements are not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_text_is_escaped_unless_it_is_markup():
    assert text("<b>&\"'") == "&lt;b&gt;&amp;&quot;&#x27;"
    assert text("a\x1b[0m\u202eb\udc80") == "a\\x1b[0m\\u202eb\\udc80"
    assert join("<", Html("<i>"), ["&"]) == "&lt;<i>&amp;"
    assert tag("p", "<", class_='"', hidden=True, title=None) == '<p class="&quot;" hidden>&lt;</p>'


def test_a_hostile_file_adds_no_markup(forest: dict[str, Any], hostile: dict[str, Any]):
    page = analysis_page(hostile)
    found, honest = Elements(page), Elements(analysis_page(forest))
    assert set(found.tags) == set(honest.tags)
    assert found.tags.count("script") == 1
    assert [a for a, _ in found.attributes if a.startswith("on") or a in ("src", "href", "action")] == ["href"]
    assert not re.search("[\x00\x1b\u202e]", page)
    assert all(name not in page for name in NAMES)
    assert "onerror=window.hacked" in page  # as text


@pytest.mark.parametrize("where", ["model", "path", "reference", "refused"])
def test_every_text_of_a_document_is_escaped(forest: dict[str, Any], where: str):
    found = json.loads(json.dumps(forest))
    bad = NAMES[0]
    found["model"] |= {"path": bad, "format": bad, "library_versions": {bad: bad}}
    found["reference"] = {"how": "none", "library_version": bad, "sentence": bad}
    found["refused"] = [{"path": bad, "class": bad, "why": bad}]
    found["latency"] |= {"sentence": bad, "method": bad}
    for step in found["latency"]["steps"]:
        step["class"] = bad
    assert Elements(analysis_page(found)).tags.count("script") == 1


def test_the_analysis_says_what_the_document_says(forest: dict[str, Any]):
    page = analysis_page(forest)
    words = re.sub(r"<[^>]*>", "", page)
    unread = f"{100 * forest['bytes']['fit_only'] / forest['bytes']['total']:.0f} %"
    assert f"of which {unread} is never read by prediction" in words
    for word in ("randomforestclassifier", "impurity", "between the steps", "Where the microseconds go", "10trees"):
        assert word in words


def test_nothing_is_fetched(forest: dict[str, Any], shrunk: Path):
    for page in (analysis_page(forest), shrunk.read_text("utf-8")):
        assert "default-src 'none'; style-src" in html.unescape(page)
        assert not re.search(r"https?://|@import|url\(", page)


def test_a_model_that_could_not_be_timed_has_a_page(forest: dict[str, Any]):
    found = slimml.analyze(LinearRegression().fit(np.eye(3), np.arange(3))).to_json()
    Elements(analysis_page(found))
    nothing = {"us": None, "overhead_us": None, "calls": 0, "rows": 0}
    found["latency"] = {"of": None, "sentence": "not timed: no rows", "method": None, "steps": []}
    found["latency"] |= {"one_row": nothing, "batch": nothing}
    assert "Not timed: no rows." in analysis_page(found)


def test_the_page_of_shrink_says_what_was_found(shrunk: Path):
    page = shrunk.read_text("utf-8")
    words = re.sub(r"<[^>]*>", " ", page)
    Elements(page)
    for word in ("became", "Before and after", "portable", "chosen", "hoist-guards", "SHA-256", "rows compared"):
        assert word in words
    for column in ("age", "city", "income"):
        assert column in words


def test_a_run_that_ships_nothing_has_a_page(tmp_path: Path):
    model = LinearRegression().fit(np.eye(3), np.arange(3))
    rows, wrong = np.eye(3), {"predict": [7.0, 8.0, 9.0]}
    page = tmp_path / "no.html"
    with pytest.raises(ParityError):
        slimml.shrink(model, data=rows, expected=[{"predict": v} for v in wrong["predict"]], report=page)
    words = re.sub(r"<[^>]*>", "", page.read_text("utf-8"))
    assert "No artifact was written" in words and "differ" in words


def test_a_page_that_cannot_be_written_is_told_before_the_work(tmp_path: Path):
    with pytest.raises(UsageError, match="there is no folder"):
        slimml.shrink(object(), report=tmp_path / "nowhere" / "page.html")


def test_a_document_of_shrink_is_escaped(shrunk: Path):
    result = slimml.shrink(LinearRegression().fit(np.eye(2), np.arange(2)), backend="portable")
    found = json.loads(json.dumps(result.to_json()))
    bad = NAMES[0]
    found["model"] |= {"path": bad, "format": bad}
    found["artifact"]["path"] = bad
    found["warnings"], found["reference"]["sentence"] = [bad], bad
    found["schema"]["columns"][0]["name"] = bad
    found["candidates"][0]["notes"] = [bad]
    found["passes"][0]["skipped"] = {bad: 1}
    assert Elements(shrink_page(found)).tags.count("script") == 1


@pytest.mark.parametrize("sizes", [[1], [5, 3, 1, 1], [100] + [1] * 40, [2**40, 1], [3, 0, 0]])
def test_areas_of_a_treemap_are_the_sizes(sizes: list[int]):
    rects = squarified(sizes, (0, 0, 16, 7))
    assert sum(w * h for _, _, w, h in rects) == pytest.approx(16 * 7)
    for size, (x, y, w, h) in zip(sizes, rects, strict=True):
        assert w * h == pytest.approx(16 * 7 * size / sum(sizes), abs=1e-9)
        assert -1e-9 <= x <= x + w <= 16 + 1e-9 and -1e-9 <= y <= y + h <= 7 + 1e-9
