"""The page of a run as a folder of files that needs no server: opened from a disk (file://), a bucket or any web server.

    index.html, page.css, *.js     the page
    data/*.js                      answers about all of the run: overview, charts, thresholds, comparison
    data/segments.js               the segments that can be looked at: a sample of each tier
    data/segments/<id>.js          each one's page
    data/audio/<id>.js             its sound, FLAC in base64

Answers are scripts, not JSON: a page that was opened from a disk may load scripts from there, and nothing else.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

from voxmill.manifests.errors import UserError
from voxmill.manifests.storage import commit_bytes, exists, is_folder, names_in
from voxmill.pipeline.view.answers import Viewer
from voxmill.pipeline.view.overview import FACETS, FIRST_SEGMENT_STAGE
from voxmill.pipeline.view.page_files import FILES, page_file
from voxmill.pipeline.view.run_view import Row

MARKER = "voxmill-view.json"
"""Says that a folder holds such a page, and may be written anew."""
POINTS = 25
"""Places of a slider whose answer is in the folder, the run's own value besides."""
COMPARED = 2000
"""Most segments that moved between two runs, and are listed."""
SOUND_CONTEXT_S = 1.0
"""Seconds of context on each side."""

OnStep = Callable[[str], None]


def write_view(viewer: Viewer, out: str, per_tier: int = 100, *, sound: bool = True, on_step: OnStep | None = None) -> Row:
    """Writes the folder, with up to `per_tier` segments of each tier. Returns counts. Raises UserError where `out` holds something else."""
    if is_folder(out) and names_in(out) and not exists(f"{out}/{MARKER}"):
        raise UserError(f"{out} is not empty, and holds no page of a run: give another folder")
    tell = on_step or (lambda text: None)
    commit_bytes(f"{out}/{MARKER}", b"{}\n", replace=True)
    for file in FILES:
        commit_bytes(f"{out}/{file}", page_file(file, live=False), replace=True)
    tell("asking for overview, charts and thresholds")
    for name, params in _questions(viewer):
        _put(out, file_of(name, params), key_of(name, params), viewer.answer(name, params))
    tell("trying thresholds")
    grid = {name: list(_tried(viewer, name, slider)) for name, slider in viewer.answer("thresholds", {})["sliders"].items()}
    _put(out, "what_if", "what_if", {"now": viewer.answer("what_if", {}), "sliders": grid})
    rows = sample(viewer, per_tier)
    heard = 0
    for number, row in enumerate(rows):
        tell(f"segment {number + 1} of {len(rows)}")
        heard += _segment(viewer, out, row["segment_id"], sound)
    _put(out, "segments", "segments", {"rows": rows, "per_tier": per_tier})
    facts = {"mode": "files", "per_tier": per_tier, "segments": len(rows), "sound": sound, "id": viewer.view.name}
    commit_bytes(f"{out}/data/run.js", f"var VOXMILL_RUN = {json.dumps(facts)};\n".encode(), replace=True)
    return {"segments": len(rows), "sounds": heard}


def sample(viewer: Viewer, per_tier: int) -> list[Row]:
    """Up to `per_tier` segments of every tier, spread over the run by a hash, and as many that have no tier; in the run's order."""
    found = viewer.view.ask(
        """
        SELECT segment_id FROM spans WHERE speech QUALIFY row_number() OVER (PARTITION BY tier ORDER BY hash(segment_id), segment_id) <= ?
        """,
        [per_tier],
    )
    wanted = [row["segment_id"] for row in found]
    moved = _moved(viewer) if viewer.other else []
    rows: dict[str, Row] = {row["segment_id"]: row for row in moved}
    for at in range(0, len(wanted), 200):
        answer = viewer.answer("segments", {"ids": ",".join(wanted[at : at + 200]), "size": "200"})
        rows |= {row["segment_id"]: rows.get(row["segment_id"], row) for row in answer["rows"]}
    return sorted(rows.values(), key=lambda row: (row["recording_id"], row["start"]))


def _moved(viewer: Viewer) -> list[Row]:
    rows: list[Row] = []
    for page in range(COMPARED // 500):
        answer = viewer.answer("segments", {"against": "other", "moved": "yes", "page": str(page), "size": "500"})
        rows += answer["rows"]
        if len(answer["rows"]) < 500:
            break
    return rows


def key_of(name: str, params: Row) -> str:
    """Under which the page finds an answer: `name?a=1&b=2`, parameters in order."""
    asked = "&".join(f"{k}={params[k]}" for k in sorted(params))
    return f"{name}?{asked}" if asked else name


def file_of(name: str, params: Row) -> str:
    """The script that holds an answer."""
    return "-".join([name, *(str(params[k]).replace(".", "-") for k in sorted(params))])


def _questions(viewer: Viewer) -> Iterator[tuple[str, dict[str, str]]]:
    for name in ("overview", "choices", "thresholds", "comparison"):
        yield name, {}
    yield "marks", {}
    for facet in FACETS:
        yield "distributions", {"by": facet}
    for facet in ("language", "domain", "host", "licence", "source", "bandwidth"):
        yield "retention", {"by": facet}
    for row in viewer.answer("overview", {})["rejections"]:
        if (row["position"] or 0) < FIRST_SEGMENT_STAGE:
            yield "losses", {"reason": row["reason"]}


def _tried(viewer: Viewer, name: str, slider: Row) -> Iterator[Row]:
    """The answers for places of one slider, all others as the run has them."""
    if slider["now"] is None:
        return
    step = (slider["high"] - slider["low"]) / (POINTS - 1)
    places = {round(slider["low"] + n * step, 4) for n in range(POINTS)} | {slider["now"]}
    if slider["step"] >= 1:
        places = {float(round(place)) for place in places}
    for place in sorted(places):
        yield {"at": place, **viewer.answer("what_if", {"set": json.dumps({name: place})})}


def _segment(viewer: Viewer, out: str, ident: str, sound: bool) -> bool:
    """Writes the page of one segment, and its sound; whether there is one."""
    answer = viewer.answer("segment", {"id": ident, "context": str(SOUND_CONTEXT_S)})
    there = sound and answer["audio"]["source"] is not None
    if there:
        try:
            clip = viewer.sound({"id": ident, "context": str(SOUND_CONTEXT_S)})
            _put(out, f"audio/{ident}", f"audio?id={ident}", base64.b64encode(clip).decode())
        except UserError as error:
            answer["audio"] |= {"source": None, "why": str(error)}
            there = False
    elif answer["audio"]["source"] is not None:
        answer["audio"] |= {"source": None, "why": "this page was written without sound"}
    _put(out, f"segments/{ident}", f"segment?id={ident}", answer)
    return bool(there)


def _put(out: str, file: str, key: str, value: Any) -> None:
    script = f"voxmill.put({json.dumps(key)}, {json.dumps(value, ensure_ascii=False)});\n"
    commit_bytes(f"{out}/data/{file}.js", script.encode(), replace=True)
