"""`make check-labels`: spans without speech arrive as event samples; null and empty stay apart from Parquet to tar to loss.

A real run: recordings of real speech between noises, one of noise alone, two recognisers, labellers that read and that listen (the
tagger is a tiny untrained network: what it says means nothing, where it goes is what is checked). Then one sample for every
combination of null, empty and labelled over the classes, packed and read back through the trainer's own loader.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import pyarrow.parquet as pq

import tiny_labellers as tiny
from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.runs import MOONSHINE, calls, config, counting, files, run_or_exit, verified
from samples import read_audio, recording, sample
from speech.joined import joined
from speech.noise import white
from speech.waves import RATE, read_wave, write_wave
from voxmill.manifests.catalog import _files_of, open_catalog
from voxmill.manifests.records import Annotation, Labels, Mark
from voxmill.manifests.schema import UNIT_INDEX, from_plain, from_table
from voxmill.models.common.features import FbankConfig
from voxmill.models.common.tokenizer import CLASSES, NONE, NOT_KNOWN, Tokenizer
from voxmill.models.data.batch_cutter import PlannedSample
from voxmill.models.data.examples import ExampleConfig, ExampleReader
from voxmill.models.data.targets import TargetsConfig
from voxmill.sharding.index import write_index
from voxmill.sharding.layout import plan_shards
from voxmill.sharding.reader import read_run
from voxmill.sharding.sidecar import committed, read_members
from voxmill.sharding.writer import pack_shard

VALUES = {"language": "en", "gender": "female", "age": "young", "emotion": "happy", "sound_events": "laughter"}
LEAST = 2.0
"""Shortest span without speech that is kept (s)."""


def state(label: Annotation | None) -> str:
    return "null" if label is None else "labelled" if label.marks else "empty"


def sounds(work: Path, count: int) -> list[Path]:
    """Real speech with noise before, between and after; and noise alone."""
    rng, paths = np.random.default_rng(0), []
    for i, speech in enumerate(joined("en", count, 20, seed=3)):
        noises = [(600 * white(seconds * RATE, rng)).astype("<i2") for seconds in (4, 3)]
        paths.append(work / f"talk-{i}.wav")
        write_wave(paths[-1], np.concatenate([noises[0], read_wave(speech.path), noises[1]]))
    paths.append(work / "noise.wav")
    write_wave(paths[-1], (900 * white(9 * RATE, rng)).astype("<i2"))
    return paths


def in_run(root: Path) -> tuple[dict[str, Any], list[str]]:
    """The labels of every sample at each place that they pass: as many of each state, and where two places differ."""
    con = open_catalog(str(root))
    table_rows = {row.segment_id: row for path in _files_of(str(root))["labels"] for row in read_labels(root / path)}
    shards = str(root / "shards")
    rows = {row.key: row.labels for shard in committed(shards) for row in read_members(shards, shard)}
    documents = {one.key: one.document for one in read_run(shards)}
    problems = [f"{key}: sidecar" for key, labels in rows.items() if labels != table_rows[key]]
    problems += [f"{key}: json" for key, doc in documents.items() if from_plain(doc["labels"], Labels) != table_rows[key]]
    counts = {task: Counter(state(getattr(rows[key], task)) for key in rows) for task in (*CLASSES, "speaker_change")}
    kept = con.execute("SELECT segment_id FROM timeline WHERE kind = 'event' AND kept ORDER BY 1").fetchall()
    events = {key for (key,) in kept}
    lost = con.execute(
        "SELECT count(*) FROM timeline WHERE reason = 'segment.no_speech' AND seconds >= ?", [LEAST]
    ).fetchone()  # fmt: skip
    wrong = [
        key
        for key in events
        if (d := documents.get(key)) is None or (d["tier"], d["text"], d["language"]) != ("event", "", "nospeech")
    ]
    tokens = Tokenizer.train([one["text"] or "-" for one in documents.values()])
    reader = ExampleReader(shards, tokens, FbankConfig(num_mels=20), ExampleConfig(augment=None))
    for key in events:
        target = reader(PlannedSample(key, RATE, 1.0, "event"), 0).target
        if (tokens.name(target.prompt[1]), target.learnt[1], target.text, target.ctc) != ("<|nospeech|>", True, (), ()):
            problems.append(f"{key}: loader")
    return {"events": len(events), "lost": lost[0], "wrong": len(wrong), "samples": len(rows), "states": counts}, problems


def read_labels(path: Path) -> list[Labels]:
    """The rows of one file of the table."""
    return from_table(pq.read_table(path).drop_columns(["unit", UNIT_INDEX]), Labels, str(path))


def at_the_loss(work: Path) -> tuple[int, list[str]]:
    """Every combination of null, empty and labelled: what the loader teaches of each class."""
    made = []
    for number, states in enumerate(product(("null", "empty", "labelled"), repeat=len(CLASSES))):
        fields = {
            task: None if one == "null" else Annotation((Mark(VALUES[task]),) if one == "labelled" else (), "check")
            for task, one in zip(CLASSES, states, strict=True)
        }
        one = sample(recording(f"r{number}", 3), 0.5, 1.0)
        one = replace(one, consensus=replace(one.consensus, language=None))  # else it stands in for a label that is missing
        made.append((states, replace(one, labels=Labels(one.key, **fields))))
    root = work / "combinations"
    for plan in plan_shards((s.entry for _, s in made), 1, 10_000_000):
        pack_shard(plan, [s for _, s in made], read_audio, str(root))
    write_index(str(root))
    tokens = Tokenizer.train(["谢谢 thank you"])
    reader = ExampleReader(
        str(root), tokens, FbankConfig(num_mels=20), ExampleConfig(augment=None, targets=TargetsConfig(tasks=("asr", *CLASSES)))
    )
    problems = []
    for states, one in made:
        target = reader(PlannedSample(one.key, one.segment.num_samples, 1.0, "high"), 0).target
        for task, place in zip(CLASSES, range(1, len(CLASSES) + 1), strict=True):
            wanted = {
                "null": (tokens[NOT_KNOWN], False),
                "empty": (tokens[NONE], True),
                "labelled": (tokens.of_class(task, VALUES[task]), True),
            }[states[place - 1]]
            if (target.prompt[place], target.learnt[place]) != wanted:
                problems.append(f"{states}: {task}")
    return len(made), problems


def main() -> None:
    full = full_form(sys.argv)
    heading("check-labels", full, "real speech between noises; 243 made-up samples", ["onnxruntime", "transformers", "torch"])
    with tempfile.TemporaryDirectory(prefix="voxmill-labels-") as folder:
        work = Path(folder)
        paths = sounds(work / "sounds", 6 if full else 2)
        tagger = {
            "kind": "audio_classes", "name": "tagger", "only": ["bgm", "applause", "laughter"],
            "model": str(tiny.write_audio_classifier(work / "tagger")),
        }  # fmt: skip
        gender = {
            "kind": "audio_classes", "name": "gender", "task": "gender", "min_confidence": 0.0,
            "model": str(tiny.write_audio_classifier(work / "gender", ("female", "male"))),
        }  # fmt: skip
        text = {"kind": "text_language", "name": "text"}
        base = config(
            files(paths), [MOONSHINE], segment={"keep_events": True, "min_event_seconds": LEAST},
            select={"single_high": 0.5, "single_weak": 0.3, "single_unlabelled": 0.1}, pack={"buckets": 2}, executor={"kind": "local"},
        )  # fmt: skip
        root, before = work / "run", Counter[str]()

        def step(settings: dict[str, Any]) -> Counter[str]:
            nonlocal before
            run_or_exit(root, settings, env=counting(root))
            now = calls(root)
            found, before = now - before, now
            return found

        off = step(base)
        turns = {"kind": "speaker_turns", "name": "turns"}
        on = step({**base, "label": [text, tagger, gender, turns]})
        changed = step({**base, "label": [{**text, "min_confidence": 0.9}, tagger, gender, turns]})
        found, problems = in_run(root)
        barred = step({**base, "label": [text, tagger, gender, turns], "labels": {"sensitive": False}})
        con = open_catalog(str(root))
        asked = con.execute("SELECT count(*) FROM opinion WHERE task IN ('gender', 'age', 'emotion')").fetchone()[0]
        carried = sum(doc["labels"]["gender"] is not None for doc in (s.document for s in read_run(str(root / "shards"))))
        sound = verified(root)
        number, forgotten = at_the_loss(work)
        shutil.rmtree(root)
    table(
        ("labels in shards", "null", "empty", "labelled"),
        [(task, *(str(c[s]) for s in ("null", "empty", "labelled"))) for task, c in found["states"].items()],
    )
    steps = {"off": off, "on": on, "one changed": changed, "not sensitive": barred}
    table(("step", "stages that ran"), [(name, ", ".join(sorted(c)) or "none") for name, c in steps.items()])
    met: dict[str, Target] = {
        "events": {
            "value": f"{found['events']} samples, {found['lost']} lost, {found['wrong']} wrong",
            "target": "every span without speech of 2 s or more is a sample, with no text and `nospeech`",
            "met": found["events"] > len(paths) and not found["lost"] and not found["wrong"],
        },
        "parquet to tar": {
            "value": len(problems),
            "target": "0 labels differ",
            "met": not problems and found["states"]["speaker_change"]["empty"] > 0,
        },
        "to the loss": {"value": f"{len(forgotten)} of {5 * number}", "target": "0 wrong", "met": not forgotten},
        "off costs nothing": {
            "value": sum(n for stage, n in off.items() if stage.startswith("label")),
            "target": "0 calls",
            "met": not any(stage.startswith("label") for stage in off),
        },
        "a change": {
            "value": ", ".join(sorted(changed)),
            "target": "that labeller, and the merge",
            "met": set(changed) == {"label-text", "label"},
        },
        "sensitive": {"value": f"{asked} asked, {carried} carried", "target": "0, 0", "met": asked == carried == 0},
        "verify": {"value": sound, "target": "the proof holds", "met": sound},
    }
    finish("check-labels", {**found, "steps": {name: dict(c) for name, c in steps.items()}}, met, full)


if __name__ == "__main__":
    main()
