"""Label errors that disagreement cannot reveal: words on which all engines agree but are wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rapidfuzz.distance import Levenshtein


def agreed_errors(said: Sequence[str], slots: Iterable[tuple[Sequence[str | None], str | None]], errors: int) -> int:
    """How many of a label's `errors` are in words on which all engines agree. A slot: the word of each engine, and the choice.

    The agreed words are compared with the truth; words missing only because the engines differ are not counted.

    >>> agreed_errors(["we", "meet"], [(("we", "we"), "we"), (("meat", "meet"), "meat")], 1)
    0
    >>> agreed_errors(["we", "meet"], [(("we", "we"), "we"), (("meat", "meat"), "meat")], 1)
    1
    """
    agreed = [choice for words, choice in slots if choice is not None and len(set(words)) == 1]
    wrong = Levenshtein.distance(said, agreed) - max(len(said) - len(agreed), 0)  # substitutions and insertions
    return min(max(wrong, 0), errors)
