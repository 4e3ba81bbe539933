"""The stage `label`: many opinions become one `Labels` per segment. Pure.

For each task the most trusted labeller that is sure decides; those that agree are listed as further sources, those that disagree
in `against`. All opinions are kept in their own table, so a conflict is data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from voxmill.manifests.config_base import Settings
from voxmill.manifests.records import NO_SPEECH, Annotation, Labels, LabelTask, Mark, Opinion, Segment
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.label.labeller_config import SENSITIVE, LabellerSettings
from voxmill.operators.label.language_codes import DIALECTS, compatible

CLASSES: frozenset[LabelTask] = frozenset({"language", "gender", "age", "emotion"})
"""Tasks with one class as label, for which labellers can be compared."""

EVERYWHERE: tuple[LabelTask, ...] = tuple(name for name in Labels.__dataclass_fields__ if name != "segment_id")  # type: ignore[misc]


class MergeConfig(Settings):
    """How opinions become labels."""

    prefer: dict[LabelTask, tuple[str, ...]] = {}
    """Labellers by task, the most trusted first; those not named follow in the order of `label`."""
    agree: tuple[LabelTask, ...] = ()
    """Tasks of one class that are labelled only where no other labeller that is sure disagrees."""
    sensitive: bool = True
    """Guess gender, age and emotion from voices. Off: nobody is asked, and a labeller of nothing else does not run."""


Asked = TypeVar("Asked", bound=LabellerSettings)


def active_labellers(labellers: Sequence[Asked], config: MergeConfig) -> list[Asked]:
    """The labellers that have something to label, each with the tasks it must skip."""
    barred = frozenset() if config.sensitive else SENSITIVE
    skips = [(one, {*one.skip, *(barred & set(one.tasks()))}) for one in labellers]
    return [one.model_copy(update={"skip": tuple(sorted(skip))}) for one, skip in skips if set(one.tasks()) - skip]


class Merge:
    """One `Labels` per segment; `labellers` are the names in the order of the config."""

    def __init__(self, config: MergeConfig, labellers: Sequence[str]) -> None:
        self._config, self._labellers = config, tuple(labellers)

    def __call__(self, work: UnitInput) -> list[Labels]:
        opinions: dict[str, list[Opinion]] = {}
        for opinion in work.opinions:
            opinions.setdefault(opinion.segment_id, []).append(opinion)
        return [self._labels(segment, opinions.get(segment.id, ())) for segment in work.segments]

    def _labels(self, segment: Segment, opinions: Sequence[Opinion]) -> Labels:
        labels = merge(segment.id, opinions, self._labellers, self._config)
        if segment.kind == "event" and labels.language is None:  # found by the speech detector
            return replace(labels, language=Annotation((Mark(NO_SPEECH),), "segment"))
        return labels


def merge(segment_id: str, opinions: Sequence[Opinion], labellers: Sequence[str], config: MergeConfig) -> Labels:
    """The labels of one segment; the order of its opinions does not matter."""
    said: dict[LabelTask, dict[str, Annotation]] = {}
    for opinion in opinions:
        for finding in opinion.findings:
            if finding.annotation is not None:
                said.setdefault(finding.task, {})[opinion.labeller] = finding.annotation
    fields: dict[str, Annotation | None] = {}
    for task in EVERYWHERE:
        first = config.prefer.get(task, ())
        order = [*first, *(name for name in labellers if name not in first)]
        fields[task] = _settle(task, said.get(task, {}), order, task in config.agree)
    return Labels(segment_id, **fields)


def _settle(task: LabelTask, said: Mapping[str, Annotation], order: Sequence[str], agree: bool) -> Annotation | None:
    sure = [name for name in order if name in said]
    if not sure:
        return None
    lead = said[sure[0]]
    if task not in CLASSES:
        return lead
    for_it = [name for name in sure if _same(lead, said[name])]
    against = tuple(name for name in sure if name not in for_it)
    if against and agree:
        return None
    # of two compatible classes keep the narrower: a dialect rather than `zh`
    lead = next((said[name] for name in for_it if _value(said[name]) in DIALECTS), lead)
    models = [model for name in for_it if (model := said[name].model)]
    return Annotation(lead.marks, "+".join(for_it), lead.confidence, "+".join(models) or None, against)


def _value(annotation: Annotation) -> str | None:
    return annotation.marks[0].value if annotation.marks else None


def _same(one: Annotation, other: Annotation) -> bool:
    a, b = _value(one), _value(other)
    return a == b if a is None or b is None else compatible(a, b)
