"""Documents to terms, as scikit-learn's vectorizers make them (feature_extraction/text.py, _VectorizerMixin)."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable, Collection
from itertools import pairwise

# Decoders that do nothing but decode, in time that grows as the bytes do.
ENCODINGS = frozenset(
    "ascii utf-8 utf-8-sig utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-32-be iso8859-1 iso8859-2 iso8859-3 "
    "iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-9 iso8859-10 iso8859-13 iso8859-14 iso8859-15 "
    "iso8859-16 cp437 cp850 cp852 cp866 cp932 cp949 cp950 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 "
    "cp1258 koi8-r koi8-u mac-roman shift_jis euc_jp euc_kr gb2312 gbk gb18030 big5".split()
)
_ENCODING_NAME = re.compile(r"[A-Za-z0-9_\- ]{1,32}", re.ASCII)
_WHITE_SPACES = re.compile(r"\s\s+")

Step = Callable[[str], str]
Terms = Callable[[str], list[str]]


def known_encoding(name: str) -> str | None:
    """The one name of an encoding that is on the list, or None."""
    if not _ENCODING_NAME.fullmatch(name):
        return None
    try:
        found = codecs.lookup(name).name
    except LookupError:
        return None
    return found if found in ENCODINGS else None


def preprocessor(lowercase: bool, accents: str) -> Step:
    """Lower case first, then accents: "" keeps them, "ascii" and "unicode" are scikit-learn's two ways."""
    strip = {"": None, "ascii": strip_accents_ascii, "unicode": strip_accents_unicode}[accents]
    if not lowercase:
        return strip or str
    if strip is None:
        return str.lower
    return lambda document: strip(document.lower())


def strip_accents_ascii(text: str) -> str:
    """What is left in ASCII of the compatibility decomposition."""
    return unicodedata.normalize("NFKD", text).encode("ASCII", "ignore").decode("ASCII")


def strip_accents_unicode(text: str) -> str:
    """The compatibility decomposition without combining characters."""
    if text.isascii():
        return text
    return "".join([c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)])


def word_terms(pattern: str, low: int, high: int, stop_words: Collection[str]) -> Terms:
    """Runs of `low` to `high` tokens that are no stop words, joined by one space."""
    find, stop = re.compile(pattern).findall, frozenset(stop_words)

    def words(text: str) -> list[str]:
        tokens: list[str] = find(text)
        return [t for t in tokens if t not in stop] if stop else tokens

    if high == 1:
        return words

    def terms(text: str) -> list[str]:
        tokens = words(text)
        out = tokens[:] if low == 1 else []
        if low <= 2 <= high:
            out += [f"{a} {b}" for a, b in pairwise(tokens)]
        for n in range(max(low, 3), min(high, len(tokens)) + 1):
            out += map(" ".join, zip(*(tokens[i:] for i in range(n))))
        return out

    return terms


def char_terms(low: int, high: int) -> Terms:
    """Runs of `low` to `high` characters, white space in a row made one space."""

    def terms(text: str) -> list[str]:
        text = _WHITE_SPACES.sub(" ", text)
        out = list(text) if low == 1 else []
        for n in range(max(low, 2), min(high, len(text)) + 1):
            out += [text[i : i + n] for i in range(len(text) - n + 1)]
        return out

    return terms


def char_terms_inside_words(low: int, high: int) -> Terms:
    """Runs of characters inside of words, each word with a space on either side."""

    def terms(text: str) -> list[str]:
        out = []
        for word in _WHITE_SPACES.sub(" ", text).split():
            padded = f" {word} "
            for n in range(low, high + 1):
                out += [padded[i : i + n] for i in range(max(1, len(padded) - n + 1))]
                if len(padded) <= n:  # a short word counts once
                    break
        return out

    return terms


def murmur(data: bytes) -> int:
    """MurmurHash3_x86_32 with seed 0, as a signed 32-bit integer."""
    h, size = 0, len(data)
    blocks = size & ~3
    for i in range(0, blocks, 4):
        k = int.from_bytes(data[i : i + 4], "little") * 0xCC9E2D51 & 0xFFFFFFFF
        k = (k << 15 | k >> 17) * 0x1B873593 & 0xFFFFFFFF
        h ^= k
        h = (h << 13 | h >> 19) & 0xFFFFFFFF
        h = h * 5 + 0xE6546B64 & 0xFFFFFFFF
    if blocks < size:
        k = int.from_bytes(data[blocks:], "little") * 0xCC9E2D51 & 0xFFFFFFFF
        h ^= (k << 15 | k >> 17) * 0x1B873593 & 0xFFFFFFFF
    h ^= size
    h = (h ^ h >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    h ^= h >> 16
    return h - (1 << 32) if h & 0x80000000 else h
