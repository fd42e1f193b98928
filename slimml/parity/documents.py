"""Documents to try: made of the terms that a model counts and of what parts terms wrongly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Case folding that changes lengths, accents apart from their letters, words of digits and underscores, every kind of
# space, letters outside of the first plane, what looks like markup or addresses, and a very long one.
ODD: tuple[str, ...] = (
    "",
    " ",
    "a",
    "\t \n\u00a0\u2003\u3000",
    "The quick brown fox",
    "naïve café, ÀÉÎ",
    "nai\u0308ve cafe\u0301 \u0301x",
    "İSTANBUL ıspanak Straße STRASSE ǅungla ŉ",
    "ﬁne ﬂow ½ ² ① Ⅳ ㎏ ｆｕｌｌ",
    "don't rock-'n'-roll it's o'clock",
    "snake_case __init__ x1 2nd 3.14 1e-5 0x1F",
    "x\ny\tz  two  spaces",
    "a.b.c... !!! ?! (in brackets) [x] {y} <b>bold</b>",
    "mail@example.com https://example.com/a?b=c&d=%20 #tag @name $5 100%",
    "日本語のテキスト 中文 한국어 ไทย हिन्दी",
    "Привет мир ΑΒΓ ς σ Σ",
    "😀 👩\u200d💻 𝒜𝓁𝓅𝒽𝒶 𐐀𐐨",
    "zero\u200bwidth soft\u00adhyphen\ufeff",
    "\x00 \x1f \x7f nul",
    "word " * 2000 + "w" * 3000,
)
# What is no document.
NO_DOCUMENTS = (None, float("nan"), 5)
_JOINTS = (" ", " ", " ", "  ", ", ", ". ", "-", "_", "'", "\n", "", "\u0301 ", " xyzzy ")


def documents(terms: Sequence[str], given: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """`count` documents: of terms, of unknown words between them, and of pieces of the user's own."""
    pool = _spread(terms) or ["free", "prize", "now"]
    made: list[str] = []
    for i in range(count):
        if given and i % 2:
            text = _changed(given[int(rng.integers(len(given)))], given, rng)
        else:
            picked = [pool[k] for k in rng.integers(0, len(pool), rng.integers(1, 12)).tolist()]
            joints = [_JOINTS[k] for k in rng.integers(0, len(_JOINTS), len(picked)).tolist()]
            text = "".join([a + b for a, b in zip(picked, joints, strict=True)])
        made.append(text)
    return made


def _spread(terms: Sequence[str]) -> list[str]:
    at = np.unique(np.linspace(0, len(terms) - 1, 5000).astype(int)).tolist() if terms else []
    return [terms[i] for i in at]


def _changed(text: str, given: Sequence[str], rng: np.random.Generator) -> str:
    """The text as it is, in another case, cut, or with an odd document or another of the user's behind it."""
    cut = int(rng.integers(0, len(text) + 1))
    other = given[int(rng.integers(len(given)))]
    odd = ODD[int(rng.integers(len(ODD) - 1))]
    ways = (text, text.upper(), text.title(), text[cut:], text[:cut], text[:cut] + odd + text[cut:], f"{text} {other}")
    return ways[int(rng.integers(len(ways)))]
