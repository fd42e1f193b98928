"""What a gate found, as JUnit XML (for CI systems that list tests) and Markdown (for a comment or a summary)."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from slimml.judge.limits import in_bytes, in_time
from slimml.judge.result import Check, GateResult

# What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(result: GateResult) -> bytes:
    """One test suite, one test case a check. A check that says no is a failure."""
    name = _clean(f"slimml gate {result.artifact.path or 'artifact'}")
    counts = {"tests": str(len(result.checks)), "failures": str(len(result.failed)), "errors": "0", "skipped": "0"}
    top = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(top, "testsuite", {"name": name, **counts, "time": f"{result.seconds:.3f}"})
    for check in result.checks:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": name, "name": _clean(check.what), "time": "0.000"}
        )
        if not check.ok:
            attributes = {"type": "limit", "message": _clean(f"{check.figure}; {check.limit}")}
            ElementTree.SubElement(case, "failure", attributes).text = _clean(str(check))
        else:
            ElementTree.SubElement(case, "system-out").text = _clean(str(check))
    ElementTree.indent(top)
    written: bytes = ElementTree.tostring(top, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def markdown(result: GateResult) -> str:
    """A heading, the checks as a table, and what was measured."""
    artifact, found = result.artifact, result.timing.dict
    verdict = "passes" if result.ok else f"fails {len(result.failed)} of {len(result.checks)} checks"
    head = f"### {'✅' if result.ok else '❌'} `{_cell(artifact.path or 'the artifact')}` {verdict}"
    table = ["| | check | found | limit |", "| --- | --- | --- | --- |", *map(_row, result.checks)]
    latency = f"; one row p50 {in_time(found.p50 / 1e6)}, p99 {in_time(found.p99 / 1e6)}" if found is not None else ""
    said = [f"{in_bytes(artifact.bytes)}, {artifact.engine}, {artifact.exactness}{latency}"]
    if result.baseline is not None:
        said.append(f"beside `{_cell(result.baseline.path)}` ({result.baseline.kind})")
    machine = result.machine
    said.append(f"on {_cell(machine['processor'])}, {machine['cores']} cores, Python {machine['python']}")
    said += [f"note: {_cell(note)}" for note in result.notes]
    return "\n".join([head, "", *table, "", *(f"- {s}" for s in said)]) + "\n"


def _row(check: Check) -> str:
    note = f" ({check.note})" if check.note else ""
    return (
        f"| {'✅' if check.ok else '❌'} | {_cell(check.what)} | {_cell(check.figure + note)} | {_cell(check.limit)} |"
    )


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("`", "'").split())


def _clean(text: str) -> str:
    return _NOT_XML.sub("?", text)
