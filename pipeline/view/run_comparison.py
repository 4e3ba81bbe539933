"""Two runs side by side: how many segments are in which tier here and there. Which ones they are is a filter of the segment table."""

from __future__ import annotations

from collections.abc import Mapping

from voxmill.pipeline.view.run_view import AGAINST, Row, RunView


def comparison(view: RunView, params: Mapping[str, str]) -> Row:
    """Segments and hours by their tier and verdict in this run and in the other (None: not there), and the hours that each keeps.

    Segments are the same where they are the same span of the same recording. Those of the other run alone are counted without hours.
    """
    if AGAINST not in view.made:
        return {"other": None, "rows": []}
    rows = view.ask(
        f"""
        SELECT t.tier, t.kept, w.tier AS tier_then, w.kept AS kept_then, t.segment_id IS NOT NULL AS here, w.segment_id IS NOT NULL AS there,
            count(*) AS segments, coalesce(sum(t.num_samples), 0) / 57.6e6 AS hours
        FROM (SELECT segment_id, tier, kept, num_samples FROM spans WHERE speech) AS t
        FULL JOIN (SELECT segment_id, tier, kept FROM {AGAINST}) AS w ON w.segment_id = t.segment_id
        WHERE t.segment_id IS NOT NULL OR w.tier IS NOT NULL
        GROUP BY ALL ORDER BY ALL
        """
    )
    return {"other": view.other_name, "rows": [row | {"moved": _moved(row)} for row in rows]}


def _moved(row: Row) -> bool:
    return bool(row["here"] and row["there"] and (row["tier"], row["kept"]) != (row["tier_then"], row["kept_then"]))
