"""Each limit as a check: a figure, and yes or no."""

from __future__ import annotations

from slimml.errors import UsageError
from slimml.judge.baseline import Baseline
from slimml.judge.drift import Drift, drift
from slimml.judge.limits import Limits, in_bytes, in_percent, in_time
from slimml.judge.result import Check
from slimml.judge.rows import data_rows, made_rows
from slimml.judge.speed import Fought
from slimml.measure.duel import Duel
from slimml.measure.report import Timing
from slimml.options import GOLDEN_RTOL
from slimml.parity.rows import concat
from slimml.runtime import golden
from slimml.runtime.predictor import Model

_SAME = "the same bytes as the baseline"


def of_size(size: int, limit: float) -> Check:
    """--max-size."""
    return Check("size", size <= limit, in_bytes(size), f"at most {in_bytes(limit)}", size, limit)


def of_times(timing: Timing, limits: Limits) -> list[Check]:
    """--max-p50 and --max-p99."""
    found = timing.dict
    asked = (("p50", limits.max_p50), ("p99", limits.max_p99))
    note = "one row from a dict, garbage collection off"
    return [
        Check(name, value <= limit, in_time(value), f"at most {in_time(limit)}", value, limit, note)
        for name, limit in asked
        if limit is not None and found is not None
        for value in [getattr(found, name) / 1e6]
    ]


def of_larger(size: int, held: Baseline, limit: float) -> list[Check]:
    """--max-larger."""
    if held.size is None:
        return []
    share = size / held.size - 1
    figure = f"{in_bytes(size)} against {in_bytes(held.size)}, {share:+.1%}"
    return [Check("larger", share <= limit, figure, f"at most {in_percent(limit)}", share, limit)]


def of_fight(found: Fought | None, limit: float) -> list[Check]:
    """--max-slower against an artifact; None: it is the same artifact."""
    if found is None:
        return [Check("slower", True, _SAME, f"at most {in_percent(limit)}", 0.0, limit)]
    return [
        _of_duel("slower at one row", found.one, limit),
        _of_duel(f"slower at {found.count} rows", found.batch, limit),
    ]


def _of_duel(what: str, found: Duel, limit: float) -> Check:
    share = found.ratio - 1
    figure = f"{share:+.1%}, at best {_beside(found.mine_us, found.theirs_us)}"
    note = f"the median of {found.rounds} rounds in turns"
    return Check(what, share <= limit, figure, f"at most {in_percent(limit)}", share, limit, note)


def of_recorded(timing: Timing, held: Baseline, limit: float) -> list[Check]:
    """--max-slower against figures of an earlier run."""
    if held.p50_us is None or timing.dict is None:
        return []
    share = timing.dict.p50 / held.p50_us - 1
    figure = f"{_beside(timing.dict.p50, held.p50_us)}, {share:+.1%}"
    note = "measured at two times: an artifact as the baseline is measured in turns"
    return [Check("slower at one row", share <= limit, figure, f"at most {in_percent(limit)}", share, limit, note)]


def _beside(mine: float, theirs: float) -> str:
    return f"{in_time(mine / 1e6)} against {in_time(theirs / 1e6)}"


def of_answers(model: Model, held: Baseline | None, data: object, limits: Limits) -> tuple[Drift, Check] | None:
    """--max-diff: against the baseline's answers where it has any, else the artifact's own golden ones."""
    limit = limits.max_diff
    if limit is None:
        return _promised(model) if limits.by_default else None
    if held is not None and held.model is not None:
        found, note = _against(model, held.model, data), f"answers of {held.path}"
    elif held is not None and held.golden is not None:
        found, note = _replayed(model, held.golden), f"golden rows of {held.path}"
    else:
        found, note = _replayed(model, None), "its own golden rows"
    value = None if found.why else found.max_abs
    wanted = f"at most {limit:g}, labels equal"
    return found, Check("difference", found.within(limit), str(found), wanted, value, limit, note)


def _promised(model: Model) -> tuple[Drift, Check]:
    """What no limit was given for: the golden answers are those that the artifact's exactness promises anywhere."""
    exactness = model.manifest.exactness
    replayed = golden.replay(model)
    found = Drift(replayed.rows, replayed.max_abs, replayed.label_mismatches)
    allowed = 0.0 if exactness == "bitwise" else GOLDEN_RTOL
    ok = replayed.within(exactness)
    check = Check("golden rows", ok, str(found), f"{exactness}, as it promises", replayed.max_scaled, allowed)
    return found, check


def _replayed(model: Model, recorded: object) -> Drift:
    replayed = golden.replay(model, recorded)
    return Drift(replayed.rows, replayed.max_abs, replayed.label_mismatches)


def _against(model: Model, other: Model, data: object) -> Drift:
    rows = data_rows(other, data)
    if rows is None:
        rows = made_rows(other)
        if model.schema == other.schema:
            # The cuts of both: where one of them moved, rows beside the old and the new one tell.
            rows = concat([rows, made_rows(model)])
    if not len(rows):
        raise UsageError("there is no row to compare the answers on", hint="Give rows with --data FILE.")
    return drift(model, other, rows)
