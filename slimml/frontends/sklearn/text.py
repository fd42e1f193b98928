"""CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.errors import UnfittedModelError
from slimml.frontends.frame import Frame
from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.english import STOP_WORDS
from slimml.frontends.sklearn.fields import dtype_name, vector
from slimml.ingest.record import Record, Symbol
from slimml.ir.node import Node
from slimml.ir.ops.columns import Cast, Concat
from slimml.ir.ops.functions import Apply
from slimml.ir.ops.numeric import Multiply
from slimml.ir.ops.text import (
    ANALYZERS,
    DECODE_ERRORS,
    MOST_HASHED,
    MOST_TERMS,
    CountTerms,
    HashTerms,
    LogEntries,
    UnitRows,
)
from slimml.ir.patterns import refusal_of_pattern
from slimml.ir.tokens import known_encoding
from slimml.schema import ZERO

_DTYPES = ("float64", "float32", "int64", "int32", "bool")


@lowers("sklearn.feature_extraction.text.CountVectorizer", documents=True)
def count_vectorizer(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Words and characters; functions of the user's own and files as input are refused."""
    options = _options(est, ctx)
    terms = _vocabulary(est, ctx)
    counts = CountTerms(inputs=(_documents(x, ctx),), terms=terms, origin=ctx.where, **options)
    return _in_dtype(counts, est, ctx)


@lowers("sklearn.feature_extraction.text.HashingVectorizer", "sklearn.feature_extraction.hashing.HashingVectorizer",
        documents=True)  # fmt: skip
