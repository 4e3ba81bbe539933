"""The share of speech that was kept by language, domain and other factors, with intervals."""

from __future__ import annotations

from voxmill.pipeline.report_page.kept_sections import LISTED
from voxmill.pipeline.report_page.plots import bars
from voxmill.pipeline.report_page.section import Section
from voxmill.pipeline.reports.retention import retention
from voxmill.pipeline.state.run_dir import RunError

TITLE = "Retention by factor"


def retention_section(root: str) -> Section:
    """As `voxmill retention` says it, with what each factor does on its own where a model can tell."""
    try:
        found = retention(root)
    except RunError as error:
        return Section(TITLE, f"{error}.")
    rows = found.shares[:LISTED]
    sampled = f", a sample of {found.sampled:.1%} of the segments" if found.sampled < 1 else ""
    says = f"Shares of the hours of speech, with 95 % bootstrap intervals over {found.recordings:,} recordings{sampled}. " + (
        "On their own (" + found.model + "): " + "; ".join(
            f"{e.factor} {e.value} against {e.against} {100 * e.change:+.1f} points ({100 * e.low:+.1f} to {100 * e.high:+.1f})"
            for e in found.effects[:LISTED]
        )
        if found.effects
        else found.model
    )  # fmt: skip
    figure = bars(
        [f"{one.factor}: {one.value}" for one in rows],
        {"kept": [one.kept for one in rows]},
        "share of the hours of speech that was kept",
        [(one.low, one.high) for one in rows],
        1.0,
    )
    head = ("factor", "class", "segments", "hours", "kept", "from", "to")
    table = [(o.factor, o.value, o.segments, o.hours, o.kept, o.low, o.high) for o in rows]
    return Section(TITLE, f"{says}.", head, table, figure)
