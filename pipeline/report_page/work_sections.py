"""What a run cost, and how far its labellers answered."""

from __future__ import annotations

from voxmill.pipeline.report_page.kept_sections import Ask
from voxmill.pipeline.report_page.plots import bars
from voxmill.pipeline.report_page.section import Section


def cost(ask: Ask) -> Section:
    """Hours of work for an hour that was kept, by stage."""
    rows = ask(
        "SELECT stage, device, num_units, wall_hours, cpu_hours, times_real_time, cpu_per_kept_hour,"
        " wall_per_kept_hour, max_rss_gb FROM cost_by_stage"
    )
    if not rows:
        return Section("Cost", "Nothing was measured.")
    ((kept, cpu, gpu, cpu_per_hour),) = ask("SELECT kept_hours, cpu_hours, gpu_hours, cpu_per_kept_hour FROM cost")
    says = f"{cpu:,.3g} CPU hours and {gpu:,.3g} GPU hours for {kept or 0:,.3g} hours that were kept" + (
        f": {cpu_per_hour:.3f} CPU hours an hour." if cpu_per_hour is not None else "."
    )
    for engine, requests, hours, price in ask("SELECT engine, num_requests, hours, price FROM service_cost"):
        says += f" {engine} was asked {requests:,} times for {hours:,.3g} hours of audio" + (
            f", which comes to {price:,.4g} by its prices." if price else "."
        )
    figure = bars([row[0] for row in rows], {"CPU": [row[4] or 0 for row in rows]}, "CPU hours")
    head = (
        "stage",
        "device",
        "units",
        "hours",
        "CPU hours",
        "x real time",
        "CPU hours a kept hour",
        "hours a kept hour",
        "most GB",
    )
    return Section("Cost", says, head, rows, figure)


def labels(ask: Ask) -> Section:
    """The share of what each labeller was asked that it answered."""
    rows = ask(
        "SELECT task, labeller, model, num_asked, num_labelled, coverage, labelled_s / 3600, mean_confidence, num_refused, num_contradicted"
        " FROM label_coverage ORDER BY task, labeller"
    )
    if not rows:
        return Section("Labels beside the words", "No labeller was asked.")
    says = f"{len(rows)} labellers of {len({row[0] for row in rows})} tasks; contradicted: another labeller says otherwise."
    figure = bars(
        [f"{row[0]}: {row[1]}" for row in rows], {"answered": [row[5] or 0 for row in rows]}, "share answered", most=1.0
    )
    head = (
        "task", "labeller", "model", "asked", "answered", "share", "hours", "mean confidence", "refused", "contradicted",
    )  # fmt: skip
    return Section("Labels beside the words", says, head, rows, figure)
