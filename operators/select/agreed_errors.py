"""Errors that no comparison of engines can see: those in words that all of them say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rapidfuzz.distance import Levenshtein


def agreed_errors(said: Sequence[str], slots: Iterable[tuple[Sequence[str | None], str | None]], errors: int) -> int:
    """How many of a label's `errors` are in words on which all engines agree. Slots are what each engine has there, and the choice.

    The agreed words alone are held against the truth; words that are missing only because the engines differ there are no errors.

    >>> agreed_errors(["we", "meet"], [(("we", "we"), "we"), (("meat", "meet"), "meat")], 1)
    0
    >>> agreed_errors(["we", "meet"], [(("we", "we"), "we"), (("meat", "meat"), "meat")], 1)
    1
    """
    agreed = [choice for words, choice in slots if choice is not None and len(set(words)) == 1]
    wrong = Levenshtein.distance(said, agreed) - max(len(said) - len(agreed), 0)  # substitutions and insertions
    return min(max(wrong, 0), errors)
