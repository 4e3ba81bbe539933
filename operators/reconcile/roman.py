"""Roman numerals."""

from __future__ import annotations

import regex

CLASS = r"(?:M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3}))(?<=[IVXLCDM])"
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def value(numeral: str) -> int | None:
    """The number of a Roman numeral; None where it is none.

    >>> value("XIV"), value("CIVIC")
    (14, None)
    """
    if not numeral or regex.fullmatch(CLASS, numeral) is None:
        return None
    total = 0
    for one, after in zip(numeral, numeral[1:] + "I", strict=True):
        total += -_VALUES[one] if _VALUES[one] < _VALUES[after] else _VALUES[one]
    return total
