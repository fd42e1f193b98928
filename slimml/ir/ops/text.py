"""Text: documents to counts of terms, and the weighing of counts. Everything here is csr."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Any

import numpy as np

from slimml.errors import InputError
from slimml.ir import tokens
from slimml.ir.csr import Csr
from slimml.ir.domain import Domain
from slimml.ir.node import Node, Value, require, require_inputs
from slimml.ir.patterns import refusal_of_pattern
from slimml.ir.types import ValueType, distinct

ANALYZERS = ("word", "char", "char_wb")
ACCENTS = ("", "ascii", "unicode")
DECODE_ERRORS = ("strict", "ignore", "replace")
# Runs of more terms than this are of no use, and take time and memory that grow with their square.
MOST_TERMS = 64
# Types list a domain per column (see Concat).
MOST_HASHED = 1 << 24

_MANY = 2.0**53
_COUNTED = Domain(integer=True, low=0.0, high=_MANY, missing=False)
_SIGNED = Domain(integer=True, low=-_MANY, high=_MANY, missing=False)
# How many terms a HashTerms remembers the places of.
_REMEMBERED = 1 << 16


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Terms(Node):
    """Counts of terms in one column of documents: csr int64, columns in rising order in each row.

    A document is a str, or bytes in `encoding` (`decode_error`: strict, ignore, replace); all else is an InputError.
    `lowercase`, `accents` ("", ascii, unicode), `analyzer` (word, char, char_wb), `low`, `high` (the ngram_range), and
    for words `pattern` and `stop_words` are as in scikit-learn's vectorizers. `binary`: 1 for every count.
    """

    encoding: str
    decode_error: str
    lowercase: bool
    accents: str
    analyzer: str
    pattern: str
    low: int
    high: int
    stop_words: tuple[str, ...]
    binary: bool
    coders: tuple[Callable[[Any], Any], ...] = field(init=False, repr=False)

    def check(self) -> None:
        require_inputs(self, 1, numeric=False)
        require(
            self.source.width == 1 and self.source.domains[0].kind == "text", "terms are counted in one column of text"
        )
        require(tokens.known_encoding(self.encoding) is not None, f"no encoding {self.encoding!r}")
        require(self.decode_error in DECODE_ERRORS and self.accents in ACCENTS, "odd decoding or accents")
        require(self.analyzer in ANALYZERS, f"no analyzer {self.analyzer!r}")
        require(1 <= self.low <= self.high <= MOST_TERMS, "terms are of 1 to 64 words or characters")
        refusal = refusal_of_pattern(self.pattern) if self.analyzer == "word" else None
        require(refusal is None, f"the pattern of tokens is refused: {refusal}")
        object.__setattr__(
            self, "coders", (tokens.preprocessor(self.lowercase, self.accents), self._split(), self._coder())
        )

    def _split(self) -> tokens.Terms:
        if self.analyzer == "word":
            return tokens.word_terms(self.pattern, self.low, self.high, self.stop_words)
        return (tokens.char_terms if self.analyzer == "char" else tokens.char_terms_inside_words)(self.low, self.high)

    def _coder(self) -> Callable[[list[str]], Iterable[int]]:
        """What turns terms into codes; made once."""
        raise NotImplementedError

    def _counted(self, codes: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Codes to (rows, columns, counts), all (m,); the same cell may occur often."""
        raise NotImplementedError

    def evaluate(self, x: np.ndarray) -> Csr:
        prepare, split, coded = self.coders
        documents = x[:, 0].tolist()
        found: list[int] = []
        ends = [0]
        for row, document in enumerate(documents):
            found += coded(split(prepare(document if type(document) is str else self._decoded(document, row))))
            ends.append(len(found))
        rows = np.repeat(np.arange(len(documents)), np.diff(ends))
        rows, columns, counts = self._counted(np.array(found, dtype=np.int64), rows)
        cells = rows * self.type.width + columns
        order = np.argsort(cells, kind="stable")
        cells = cells[order]
        first = np.flatnonzero(np.diff(cells, prepend=-1))
        data = np.add.reduceat(counts[order], first) if len(first) else counts
        rows, columns = np.divmod(cells[first], self.type.width)
        indptr = np.searchsorted(rows, np.arange(len(documents) + 1)).astype(np.int32)
        data = np.ones_like(data) if self.binary else data
        return Csr(data, columns.astype(np.int32), indptr, self.type.width)

    def _decoded(self, document: object, row: int) -> str:
        if isinstance(document, str):
            return str(document)
        if isinstance(document, bytes):
            try:
                return document.decode(self.encoding, self.decode_error)
            except UnicodeDecodeError as error:
                raise self._refused(row, f"bytes that are not {self.encoding} ({error})") from None
        raise self._refused(row, f"{document!r:.80} ({type(document).__name__}) for a document, which must be a str")

    def _refused(self, row: int, what: str) -> InputError:
        hint = 'The original raises here too: pass "" for an empty document.'
        return InputError(f"row {row} has {what}", where=self.origin, hint=hint)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class CountTerms(_Terms):
    """One column per entry of `terms`, in their order; terms that are not among them are left out."""

    terms: tuple[str, ...]

    def check(self) -> None:
        _Terms.check(self)
        require(len(set(self.terms)) == len(self.terms), "CountTerms has a term twice")

    def infer(self) -> ValueType:
        return ValueType("int64", (_COUNTED,) * len(self.terms), "csr")

    def _coder(self) -> Callable[[list[str]], Iterable[int]]:
        get = {term: i for i, term in enumerate(self.terms)}.get
        return lambda terms: map(get, terms, repeat(-1))

    def _counted(self, codes: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        known = codes >= 0
        return rows[known], codes[known], np.ones(int(known.sum()), dtype=np.int64)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class HashTerms(_Terms):
    """A term's column is |MurmurHash3_x86_32(term in UTF-8)| modulo `width`; `signed`: negative hashes count as -1.

    Where several terms share a column their counts add up, a sum of 0 stays stored, and `binary` is 1 for that too.
    """

    width: int
    signed: bool

    def check(self) -> None:
        _Terms.check(self)
        require(0 < self.width <= MOST_HASHED, "HashTerms has an odd width")

    def infer(self) -> ValueType:
        return ValueType("int64", (_SIGNED if self.signed else _COUNTED,) * self.width, "csr")

    def _coder(self) -> Callable[[list[str]], Iterable[int]]:
        known: dict[str, int] = {}
        width, signed = self.width, self.signed

        def code(term: str) -> int:
            found = known.get(term)
            if found is None:
                h = tokens.murmur(self._encoded(term))
                column = abs(h) % width
                found = ~column if signed and h < 0 else column
                if len(known) < _REMEMBERED:
                    known[term] = found
            return found

        return lambda terms: map(code, terms)

    def _encoded(self, term: str) -> bytes:
        try:
            return term.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"a document holds half of a surrogate pair ({error})", where=self.origin) from None

    def _counted(self, codes: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        negative = codes < 0
        return rows, np.where(negative, ~codes, codes), np.where(negative, -1, 1)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Weights(Node):
    def check(self) -> None:
        require_inputs(self, 1, layouts=("csr",))
        require(self.source.dtype in ("float64", "float32"), f"{type(self).__name__} takes floats, got {self.source}")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LogEntries(_Weights):
    """y = log(x) + 1 of every stored entry (zeros that are not stored stay zero)"""

    def infer(self) -> ValueType:
        return replace(self.source, domains=(Domain(),) * self.source.width, groups=())

    def evaluate(self, x: Csr) -> Csr:
        with np.errstate(divide="ignore", invalid="ignore"):
            return x.with_data(np.log(x.data) + x.data.dtype.type(1.0))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class UnitRows(Node):
    """y = x / |row|, |row| the `norm` (l1, l2, max) of the row

    csr: of the stored entries, added up in their order in float64; dense: as numpy adds, in the dtype of the block.
    Rows whose norm is 0, or below `least`, stay as they are.
    """

    norm: str
    least: float = 0.0

    def check(self) -> None:
        require_inputs(self, 1, layouts=("csr", "dense"))
        require(self.source.dtype in ("float64", "float32"), f"UnitRows takes floats, got {self.source}")
        require(self.norm in ("l1", "l2", "max"), f"no norm {self.norm!r:.40}")
        require(0 <= self.least < 1, f"UnitRows.least is {self.least}")

    def infer(self) -> ValueType:
        finite = all(not d.missing and np.isfinite([d.low, d.high]).all() for d in distinct(self.source.domains))
        # No entry exceeds its norm by more than rounding.
        domain = Domain(low=-2.0, high=2.0, missing=False) if finite else Domain()
        return replace(self.source, domains=(domain,) * self.source.width, groups=())

    def evaluate(self, x: Value) -> Value:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            norms = self.norms(x)
            if not isinstance(x, Csr):
                return np.asarray(x / norms[:, None])
            return x.with_data((x.data / norms[x.rows()]).astype(x.data.dtype, copy=False))

    def norms(self, x: Value) -> np.ndarray:
        """What each row is divided by, (n,)."""
        norms = self._stored(x) if isinstance(x, Csr) else self._dense(x)
        return np.asarray(np.where((norms == 0) | (norms < self.least), norms.dtype.type(1), norms))

    def _stored(self, x: Csr) -> np.ndarray:
        if self.norm == "max":
            largest = np.zeros(x.shape[0], dtype=x.dtype)
            np.maximum.at(largest, x.rows(), np.abs(x.data))
            return largest
        sums = x.sum_rows(np.abs(x.data) if self.norm == "l1" else x.data * x.data)
        return sums if self.norm == "l1" else np.sqrt(sums)

    def _dense(self, x: np.ndarray) -> np.ndarray:
        if self.norm == "max":
            return np.asarray(np.abs(x).max(axis=1, initial=0))
        return np.asarray(np.abs(x).sum(axis=1) if self.norm == "l1" else np.sqrt(np.einsum("ij,ij->i", x, x)))
