"""What of a run was kept, what was not and why, and what its labels are worth."""

from __future__ import annotations

from collections.abc import Callable

from voxmill.pipeline.report_page.plots import bars, histogram
from voxmill.pipeline.report_page.section import Rows, Section
from voxmill.pipeline.terminal.output import amount

Ask = Callable[[str], Rows]

LISTED = 25
"""Most rows of a table, the largest first."""
BINS = 20
"""Of an agreement between 0 and 1."""
_BIN = f"least({BINS - 1}, floor(agreement * {BINS} + 1e-9))::INTEGER"  # the tiny share lets 0.95 begin its own bin
_AGREED = "agreement IS NOT NULL AND kind = 'speech'"
TIERS = ("high", "weak", "unlabelled", "event", "rejected")


def funnel(ask: Ask) -> Section:
    """What went into each stage and came out of it."""
    rows = ask(
        "SELECT stage, counted, rows_in, rows_kept, rows_rejected, seconds_in / 3600, seconds_kept / 3600, seconds_rejected / 3600, balanced"
        " FROM funnel ORDER BY position"
    )
    first, last = (rows[0], rows[-1]) if rows else ((), ())
    hours_in, hours_kept = (first[5] or 0.0, last[6] or 0.0) if rows else (0.0, 0.0)
    open_books = [row[0] for row in rows if not row[8]]
    says = f"Of {hours_in:,.3g} hours, {hours_kept:,.3g} were kept ({_share(hours_kept, hours_in)}). " + (
        f"The books do not balance at {', '.join(open_books)}: run `voxmill verify`."
        if open_books
        else "At every stage what went in is what was kept and what was rejected."
    )
    figure = bars(
        [row[0] for row in rows], {"kept": [row[6] or 0 for row in rows], "rejected": [row[7] or 0 for row in rows]}, "hours"
    )
    head = ("stage", "counted", "in", "kept", "rejected", "hours in", "hours kept", "hours rejected")
    return Section("From what was listed to what was kept", says, head, [row[:8] for row in rows], figure if rows else None)


def losses(ask: Ask) -> Section:
    """The reasons for which something was not kept."""
    rows = ask(
        "SELECT reason, num_rows, seconds / 3600, meaning, advice FROM rejections ORDER BY seconds DESC, num_rows DESC, reason"
    )
    if not rows:
        return Section("Why the rest was not", "Everything was kept.")
    hours = sum(row[2] for row in rows)
    says = f"{amount(len(rows), 'reason')} took {hours:,.3g} hours; the largest is `{rows[0][0]}`: {rows[0][3]}."
    most = rows[:LISTED]
    figure = bars([row[0] for row in most], {"hours": [row[2] for row in most]}, "hours rejected")
    return Section("Why the rest was not", says, ("reason", "rows", "hours", "meaning", "what to do"), most, figure)


def agreement(ask: Ask) -> Section:
    """How far recognisers agreed, and the errors that are to be expected at each agreement."""
    title = "Agreement, and the errors to expect"
    rows = ask(
        f"SELECT {_BIN}, coalesce(tier, 'rejected'), sum(num_samples) / 57.6e6 FROM spans WHERE {_AGREED} GROUP BY ALL ORDER BY ALL"
    )
    if not rows:
        return Section(title, "No segment was heard by two recognisers.")
    hours = {tier: [0.0] * BINS for tier in TIERS}
    for bin_, tier, more in rows:
        hours.setdefault(tier, [0.0] * BINS)[bin_] += more
    edges = [n / BINS for n in range(BINS + 1)]
    errors = [(edges[bin_] + 0.5 / BINS, error) for bin_, error in _errors(ask)]
    figure = histogram(edges, {tier: values for tier, values in hours.items() if any(values)}, "agreement", "hours", errors)
    tiers = ask(
        "SELECT s.tier, count(*), sum(s.num_samples) / 57.6e6, avg(s.agreement::DECIMAL(18, 15)), any_value(e.expected_error) FROM spans AS s"
        " LEFT JOIN expected_by_tier AS e USING (tier) WHERE s.tier IS NOT NULL GROUP BY 1"
        f" ORDER BY list_position({list(TIERS)!r}, s.tier)"
    )
    expected = {row[0]: row[4] for row in tiers if row[4] is not None}
    says = (
        "Errors expected per word, by the run's calibration: "
        + ", ".join(f"{error:.1%} in {tier}" for tier, error in expected.items())
        + "."
        if expected
        else "The run was not selected by a calibration, so what an agreement is worth is not known: `voxmill calibrate`."
    )
    head = ("tier", "segments", "hours", "mean agreement", "errors expected a word")
    return Section(title, says, head, tiers, figure)


def _errors(ask: Ask) -> Rows:
    """(bin of agreement, errors expected per word) where the run has a calibration, weighted by words."""
    weighted = "sum((expected_error * num_slots)::DECIMAL(18, 9)) / nullif(sum(num_slots), 0)"
    return ask(
        f"SELECT {_BIN} AS bin, {weighted} FROM spans WHERE {_AGREED} AND expected_error IS NOT NULL AND num_slots > 0 GROUP BY 1 ORDER BY 1"
    )


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "nothing"
