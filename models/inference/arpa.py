"""An n-gram language model with back-off, read from an ARPA text file, as SRILM, KenLM's `lmplz` and IRSTLM write it.

A library is not used: kenlm has no wheels (its binaries want its C++ at installation), flashlight-text asks for all words beforehand, and the package
arpa has had no release since 2018. The model is a dictionary, in memory some 200 bytes for each n-gram.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from voxmill.manifests.errors import UserError
from voxmill.models.common.text_rules import TextRules, ruled

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
_BARE = TextRules(case="lower", punctuation="remove")
_NEVER_SEEN = -10.0
"""log10 probability of an unknown word, where the model states none."""


class NgramModel:
    """Log probabilities (base e) of a word after others.

    >>> model = NgramModel({("a",): (-1.0, -0.5), ("b",): (-2.0, 0.0), ("a", "b"): (-0.25, 0.0)})
    >>> [round(model.log(("a",), word) / math.log(10), 2) for word in ("b", "a", "c")]
    [-0.25, -1.5, -10.5]
    """

    def __init__(self, grams: dict[tuple[str, ...], tuple[float, float]]) -> None:
        """`grams`: log10 probability and log10 back-off weight of each n-gram."""
        self._grams = grams
        self.order = max(map(len, grams), default=1)
        """Words of the longest n-gram."""

    @classmethod
    def read(cls, path: str) -> NgramModel:
        """Reads a file, which may be compressed (`.gz`). Raises UserError if it is missing or no ARPA file."""
        try:
            with (
                gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else Path(path).open(encoding="utf-8") as lines
            ):
                return cls(_grams(lines))
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(
                f"the language model {path} cannot be read ({getattr(error, 'strerror', None) or error}): --lm takes an ARPA text file, also compressed (.gz)"
            ) from error
        except ValueError as error:
            raise UserError(
                f"{path} is no ARPA text file ({error}); of a binary of KenLM take the text that it was made from"
            ) from error

    def spelt(self, word: str) -> tuple[str, ...]:
        """The word as the model spells it: itself, or else without capitals and punctuation, as most models are, which can leave nothing; or `<unk>`."""
        if (word,) in self._grams:
            return (word,)
        return tuple(one if (one,) in self._grams else UNKNOWN for one in ruled(word, _BARE).text.split())

    def log(self, context: tuple[str, ...], word: str) -> float:
        """ln P(word | context), of which as many last words count as the model has. Both are as `spelt` spells them."""
        context = context[len(context) - min(len(context), self.order - 1) :]
        weight = 0.0
        for first in range(len(context) + 1):
            found = self._grams.get((*context[first:], word))
            if found is not None:
                return (weight + found[0]) * math.log(10)
            weight += self._grams.get(context[first:], (0.0, 0.0))[1]
        return (weight + _NEVER_SEEN) * math.log(10)


def _grams(lines: Iterable[str]) -> dict[tuple[str, ...], tuple[float, float]]:
    grams: dict[tuple[str, ...], tuple[float, float]] = {}
    promised, found, size, ended = dict[int, int](), Counter[int](), 0, False
    for number, line in enumerate(lines, 1):
        if line.startswith("\\"):
            size = int(line[1:].partition("-")[0]) if line.rstrip().endswith("-grams:") else 0
            ended |= line.rstrip() == "\\end\\"
        elif line.startswith("ngram ") and not size:
            order, _, count = line.removeprefix("ngram ").partition("=")
            promised[int(order)] = int(count)
        elif size and (fields := [one for one in _BETWEEN.split(line.strip("\r\n \t")) if one]):
            if len(fields) not in (size + 1, size + 2):
                raise ValueError(f"line {number} is no {size}-gram")
            weight = float(fields[-1]) if len(fields) == size + 2 else 0.0
            grams[tuple(fields[1 : size + 1])] = (float(fields[0]), weight)
            found[size] += 1
    if not grams:
        raise ValueError("it has no n-grams")
    for length, many in promised.items():
        if found[length] != many:
            raise ValueError(f"it says {many} {length}-grams and has {found[length]}: it was cut off, or changed by hand")
    if promised and not ended:
        raise ValueError("its last line, \\end\\, is missing: it was cut off")
    return grams


_BETWEEN = re.compile(r"[ \t]+")
"""Not other spaces: a word may hold one."""
