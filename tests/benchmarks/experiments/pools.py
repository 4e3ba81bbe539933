"""What each arm of a student learns from one pool: which spans, and which words of them.

all        every span that has a label
kept       those whose label the line would trust (`select.high`)
random     as many minutes as kept, drawn from all
starred    kept, and through the agreed words of spans that are agreed on less (`select.unlabelled` and more)
truth      the spans of all with what was really said: what labels without a fault would bring
bad …      as many minutes of each share of labels that are not kept: how wrong a pool must be for the filter to help
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from benchmarks.experiments.by_speaker import counted, rate
from benchmarks.experiments.frame_lessons import Taught
from benchmarks.experiments.frames import PLAIN, TAUGHT, Wave
from benchmarks.experiments.spans import Span, few
from voxmill.manifests.records import Annotation, Labels, Mark
from voxmill.models.data.disputed import TextStretch, stretches
from voxmill.models.data.targets import LabelledUtterance
from voxmill.operators.select.policy import SelectConfig

ARMS = ("all", "kept", "random", "starred", "truth")
SHARES = (0.0, 0.25, 0.5, 0.75)
"""Of minutes whose labels are not kept, in the curve."""
_select = SelectConfig()


def labelled(pool: Sequence[Span]) -> list[Span]:
    """The spans that reconciliation gave a label."""
    return [one for one in pool if one.label.rejection is None and one.label.text.strip()]


def at_least(pool: Sequence[Span], agreement: float) -> list[Span]:
    """The labelled spans that are agreed on so much."""
    return [one for one in labelled(pool) if one.label.agreement is not None and one.label.agreement >= agreement]


def kept(pool: Sequence[Span]) -> list[Span]:
    return at_least(pool, _select.high)


def minutes(spans: Sequence[Span]) -> float:
    return sum(one.minutes for one in spans)


def arms(pool: Sequence[Span], versions: int, seed: int = 0) -> dict[str, list[Taught]]:
    """What each arm learns; `versions` of each sound beside the plain one."""
    every, trusted = labelled(pool), kept(pool)
    keys = {one.key for one in trusted}
    rest = [one for one in at_least(pool, _select.unlabelled) if one.key not in keys]
    drawn = few(every, minutes(trusted), f"random {seed}")
    said, true = partial(_taught, versions=versions), partial(_taught, versions=versions, true=True)
    return {
        "all": [said(one) for one in every],
        "kept": [said(one) for one in trusted],
        "random": [said(one) for one in drawn],
        "starred": [*(said(one) for one in trusted), *(_taught(one, versions, starred=True) for one in rest)],
        "truth": [true(one) for one in every],
    }


def curve(pool: Sequence[Span], versions: int) -> dict[str, tuple[list[Span], list[Taught]]]:
    """By name, spans and lessons of pools of equal minutes, of which a growing share has labels that are not kept."""
    good, keys = kept(pool), {one.key for one in kept(pool)}
    bad = [one for one in labelled(pool) if one.key not in keys]
    size = min(minutes(good), minutes(bad) / max(SHARES))
    found = {}
    for share in SHARES:
        spans = [*few(good, (1 - share) * size, f"good {share}"), *few(bad, share * size, f"bad {share}")]
        found[f"bad {share:.0%}"] = (spans, [_taught(one, versions) for one in spans])
    return found


def waves(span: Span, versions: int) -> tuple[Wave, ...]:
    """The sound of a span as it is, and as a training hears it."""
    more = (Wave(span.key, span.audio, f"taught-{number}", TAUGHT) for number in range(1, versions + 1))
    return (Wave(span.key, span.audio, PLAIN), *more)


def label_rate(spans: Sequence[Span]) -> float:
    """Word error rate (%) of the labels."""
    return rate(counted(spans, {one.key: one.label.text for one in spans}))


def _taught(span: Span, versions: int, *, true: bool = False, starred: bool = False) -> Taught:
    text = span.truth if true else span.label.text
    doubts: tuple[TextStretch, ...] = stretches(text, span.label.slots) if starred else ()
    labels = Labels(span.key, language=Annotation((Mark("en"),), "stated"))
    return Taught(span.key, span.num_samples, LabelledUtterance(text, labels, None, doubts), waves(span, versions))


def encoded(lessons: Mapping[str, Sequence[Taught]]) -> list[Wave]:
    """Every sound of these lessons, once."""
    found = {one.path: one for taught in lessons.values() for lesson in taught for one in lesson.versions}
    return list(found.values())
