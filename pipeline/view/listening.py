"""What somebody says who listens: marks of segments, the reference file that `voxmill calibrate` reads, and what to listen to next.

    marks.jsonl        every mark: `right`, `corrected` with the true words, `wrong` without them
    reference.jsonl    {"segment_id": …, "text": …} of those whose true words are known: right and corrected

A segment marked `wrong` whose true words are not given is in no reference: calibrated without such ones, labels look better than they are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from threading import Lock

from voxmill.manifests.errors import UserError
from voxmill.manifests.storage import commit_bytes, read_bytes
from voxmill.manifests.user_input import json_object
from voxmill.pipeline.view.run_view import Row, RunView

MARKS, REFERENCE = "marks.jsonl", "reference.jsonl"
RIGHT, WRONG, CORRECTED = "right", "wrong", "corrected"
KINDS = (RIGHT, WRONG, CORRECTED)
LONGEST = 20_000
"""Characters of a transcript."""
Z = 1.96
"""Of intervals that hold in 95 of 100 cases."""


class Marks:
    """The marks in a folder (a run, mostly), written anew with every one. Raises UserError where the file is damaged."""

    def __init__(self, folder: str) -> None:
        self._folder, self._lock = folder.rstrip("/"), Lock()
        self.rows: dict[str, Row] = {}
        try:
            lines = read_bytes(f"{self._folder}/{MARKS}").decode().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return
        for number, line in enumerate(lines, 1):
            row = json_object(line, f"{self._folder}/{MARKS}, line {number}", "correct it, or remove the file")
            self.rows[str(row.get("segment_id"))] = row

    @property
    def reference(self) -> str:
        """Where the reference file is."""
        return f"{self._folder}/{REFERENCE}"

    def put(self, segment_id: str, mark: str | None, text: str | None) -> None:
        """Marks a segment, or takes its mark away (None), and writes both files."""
        with self._lock:
            self.rows.pop(segment_id, None)
            if mark is not None:
                self.rows[segment_id] = {"segment_id": segment_id, "mark": mark, "text": text}
            rows = list(self.rows.values())
            commit_bytes(f"{self._folder}/{MARKS}", _lines(rows), replace=True)
            commit_bytes(self.reference, _lines(reference_rows(rows)), replace=True)


def reference_rows(rows: list[Row]) -> list[Row]:
    """Those of the marks whose true words are known, as `voxmill calibrate` reads them."""
    return [{"segment_id": row["segment_id"], "text": row["text"]} for row in rows if row["mark"] != WRONG]


def _lines(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def mark(view: RunView, marks: Marks, asked: Mapping[str, object]) -> Row:
    """Sets one mark: `segment_id`, `mark` (None takes it away) and, where it is corrected, `text`. Raises UserError."""
    ident, kind, text = asked.get("segment_id"), asked.get("mark"), asked.get("text")
    if not isinstance(ident, str) or (kind is not None and kind not in KINDS) or not (text is None or isinstance(text, str)):
        raise UserError("a mark needs `segment_id`, `mark` (right, wrong, corrected or null) and, where corrected, `text`")
    rows = view.ask(
        f"SELECT c.text, {_judged(view)} AS judged FROM spans AS t JOIN consensus AS c USING (segment_id)"
        " WHERE t.segment_id = ? AND t.agreed AND t.kind = 'speech'",
        [ident],
    )
    if not rows:
        raise UserError(f"no label of `{ident}` in {view.name} to be marked")
    if not rows[0]["judged"]:
        raise UserError(
            f"`{ident}` has, or may have, personal data, and is not shown whole: whether its label is right cannot be judged"
        )
    if kind == CORRECTED and (text is None or len(text) > LONGEST):
        raise UserError("a corrected segment needs its true words in `text`")
    words = {RIGHT: rows[0]["text"], CORRECTED: text}.get(str(kind))
    marks.put(ident, str(kind) if kind else None, " ".join(words.split()) if words is not None else None)
    return progress(view, marks)


def progress(view: RunView, marks: Marks) -> Row:
    """By tier: hours, segments heard, share of wrong labels with its interval, and of all that is kept; and which tier to hear next."""
    strata = _strata(view, marks)
    kept = [row for row in strata if row["kept"]]
    chosen = next_tier(kept) or next_tier(strata)
    return {
        "tiers": strata,
        "kept": _together(kept),
        "next_tier": chosen,
        "marks": list(marks.rows.values()),
        "reference": REFERENCE,
    }


def next_tier(strata: list[Row]) -> str | None:
    """The tier of which one more segment narrows the interval of all most (Neyman's allocation, one at a time); None where all are heard."""

    def gain(row: Row) -> float:
        heard = row["heard"]
        rate = (row["wrong"] + 2 * row["prior"]) / (
            heard + 2
        )  # two imaginary segments say what is expected before any is heard
        variance = row["hours"] ** 2 * max(rate * (1 - rate), 0.01)
        return float(variance / max(heard, 0.5) - variance / (heard + 1))

    open_ = [row for row in strata if row["heard"] < row["segments"]]
    return str(max(open_, key=gain)["tier"]) if open_ else None


def next_segment(view: RunView, marks: Marks, tier: str | None = None) -> Row:
    """A segment to listen to: of the tier given, or of the one that `next_tier` names, by a hash among those not marked. None: all are."""
    wanted = tier or progress(view, marks)["next_tier"]
    if wanted is None:
        return {"segment_id": None, "tier": None}
    rows = view.ask(
        f"SELECT t.segment_id FROM spans AS t WHERE {_judged(view)} AND t.tier = ? ORDER BY hash(t.segment_id), t.segment_id LIMIT ?",
        [wanted, len(marks.rows) + 1],
    )
    left = [row["segment_id"] for row in rows if row["segment_id"] not in marks.rows]
    return {"segment_id": left[0] if left else None, "tier": wanted}


def _judged(view: RunView) -> str:
    """Which segments `t` have a label that can be judged: where personal data is looked for, those in which none was found."""
    searched = (
        " AND t.segment_id IN (SELECT segment_id FROM redactions WHERE len(masked) = 0 AND text <> '')" if view.redacts else ""
    )
    return f"t.agreed AND t.kind = 'speech'{searched}"


def _strata(view: RunView, marks: Marks) -> list[Row]:
    rows = view.ask(
        f"""
        SELECT t.tier, bool_or(t.kept) AS kept, count(*) AS segments, sum(t.num_samples) / 57.6e6 AS hours,
            least(0.9, greatest(0.05, 10 * coalesce(avg(t.expected_error), 1 - avg(coalesce(t.agreement, t.confidence)), 0.1))) AS prior
        FROM spans AS t WHERE {_judged(view)} AND t.tier IS NOT NULL
        GROUP BY t.tier ORDER BY list_position(['high', 'weak', 'unlabelled', 'rejected'], t.tier)
        """
    )
    heard = list(marks.rows)
    names = ", ".join("?" for _ in heard)
    places = view.ask(f"SELECT segment_id, tier FROM spans WHERE segment_id IN ({names})", heard) if heard else []
    for row in rows:
        mine = [marks.rows[place["segment_id"]]["mark"] for place in places if place["tier"] == row["tier"]]
        row["heard"], row["wrong"] = len(mine), sum(one != RIGHT for one in mine)
        row["low"], row["high"] = wilson(row["wrong"], row["heard"])
    return rows


def wilson(wrong: int, heard: int) -> tuple[float, float]:
    """Wilson's interval of a share.

    >>> tuple(round(end, 2) for end in wilson(1, 10))
    (0.02, 0.4)
    """
    if not heard:
        return 0.0, 1.0
    share, z2 = wrong / heard, Z * Z
    middle, reach = share + z2 / (2 * heard), Z * math.sqrt(share * (1 - share) / heard + z2 / (4 * heard * heard))
    return max(0.0, (middle - reach) / (1 + z2 / heard)), min(1.0, (middle + reach) / (1 + z2 / heard))


def _together(strata: list[Row]) -> Row | None:
    """Share of wrong labels in all tiers together, each with the weight of its hours; None where one of them was not heard."""
    hours = sum(row["hours"] for row in strata)
    if not strata or not hours or any(not row["heard"] for row in strata):
        return None
    share = variance = 0.0
    for row in strata:
        weight, rate = row["hours"] / hours, (row["wrong"] + 1) / (row["heard"] + 2)
        share += weight * row["wrong"] / row["heard"]
        variance += weight**2 * rate * (1 - rate) / row["heard"]
    reach = Z * math.sqrt(variance)
    return {"share": share, "low": max(0.0, share - reach), "high": min(1.0, share + reach)}
