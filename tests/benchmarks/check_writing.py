"""`make check-writing`: the same words in another writing agree wholly, other words do not.

Pairs by language and kind in `writing/*.tsv`, alone and within a sentence; numbers spelt by libraries that the normaliser does not
use (inflect, cn2an); what agreement must be whatever the texts (symmetric, 1 with itself, within 0 and 1); which languages say that
they have no reading for numbers; and what a word costs, beside whisper_normalizer alone.
"""

from __future__ import annotations

import csv
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.report import Target, finish, full_form, heading, table
from voxmill.manifests.records import Hypothesis, Licence, Provenance, Recording, Segment
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.reconcile.agreement import agreement
from voxmill.operators.reconcile.normalise import NORMALISER, UNREAD, Normaliser
from voxmill.operators.reconcile.reconcile import Reconcile, ReconcileConfig

WRITING = Path(__file__).with_name("writing")
PACKAGES = ("wetext", "whisper-normalizer", "unicode-rbnf", "babel", "inflect", "cn2an")
CARRIERS = {"en": ("and then they said", "to all of the others"), "zh": ("后来大家都说", "这件事情")}
"""Words around a pair: what is found alone must be found in speech."""
UNREADABLE = ("mi", "gd", "yo", "eu")
"""Languages of which no library says how numbers are spoken."""
MAX_MICROSECONDS = 100.0
"""Most that a word of plain text may cost (µs of CPU)."""


@dataclass(frozen=True, slots=True)
class Pair:
    language: str
    one: str
    other: str
    kind: str

    @property
    def same(self) -> bool:
        return not self.kind.startswith("not ")


