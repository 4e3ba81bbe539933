"""Every question that the page asks, by name: a run and parameters to an answer that is JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from voxmill.manifests.errors import UserError, nearest
from voxmill.pipeline.reports.stats import for_json
from voxmill.pipeline.view.distributions import distributions
from voxmill.pipeline.view.listening import Marks, next_segment, progress
from voxmill.pipeline.view.overview import choices, losses, overview, retention
from voxmill.pipeline.view.run_comparison import comparison
from voxmill.pipeline.view.run_view import Row, RunView, required
from voxmill.pipeline.view.segment_audio import audio, audio_of, context_of
from voxmill.pipeline.view.segment_page import segment, span_of
from voxmill.pipeline.view.segment_table import segments
from voxmill.pipeline.view.threshold_answers import thresholds, what_if_answer

ANSWERS: dict[str, Callable[[RunView, Mapping[str, str]], Row]] = {
    "overview": overview,
    "choices": choices,
    "retention": retention,
    "losses": losses,
    "distributions": distributions,
    "segments": segments,
    "segment": segment,
    "thresholds": thresholds,
    "what_if": what_if_answer,
    "comparison": comparison,
}


class Viewer:
    """A run, or two, and the marks of whoever listens: what answers the page."""

    def __init__(self, run: str, against: str | None = None, marks: str | None = None) -> None:
        """`against`: a run to compare with; `marks`: the folder for marks and reference, by default the run."""
        self.view = RunView(run)
        self.marks = Marks(marks or run)
        self.other = RunView(against) if against else None
        if self.other:
            self.view.compare_with(self.other)
            self.other.compare_with(self.view)

    def answer(self, name: str, params: Mapping[str, str]) -> Any:
        """The answer to one question. The parameter `run=other` asks the run that is compared with. Raises UserError."""
        view, rest = self._asked(params)
        if name == "marks":
            return for_json(progress(view, self.marks))
        if name == "next":
            return for_json(next_segment(view, self.marks, rest.get("tier") or None))
        if name not in ANSWERS:
            raise UserError(f"no question `{name}`{nearest(name, set(ANSWERS))}")
        return for_json(ANSWERS[name](view, rest))

    def sound(self, params: Mapping[str, str]) -> bytes:
        """The clip of the segment `id`, with `context` seconds on each side, as FLAC. Raises UserError."""
        view, rest = self._asked(params)
        span = span_of(view, required(rest, "id"))
        return audio(view, span, audio_of(view, span, context_of(rest)))

    def _asked(self, params: Mapping[str, str]) -> tuple[RunView, dict[str, str]]:
        rest = {name: value for name, value in params.items() if name != "run"}
        if params.get("run", "") != "other":
            return self.view, rest
        if self.other is None:
            raise UserError("there is no other run: start `voxmill view` with --against")
        return self.other, rest
