"""Where in a transcript its recognisers had no majority: words that may be wrong, and places where a word may be missing.

A label is the text of one recogniser, and the sample's slots say what the others heard at each of its words. A model can be trained through
such places without being taught what stands there, as OTC (arXiv 2306.01031) does with star tokens; here a decoder reads the
doubtful words and is not asked to say them.

    text    the cat sat on the mat        slots    the  cat|cap  sat  -|up  on  the  mat
    doubtful                              words: `cat`; a gap before `on`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

import regex

from voxmill.manifests.records import Slot
from voxmill.models.common.text_rules import UNSPACED

_WORD = regex.compile(rf"{UNSPACED}\p{{M}}*|\S+?(?={UNSPACED}|\s|$)")
"""Of scripts without spaces each character is a word."""
_SILENT = regex.compile(r"[^\p{L}\p{M}\p{N}]+")


@dataclass(frozen=True, slots=True)
class TextStretch:
    """A word of a text with what stands before it: its characters [start, end)."""

    start: int
    end: int
    doubtful: bool = False
    """The recognisers had no majority for it."""
    after_gap: bool = False
    """A word may be missing before it. Of an empty stretch, the last one: at the end."""


def has_majority(slot: Slot) -> bool:
    """Whether more than half of the recognisers said what the label has there.

    >>> has_majority(Slot(("cat", "cat", "cap"), "cat", False)), has_majority(Slot(("cat", "cap"), "cat", True))
    (True, False)
    """
    return 2 * sum(word == slot.choice for word in slot.words) > len(slot.words)


def stretches(text: str, slots: Sequence[Slot]) -> tuple[TextStretch, ...]:
    """The text cut at its words, each with what the slots say of it; empty where nothing is in doubt.

    Slots hold normalised words, so a word of the text that no slot spells is what its neighbours leave over: in doubt if a slot there is.
    """
    if all(map(has_majority, slots)):
        return ()
    found = list(_WORD.finditer(text))
    spelt = [_SILENT.sub("", match[0]).casefold() for match in found]
    said = [slot for slot in slots if slot.choice is not None]
    doubtful = [False] * len(found)
    home = [len(found)] * (len(said) + 1)
    """The word of the text at which each slot stands, or the next one."""
    matcher = SequenceMatcher(None, [_SILENT.sub("", slot.choice or "").casefold() for slot in said], spelt, autojunk=False)
    for kind, first, last, start, end in matcher.get_opcodes():
        unsure = not all(map(has_majority, said[first:last]))
        for index in range(start, end):
            doubtful[index] = not has_majority(said[first + index - start]) if kind == "equal" else unsure
        for place in range(first, last):
            home[place] = start + (place - first if kind == "equal" else 0)
    gaps, place = set[int](), 0
    for slot in slots:
        if slot.choice is not None:
            place += 1
        elif not has_majority(slot):
            gaps.add(home[place])
    ends = [0, *(match.end() for match in found)]
    cut = [TextStretch(start, end, doubtful[index], index in gaps) for index, (start, end) in enumerate(pairwise(ends))]
    return (*cut, TextStretch(ends[-1], len(text), after_gap=len(found) in gaps))