def pairs() -> list[Pair]:
    """The table, in the order of its files."""
    found = []
    for path in sorted(WRITING.glob("*.tsv")):
        with path.open(encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            found += [Pair(path.stem, row["a"], row["b"], row["kind"]) for row in rows]
    return found


def judge(normaliser: Normaliser, pair: Pair) -> float:
    value = agreement([one.units for one in normaliser.together([pair.one, pair.other], pair.language)])
    assert value is not None
    return value


def wrong(normaliser: Normaliser, given: Iterable[Pair]) -> list[Pair]:
    return [pair for pair in given if (judge(normaliser, pair) == 1.0) != pair.same]


def carried(given: Iterable[Pair]) -> Iterator[Pair]:
    """Each pair within a sentence, where a sentence of its language is known."""
    for pair in given:
        if pair.language in CARRIERS:
            gap = " " if pair.language == "en" else ""
            before, after = CARRIERS[pair.language]
            one, other = (gap.join((before, text, after)) for text in (pair.one, pair.other))
            yield Pair(pair.language, one, other, pair.kind)


def spelt(full: bool) -> Iterator[Pair]:
    """Numbers in figures beside their words, by libraries of others."""
    import cn2an
    import inflect

    english: Any = inflect.engine()
    rng = random.Random(0)
    numbers = [
        *range(121),
        *range(200, 1001, 7),
        *range(1000, 10_000, 83),
        *range(10_000, 1_000_000, 7919),
        *(10**k for k in range(3, 13)),
    ]
    numbers += [rng.randrange(10**9) for _ in range(2000 if full else 200)]
    for number in numbers:
        words = str(english.number_to_words(number))
        yield Pair("en", str(number), words, "cardinal")
        yield Pair("en", f"{number:,}", words.replace(",", "").replace(" and ", " "), "cardinal")
        yield Pair("zh", str(number), str(cn2an.an2cn(str(number))), "cardinal")
        yield Pair("en", f"${number:,}", f"{words} dollar{'s' * (number != 1)}", "money")
        yield Pair("zh", f"{number}元", f"{cn2an.an2cn(str(number))}元", "money")
        yield Pair("en", f"{number + 1}", words, "not cardinal")
        yield Pair("zh", f"{number + 1}", str(cn2an.an2cn(str(number))), "not cardinal")
    for number in range(1, 1001):
        yield Pair("en", str(english.ordinal(number)), str(english.number_to_words(english.ordinal(number))), "ordinal")
    for year in range(1700, 2100):
        yield Pair("en", str(year), _year(english, year), "year")
        yield Pair("zh", f"{year}年", "".join("零一二三四五六七八九"[int(d)] for d in str(year)) + "年", "year")
    for tenths in range(1, 1000, 7):
        value = f"{tenths / 10:.1f}"
        yield Pair(
            "en", value, f"{english.number_to_words(int(value[:-2]))} point {english.number_to_words(value[-1])}", "decimal"
        )
        yield Pair("zh", value, str(cn2an.an2cn(value)), "decimal")
        yield Pair(
            "en",
            f"{value}%",
            f"{english.number_to_words(int(value[:-2]))} point {english.number_to_words(value[-1])} percent",
            "percent",
        )
    for hour in range(1, 13):
        for minute in range(60):
            said = (
                "o'clock"
                if not minute
                else f"oh {english.number_to_words(minute)}"
                if minute < 10
                else english.number_to_words(minute)
            )
            yield Pair("en", f"{hour}:{minute:02}", f"{english.number_to_words(hour)} {said}", "time")


def _year(english: Any, year: int) -> str:
    words = english.number_to_words
    head, tail = divmod(year, 100)
    if 2000 <= year < 2010:
        return f"two thousand {words(tail)}" if tail else "two thousand"
    return f"{words(head)} {'hundred' if not tail else f'oh {words(tail)}' if tail < 10 else words(tail)}"


def properties(normaliser: Normaliser, given: Sequence[Pair]) -> list[str]:
    """What holds for any texts: the order does not matter, a text agrees with itself, and agreement is a share."""
    rng = random.Random(1)
    problems = []
    for pair in given:
        there, back = judge(normaliser, pair), judge(normaliser, Pair(pair.language, pair.other, pair.one, pair.kind))
        if there != back or not 0 <= there <= 1:
            problems.append(f"{pair}: {there} and {back}")
        if judge(normaliser, Pair(pair.language, pair.one, pair.one, pair.kind)) != 1:
            problems.append(f"{pair}: differs from itself")
        third = rng.choice(given).one
        texts = [pair.one, pair.other, third]
        ways = set()
        for order in ((0, 1, 2), (2, 0, 1), (1, 0, 2)):
            said = normaliser.together([texts[k] for k in order], pair.language)
            ways.add(tuple(said[order.index(k)] for k in range(3)))
        if len(ways) > 1:
            problems.append(f"{texts}: depends on the order")
    return problems


def says_so(language: str) -> str:
    """The normaliser that a consensus names for words and digits of the language."""
    recording = Recording(
        "r", "i", Provenance("web", "http://h/a.mp3"), Licence("cc0-1.0"), num_samples=160_000, language=language
    )
    heard = tuple(Hypothesis("s", engine, "m", text) for engine, text in (("a", "25"), ("b", "word")))
    (row,) = Reconcile(ReconcileConfig(), ("a", "b"))(
        UnitInput("u", recordings=(recording,), segments=(Segment("s", "r", 0, 64_000),), hypotheses=heard)
    )
    return row.normaliser


def cost(given: Sequence[Pair], full: bool) -> dict[str, float]:
    """µs of CPU per word: plain English, English with the pairs of the table in it, and whisper_normalizer alone on both."""
    from whisper_normalizer.english import EnglishTextNormalizer

    rng, library = random.Random(2), EnglishTextNormalizer()
    words = sorted(
        {word for pair in given if pair.language == "en" for word in pair.other.split() if word.isalpha() and word.islower()}
    )
    count = 2000 if full else 600
    plain = [tuple(" ".join(rng.choices(words, k=18)) for _ in range(2)) for _ in range(count)]
    same = [pair for pair in given if pair.language == "en" and pair.same]
    chosen = [rng.choice(same) for _ in plain]
    written = [(f"{a} {p.one} {b}", f"{a} {p.other} {b}") for (a, b), p in zip(plain, chosen, strict=True)]
    figures = {}
    for name, texts in (("plain", plain), ("written", written)):
        normaliser, size = Normaliser(), sum(len(text.split()) for both in texts for text in both)
        normaliser.together(["at 5", "x"], "en")
        for what in ("", " alone"):
            start = time.process_time()
            for both in texts:
                if what:
                    agreement([library(text).split() for text in both])
                else:
                    agreement([one.units for one in normaliser.together(both, "en")])
            figures[f"en_{name}{what.replace(' ', '_')}"] = round((time.process_time() - start) / size * 1e6, 1)
    return figures


def main(arguments: Sequence[str]) -> int:
    full = full_form(arguments)
    given = pairs()
    normaliser = Normaliser()
    same, different = [p for p in given if p.same], [p for p in given if not p.same]
    languages = sorted({pair.language for pair in given})
    heading(
        "check-writing", full, f"{len(given)} pairs in {len(languages)} languages, {WRITING.name}/*.tsv; {NORMALISER}", PACKAGES
    )
    parts = {"table": given, "within a sentence": list(carried(given)), "spelt by other libraries": list(spelt(full))}
    failed = {name: wrong(normaliser, rows) for name, rows in parts.items()}
    counts = Counter((pair.language, pair.same) for pair in given)
    bad = Counter(pair.language for pair in failed["table"])
    table(
        ("language", "same", "different", "wrong"),
        ((name, str(counts[name, True]), str(counts[name, False]), str(bad[name])) for name in languages),
    )
    kinds, bad_kinds = (
        Counter(pair.kind for rows in parts.values() for pair in rows),
        Counter(p.kind for rows in failed.values() for p in rows),
    )
    table(("kind", "pairs", "wrong"), ((kind, str(count), str(bad_kinds[kind])) for kind, count in sorted(kinds.items())))
    table(("part", "pairs", "wrong"), ((name, str(len(rows)), str(len(failed[name]))) for name, rows in parts.items()))
    for pair in [pair for rows in failed.values() for pair in rows][:40]:
        texts = normaliser.together([pair.one, pair.other], pair.language)
        print(f"  wrong: {pair.language} {pair.kind}: {pair.one!r} / {pair.other!r}: {texts[0].text!r} / {texts[1].text!r}")
    problems = properties(normaliser, given)
    for problem in problems[:10]:
        print(f"  {problem}")
    silent = [language for language in UNREADABLE if not says_so(language).endswith(UNREAD)]
    silent += [language for language in languages if says_so(language).endswith(UNREAD)]
    figures = cost(given, full)
    table(("µs of CPU per word", "here", "whisper_normalizer alone"), (
        (name, f"{figures[f'en_{name}']:.1f}", f"{figures[f'en_{name}_alone']:.1f}") for name in ("plain", "written")
    ))  # fmt: skip
    targets: dict[str, Target] = {
        "pairs that mean the same": {"value": len(same), "target": ">= 300", "met": len(same) >= 300},
        "languages": {"value": len(languages), "target": ">= 8", "met": len(languages) >= 8},
        "pairs that do not": {"value": len(different), "target": ">= 80", "met": len(different) >= 80},
        **{f"wrong, {name}": {"value": len(rows), "target": "0", "met": not rows} for name, rows in failed.items()},
        "symmetric, 1 with itself, a share": {"value": len(problems), "target": "0 exceptions", "met": not problems},
        "languages that are not handled say so": {"value": len(silent), "target": "0 silent", "met": not silent},
        "µs per word of plain text": {
            "value": figures["en_plain"], "target": f"<= {MAX_MICROSECONDS:.0f}", "met": figures["en_plain"] <= MAX_MICROSECONDS,
        },
    }  # fmt: skip
    finish("check-writing", {**figures, **{name: len(rows) for name, rows in parts.items()}}, targets, full)
    return 0 if all(target["met"] for target in targets.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
