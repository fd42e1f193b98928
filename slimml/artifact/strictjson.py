"""JSON that can be trusted to mean one thing: finite numbers, no duplicate keys, bounded depth, size and digits."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from slimml.errors import ArtifactCorruptError, ArtifactError

MAX_DEPTH = 32
MAX_VALUES = 2_000_000
MAX_DIGITS = 400

_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def dumps(value: object) -> bytes:
    """Canonical ASCII JSON: keys sorted, no spaces. Raises ArtifactError for what strict JSON cannot hold."""
    text = json.dumps(_plain(value, "", 0), sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
    _check_shape(text, ArtifactError)
    return text


def loads(text: bytes | memoryview) -> Any:
    """Parse JSON bytes that may be hostile. Raises ArtifactCorruptError, in time linear in their length."""
    text = bytes(text)
    # Before parsing: json recurses for each level, and builds every value.
    _check_shape(text, ArtifactCorruptError)
    try:
        return json.loads(
            text.decode("ascii"),
            object_pairs_hook=_object,
            parse_int=_int,
            parse_float=_float,
            parse_constant=_constant,
        )
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise ArtifactCorruptError(f"not valid JSON ({error})") from None


def _check_shape(text: bytes, error: type[ArtifactError]) -> None:
    # Pieces at even positions lie outside of strings once escaped quotes are gone. A backslash outside of a string
    # could fool this, but stops the parser at that very place.
    outside = b"".join(text.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    if outside.count(b",") + outside.count(b"[") + outside.count(b"{") > MAX_VALUES:
        raise error(f"JSON of more than {MAX_VALUES:,} values")
    brackets = outside.translate(_BRACKETS, _NOT_BRACKETS)
    for _ in range(MAX_DEPTH):  # each round takes the innermost level away
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise error(f"JSON nested deeper than {MAX_DEPTH} levels, or brackets that do not match")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ArtifactCorruptError(f"a JSON object of {len(pairs)} keys has one of them twice")
    return value


def _int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ArtifactCorruptError(f"a JSON number of {len(digits)} digits")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits) if len(digits) <= MAX_DIGITS else math.inf
    if not math.isfinite(number):
        raise ArtifactCorruptError(f"a JSON number that no float holds ({digits[:40]})")
    return number


def _constant(name: str) -> NoReturn:
    raise ArtifactCorruptError(f"{name} is not JSON")


def _plain(value: object, where: str, depth: int) -> object:
    """`value` as lists, dicts with str keys and plain scalars; json alone would turn other keys into strings."""
    if depth > MAX_DEPTH:
        raise ArtifactError(f"nested deeper than {MAX_DEPTH} levels", where=where)
    # Exact types: subclasses (np.float64, IntEnum, ...) print themselves in ways that need not read back.
    if value is None or type(value) in (bool, str):
        return value
    if type(value) is int and len(str(value)) <= MAX_DIGITS:
        return value
    if type(value) is float and math.isfinite(value):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, dict) and all(type(key) is str for key in value):
        return {key: _plain(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
    raise ArtifactError(
        f"strict JSON cannot hold this {type(value).__name__}: {value!r:.80}",
        where=where.lstrip("."),
        hint="pass NaN, infinities and numpy scalars through slimml.artifact.exact.to_exact",
    )