def hashing_vectorizer(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Words and characters; functions of the user's own and files as input are refused."""
    width = int(est.n_features)
    if not 0 < width <= MOST_HASHED:
        raise ctx.unsupported(f"HashingVectorizer with n_features={width} is not handled (at most {MOST_HASHED})")
    options, signed = _options(est, ctx), bool(est.get("alternate_sign", True))
    source = _documents(x, ctx)
    counts = HashTerms(inputs=(source,), width=width, signed=signed, origin=ctx.where, **options)
    block = _in_dtype(counts, est, ctx)
    if est.get("non_negative", False):  # gone in 0.21; signs are taken away after equal columns are added up
        block = Apply(inputs=(block,), function="absolute", origin=ctx.where)
    return _unit_rows(block, est.norm, ctx)


@lowers("sklearn.feature_extraction.text.TfidfVectorizer", documents=True)
def tfidf_vectorizer(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Words and characters, every weighting; functions of the user's own and files as input are refused."""
    counts = count_vectorizer(est, x, ctx)
    assert isinstance(counts, Node)
    return _weighed(est._tfidf, counts, ctx)


@lowers("sklearn.feature_extraction.text.TfidfTransformer")
def tfidf_transformer(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every weighting and norm."""
    ctx.check_width(est, x)
    block = x if isinstance(x, Node) and x.type.dtype == "float32" else ctx.floats(x, csr=True, sparse=ZERO)
    if ctx.version >= (0, 20):  # check_array appears; before, norms alone refused what is not finite
        block = ctx.guard(block, "all")
    if block.type.layout != "csr":
        block = Concat(inputs=(block,), layout="csr", origin=ctx.where)
    return _weighed(est, block, ctx)


def _weighed(est: Record, block: Node, ctx: Lowerer) -> Node:
    """Counts as TfidfTransformer weighs them: in float32 where they come so, else in float64."""
    if block.type.dtype not in ("float64", "float32"):
        block = Cast(inputs=(block,), dtype="float64", origin=ctx.where)
    if est.sublinear_tf:
        block = LogEntries(inputs=(block,), origin=ctx.where)
    weights = _idf(est, block.type.width, ctx)
    if weights is not None:
        block = _multiplied(block, weights, ctx)
    return _unit_rows(block, est.norm, ctx)


def _idf(est: Record, width: int, ctx: Lowerer) -> np.ndarray | None:
    diagonal = est.get("_idf_diag")  # a sparse diagonal matrix before 1.5
    if est.has("idf_"):
        value = np.asarray(est.idf_)
        vector(est, "idf_", ctx, width)
        return value if value.dtype == np.float32 else value.astype(np.float64)
    if diagonal is not None and est.use_idf:
        value = np.asarray(diagonal.data).ravel()
        if value.shape != (width,) or diagonal.shape != (width, width) or value.dtype.kind != "f":
            raise ctx.unsupported(f"_idf_diag holds {value.shape} numbers for {width} columns")
        return value
    if est.use_idf:
        raise UnfittedModelError(f"{est.name} has no attribute 'idf_'", hint="Call fit before saving the model.")
    return None


def _multiplied(block: Node, weights: np.ndarray, ctx: Lowerer) -> Node:
    dtype = block.type.dtype
    if weights.dtype.name == dtype or dtype == "float64":
        return Multiply(inputs=(block,), value=weights.astype(dtype), origin=ctx.where)
    # numpy multiplies float32 in place by float64 in float64, and rounds.
    wide = Cast(inputs=(block,), dtype="float64", origin=ctx.where)
    product = Multiply(inputs=(wide,), value=weights, origin=ctx.where)
    return Cast(inputs=(product,), dtype=dtype, origin=ctx.where)


def _unit_rows(block: Node, norm: Any, ctx: Lowerer) -> Node:
    if norm is None:
        return block
    if norm not in ("l1", "l2"):
        raise ctx.unsupported(f"norm={norm!r:.40} is not handled")
    if block.type.dtype not in ("float64", "float32"):
        block = Cast(inputs=(block,), dtype="float64", origin=ctx.where)
    return UnitRows(inputs=(ctx.guard(block, "all"),), norm=norm, origin=ctx.where)


# ------------------------------------------------------------------------------------------------ documents to terms


def _documents(x: Source, ctx: Lowerer) -> Node:
    if not isinstance(x, Frame):
        raise ctx.unsupported("documents that another step made are not handled: a vectorizer reads a raw column")
    if not x.flat or x.width != 1:
        raise ctx.unsupported(
            "a vectorizer is handed a table; it reads one column as a vector: ('text', TfidfVectorizer(), 'column')"
        )
    return x.documents(ctx.where)


def _options(est: Record, ctx: Lowerer) -> dict[str, Any]:
    """The fields of CountTerms and HashTerms that both have."""
    if est.get("input", "content") != "content":
        raise ctx.unsupported(f"{est.name} with input={est.input!r:.40} reads files; only input='content' is handled")
    analyzer = est.analyzer
    for name, used in (("analyzer", True), ("preprocessor", True), ("tokenizer", analyzer == "word")):
        value = est.get(name)
        if used and not (value is None or (name == "analyzer" and isinstance(value, str))):
            raise ctx.unsupported(f"{est.name} with its own {name} ({_named(value)}) is not handled")
    if analyzer not in ANALYZERS:
        raise ctx.unsupported(f"{est.name} with analyzer={analyzer!r:.40} is not handled")
    low, high = (int(n) for n in est.ngram_range)
    if not 1 <= low <= high <= MOST_TERMS:
        raise ctx.unsupported(f"{est.name} with ngram_range=({low}, {high}) is not handled: 1 to {MOST_TERMS} is")
    words = analyzer == "word"
    return {
        **_decoding(est, ctx),
        "lowercase": bool(est.lowercase),
        "analyzer": analyzer,
        "pattern": _pattern(est, ctx) if words else "",
        "low": low,
        "high": high,
        "stop_words": _stop_words(est, ctx) if words else (),
        "binary": bool(est.binary),
    }


def _decoding(est: Record, ctx: Lowerer) -> dict[str, Any]:
    encoding = known_encoding(est.encoding) if isinstance(est.encoding, str) else None
    if encoding is None or est.decode_error not in DECODE_ERRORS:
        raise ctx.unsupported(
            f"{est.name} with encoding={est.encoding!r:.40} and decode_error={est.decode_error!r:.40} is not handled"
        )
    accents = est.strip_accents or ""
    if not isinstance(accents, str) or accents not in ("", "ascii", "unicode"):
        raise ctx.unsupported(f"{est.name} with its own strip_accents ({_named(accents)}) is not handled")
    return {"encoding": encoding, "decode_error": est.decode_error, "accents": accents}


def _pattern(est: Record, ctx: Lowerer) -> str:
    pattern = est.token_pattern
    if not isinstance(pattern, str):
        raise ctx.unsupported(f"{est.name} with token_pattern={pattern!r:.40} is not handled")
    refusal = refusal_of_pattern(pattern)
    if refusal:
        raise ctx.unsupported(f"{est.name} with token_pattern={pattern!r:.80} is refused: {refusal}")
    return str(pattern)


def _stop_words(est: Record, ctx: Lowerer) -> tuple[str, ...]:
    words = est.stop_words
    if words is None:
        return ()
    if isinstance(words, str) and words == "english":
        return STOP_WORDS
    if not isinstance(words, list | tuple | set | frozenset | np.ndarray):
        raise ctx.unsupported(f"{est.name} with stop_words={words!r:.40} is not handled")
    # What is no str equals no token.
    return tuple(sorted({str(w) for w in words if isinstance(w, str)}))


def _vocabulary(est: Record, ctx: Lowerer) -> tuple[str, ...]:
    """The terms in the order of their columns."""
    given = est.get("vocabulary_", est.get("vocabulary"))
    if given is None:
        raise UnfittedModelError(f"{est.name} has no attribute 'vocabulary_'", hint="Call fit before saving the model.")
    if isinstance(given, set | frozenset):
        given = sorted(given)
    if not isinstance(given, dict):
        given = {t: i for i, t in enumerate(given)} if isinstance(given, list | tuple | np.ndarray) else {}
    if not given or not all(isinstance(t, str) for t in given):
        raise ctx.unsupported(f"{est.name} has a vocabulary that is empty, or not of strings")
    terms = sorted(given, key=given.__getitem__)
    if [int(given[t]) for t in terms] != list(range(len(terms))):
        raise ctx.unsupported(f"{est.name} has a vocabulary whose columns are not 0 to {len(terms) - 1}")
    return tuple(map(str, terms))


def _in_dtype(counts: Node, est: Record, ctx: Lowerer) -> Node:
    name = dtype_name(est.dtype, ctx)
    if name not in _DTYPES:
        raise ctx.unsupported(f"{est.name} with dtype={name} is not handled")
    return counts if name == counts.type.dtype else Cast(inputs=(counts,), dtype=name, origin=ctx.where)  # type: ignore[arg-type]


def _named(value: Any) -> str:
    return value.path if isinstance(value, Record | Symbol) else f"{value!r:.60}"
