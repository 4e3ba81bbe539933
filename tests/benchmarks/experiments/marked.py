"""What a model says beside the words: language, speaker changes, names; and how well, given what was there to say.

A `Said` is read from token ids alone, so truth and output are read in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from voxmill.models.common.tokenizer import ENTITY, ENTITY_END, SPEAKER_CHANGE, Tokenizer, class_token


@dataclass(frozen=True, slots=True)
class Said:
    language: str | None
    words: tuple[str, ...]
    changes: tuple[int, ...]
    """After how many words somebody else begins to speak."""
    names: tuple[str, ...]


def read(ids: Iterable[int], tokens: Tokenizer) -> Said:
    """A name that is never closed is none; one that is never opened neither."""
    languages = {class_token(name): name for name in tokens.config.language}
    language: str | None = None
    words: list[str] = []
    changes: list[int] = []
    names: list[str] = []
    opened: int | None = None
    for one in _stretches(ids, tokens):
        if one in languages:
            language = language or languages[one]
        elif one == SPEAKER_CHANGE:
            changes.append(len(words))
        elif one == ENTITY:
            opened = len(words)
        elif one == ENTITY_END:
            names += [" ".join(words[opened:])] if opened is not None else []
            opened = None
        else:
            words += one.split()
    return Said(language, tuple(words), tuple(changes), tuple(names))


def _stretches(ids: Iterable[int], tokens: Tokenizer) -> list[str]:
    """Names of task tokens, and the texts between them."""
    parts: list[str] = []
    run: list[int] = []
    for token in ids:
        if tokens.is_subword(token):
            run.append(token)
        else:
            parts += [tokens.decode(run), tokens.name(token)]
            run = []
    return [part for part in (*parts, tokens.decode(run)) if part]


def figures(truth: Mapping[str, Said], said: Mapping[str, Said]) -> dict[str, float]:
    """All in %: word error rate without task tokens, errors of language, 100 - F1 of speaker changes and of names.

    A change is right where the alignment of the words puts it between the same words; a name where it has the same words.
    """
    import jiwer

    keys = sorted(truth)
    references, hypotheses = ([" ".join(of[key].words) for key in keys] for of in (truth, said))
    wrong = sum(truth[key].language != said[key].language for key in keys)
    changes, names = Counter[str](), Counter[str]()
    for key in keys:
        changes += _counts(truth[key].changes, _moved(said[key].changes, truth[key].words, said[key].words))
        names += _counts(truth[key].names, said[key].names)
    return {
        "asr": 100 * jiwer.wer(references, hypotheses), "language": 100 * wrong / len(keys),
        "speaker_change": 100 - f1(changes), "named_entities": 100 - f1(names),
    }  # fmt: skip


def f1(counts: Mapping[str, int]) -> float:
    """In %, of counts `right`, `said` and `true`; 100 where there was nothing to say, and nothing was said.

    >>> f1({"right": 1, "said": 1, "true": 3}), f1({})
    (50.0, 100.0)
    """
    both = counts.get("said", 0) + counts.get("true", 0)
    return 100 * 2 * counts.get("right", 0) / both if both else 100.0


def _counts(true: Sequence[int] | Sequence[str], said: Sequence[int] | Sequence[str]) -> Counter[str]:
    right = sum((Counter(true) & Counter(said)).values())
    return Counter(right=right, said=len(said), true=len(true))


def _moved(places: Sequence[int], reference: Sequence[str], hypothesis: Sequence[str]) -> list[int]:
    """Places between the words of a hypothesis as places between those of the reference that they were aligned to.

    >>> _moved([2], ["a", "b", "c"], ["x", "b", "c"]), _moved([1], ["a", "b", "c"], ["b", "c"])
    ([2], [2])
    """
    import jiwer

    if not reference or not hypothesis:
        return [min(place, len(reference)) for place in places]
    chunks = jiwer.process_words(" ".join(reference), " ".join(hypothesis)).alignments[0]
    after = {0: 0}
    for chunk in chunks:
        for index in range(chunk.hyp_start_idx, chunk.hyp_end_idx):
            inside = min(index - chunk.hyp_start_idx + 1, chunk.ref_end_idx - chunk.ref_start_idx)
            after[index + 1] = chunk.ref_start_idx + inside
    return [after[place] for place in places]
