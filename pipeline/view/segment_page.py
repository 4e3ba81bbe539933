"""Everything that a run knows of one segment, as its page shows it: without secrets, personal data, and folders of this machine."""

from __future__ import annotations

from collections.abc import Mapping

from voxmill.manifests.errors import UserError
from voxmill.manifests.public_form import public_licence, public_provenance
from voxmill.manifests.records import Licence, Provenance
from voxmill.manifests.schema import plain
from voxmill.pipeline.view.run_view import Row, RunView, no_place, required
from voxmill.pipeline.view.segment_audio import audio_of, context_of
from voxmill.pipeline.view.segment_scores import scores
from voxmill.sharding.sample import portable

_OF_RECORDING = (
    "id", "num_samples", "sampling_rate", "num_channels", "codec", "container", "bandwidth", "cutoff_hz", "language", "domain",
    "lost_samples", "lost_why", "track", "channels", "apart", "dc", "gain_db",
)  # fmt: skip


def segment(view: RunView, params: Mapping[str, str]) -> Row:
    """The segment `id`: its span, texts, slots, scores, labels, provenance, verdicts, audio and neighbours. Raises UserError where it is not there."""
    ident = required(params, "id")
    span = span_of(view, ident)
    consensus, redaction = _one(view, "consensus", span), _one(view, "redactions", span)
    masked = bool(redaction and redaction["masked"])
    withheld = view.withheld(consensus["text"] if consensus else "", redaction, span["kept"])
    hidden = masked or withheld
    told = view.about(span, "segments", "speech AS probability, rejection", "id")
    heard = sorted(view.about(span, "hypotheses"), key=lambda row: str(row["engine"]))
    return {
        "span": span | (told[0] if told else {}),
        "text": view.shown(consensus["text"] if consensus else None, redaction, span["kept"]),
        "masked": [one["entity"] for one in redaction["masked"]] if redaction else [],
        "withheld": withheld,
        "consensus": _consensus(consensus, hidden),
        "hypotheses": [_hypothesis(row, hidden) for row in heard],
        "scores": scores(view, span),
        "labels": _labels(view, span, hidden),
        "selection": _told(_one(view, "selections", span)),
        "verdicts": _verdicts(view, span["fate"]),
        "unpacked": view.about(span, "unpacked", "reason, detail"),
        "shard": view.about(span, "samples", "shard, key"),
        "audio": audio_of(view, span, context_of(params)),
        "neighbours": _neighbours(view, span),
        **_recording(view, span["recording_id"]),
    }


def span_of(view: RunView, ident: str) -> Row:
    """The row of a segment in `spans`. Raises UserError where there is none."""
    rows = view.ask("SELECT *, num_samples / 16000 AS seconds FROM spans WHERE segment_id = ?", [ident])
    if not rows:
        raise UserError(f"no segment `{ident}` in {view.name}")
    return rows[0]


def _one(view: RunView, table: str, span: Row) -> Row | None:
    rows = view.about(span, table)
    return rows[0] if rows else None


def _consensus(row: Row | None, hidden: bool) -> Row | None:
    """The alignment; where personal data was found the words of the engines are not shown, as in shards."""
    if row is None:
        return None
    kept = {
        name: row[name]
        for name in ("rule", "language", "agreement", "vote", "unit", "engines", "normaliser", "num_ties", "rejection")
    }
    return _told(kept | {"slots": [] if hidden else row["slots"]})


def _hypothesis(row: Row, hidden: bool) -> Row:
    kept = {
        name: row[name]
        for name in ("engine", "model", "confidence", "language", "language_confidence", "no_speech", "rejection")
    }
    return _told(kept | {"text": None if hidden else row["text"], "words": None if hidden else row["words"]})


def _told(row: Row | None) -> Row:
    """The row, its rejection's detail without secrets and folders."""
    if row and row.get("rejection"):
        return row | {"rejection": row["rejection"] | {"detail": no_place(row["rejection"]["detail"])}}
    return row or {}


def _labels(view: RunView, span: Row, hidden: bool) -> list[Row]:
    """By task: the merged label, every labeller's opinion, and who is contradicted."""
    merged = _one(view, "labels", span) or {}
    said = [
        {"labeller": row["labeller"], "task": finding["task"], "reason": finding["reason"], **_opinion(finding["annotation"])}
        for row in sorted(view.about(span, "opinions"), key=lambda row: str(row["labeller"]))
        for finding in row["findings"] or ()
        if row["rejection"] is None
    ]
    tasks = sorted({name for name, value in merged.items() if isinstance(value, dict)} | {row["task"] for row in said})
    return [
        {"task": task, "label": merged.get(task), "opinions": [row for row in said if row["task"] == task]}
        for task in tasks
        if not (hidden and task in ("translation", "named_entities"))
    ]


def _opinion(annotation: Row | None) -> Row:
    """What a labeller said; `marks` is None where it was not sure."""
    found = annotation or {}
    return {name: found.get(name) for name in ("marks", "confidence", "model")}


def _verdicts(view: RunView, fate: int) -> list[Row]:
    return view.ask("SELECT position, stage, kept, reason FROM fate_verdicts WHERE fate = ? ORDER BY position, stage", [fate])


def _neighbours(view: RunView, span: Row) -> Row:
    """The segments before and after in the same recording."""
    sql = "SELECT segment_id, speech, reason FROM spans WHERE recording_id = ? AND start {} ? ORDER BY start {} LIMIT 1"
    values = [span["recording_id"], span["start"]]
    before, after = view.ask(sql.format("<", "DESC"), values), view.ask(sql.format(">", "ASC"), values)
    return {"before": before[0] if before else None, "after": after[0] if after else None}


def _recording(view: RunView, ident: str) -> Row:
    rows = view.ask("FROM recordings WHERE id = ? AND rejection IS NULL LIMIT 1", [ident])
    if not rows:
        return {"recording": None, "provenance": None, "licence": None}
    row = rows[0]
    origin = plain(public_provenance(Provenance(**row["provenance"])))
    licence = plain(public_licence(Licence(**row["licence"])))
    for name in ("url", "final_url", "page_url"):
        origin[name] = portable(origin[name])
    licence["evidence"] = portable(licence["evidence"])
    clean = {
        name: no_place(value) if isinstance(value, str) and "://" not in value else value for name, value in origin.items()
    }
    return {"recording": {name: row[name] for name in _OF_RECORDING}, "provenance": clean, "licence": licence}
