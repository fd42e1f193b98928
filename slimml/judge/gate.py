"""gate(): is an artifact small, fast and right enough? A continuous integration job asks this."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from slimml.errors import UsageError
from slimml.judge import checks
from slimml.judge.baseline import Baseline, read_baseline
from slimml.judge.limits import Limits
from slimml.judge.machine import machine
from slimml.judge.result import ArtifactReport, GateResult
from slimml.judge.rows import rows_for_timing
from slimml.judge.speed import fight, measured
from slimml.parity.rows import RawRows
from slimml.runtime import load_compiled
from slimml.runtime.predictor import Model

Progress = Callable[[str, float | None], None]


def gate(
    artifact: str | os.PathLike[str] | bytes,
    *,
    baseline: str | os.PathLike[str] | None = None,
    max_size: str | float | None = None,
    max_p50: str | float | None = None,
    max_p99: str | float | None = None,
    max_diff: str | float | None = None,
    max_slower: str | float | None = None,
    max_larger: str | float | None = None,
    data: Any = None,
    progress: Progress | None = None,
) -> GateResult:
    """Hold an artifact to limits; `ok` of the result says whether it keeps them all.

    `baseline`    a path: an artifact, what an earlier gate wrote as JSON, or a pytest-benchmark file (FILE::NAME picks
                  one benchmark of several)
    `max_size`    bytes, or "5MB", "2MiB"
    `max_p50`, `max_p99`   seconds, or "500us", "2ms": percentiles of one row from a dict, measured now on this machine
    `max_diff`    the largest difference from the baseline's answers; without a baseline, from the artifact's own
                  golden answers. Labels have to be equal.
    `max_slower`, `max_larger`   a share over the baseline: 0.1 or "10%"
    `data`        rows to time and compare on; without them rows are made from the artifact

    Where no limit is given, those against a baseline are 0, 10 % and 5 %; without a baseline the golden rows are
    replayed. Raises UsageError, ArtifactError, InputError.
    """
    started, say = time.perf_counter(), progress or _silent
    given = {
        "max_size": max_size, "max_p50": max_p50, "max_p99": max_p99,
        "max_diff": max_diff, "max_slower": max_slower, "max_larger": max_larger,
    }  # fmt: skip
    limits = Limits.read(given, baseline=baseline is not None)
    say("opening", 0.0)
    content, report, model = opened(artifact)
    held = read_baseline(baseline) if baseline is not None else None
    if held is not None and held.size is None and limits.max_larger is not None and not limits.by_default:
        raise UsageError("--max-larger: a pytest-benchmark file tells no size", hint="Use --max-size.")
    rows = rows_for_timing(model, data)
    say("measuring", 0.1)
    timing = measured(model, rows, limits)
    result = GateResult(report, held, [], timing, machine(), golden=model.manifest.golden)
    if limits.max_size is not None:
        result.checks.append(checks.of_size(len(content), limits.max_size))
    result.checks += checks.of_times(timing, limits)
    say("comparing the answers", 0.4)
    compared = checks.of_answers(model, held, data, limits)
    if compared is not None:
        result.drift = compared[0]
        result.checks.append(compared[1])
    if held is not None:
        if limits.max_larger is not None:
            result.checks += checks.of_larger(len(content), held, limits.max_larger)
        if limits.max_slower is not None:
            say("comparing the speed", 0.5)
            _judge_speed(result, content, held, rows, data, limits.max_slower)
    result.seconds = time.perf_counter() - started
    return result


def opened(artifact: str | os.PathLike[str] | bytes) -> tuple[bytes, ArtifactReport, Model]:
    """An artifact's bytes, what they are, and the model. Raises UsageError, ArtifactError."""
    path = None if isinstance(artifact, bytes) else os.fspath(artifact)
    content = artifact if isinstance(artifact, bytes) else _read(os.fspath(artifact))
    model = load_compiled(content)
    model.check()
    manifest, digest = model.manifest, sha256(content).hexdigest()
    return content, ArtifactReport(path, len(content), digest, manifest.engine, manifest.exactness), model


def _read(path: str) -> bytes:
    try:
        # A pipe or a device would block or never end.
        if os.path.exists(path) and not os.path.isfile(path):
            raise UsageError(f"{path} is not a regular file", hint="pass the path of a .slim file")
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        if isinstance(error, UsageError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot open {path}: {reason}", hint="check the path and its permissions") from None


def _judge_speed(result: GateResult, content: bytes, held: Baseline, rows: RawRows, data: Any, limit: float) -> None:
    if held.content is None:
        result.checks += checks.of_recorded(result.timing, held, limit)
        there, here = (held.machine or {}).get("processor"), result.machine["processor"]
        if there != here:
            result.notes.append(f"the baseline was measured on another machine ({there}): its times say little here")
    elif held.sha256 == result.artifact.sha256:
        # Whatever would be measured is noise.
        result.checks += checks.of_fight(None, limit)
    else:
        found = fight(content, held.content, rows, data, limit)
        result.duels = {"one": found.one, "batch": found.batch}
        result.checks += checks.of_fight(found, limit)
        if found.note:
            result.notes.append(found.note)


def _silent(what: str, share: float | None) -> None:
    """No one listens."""
