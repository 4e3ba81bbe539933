"""A plan on the terminal and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console

from voxmill.pipeline.planning.bootstrap import LEVEL, IntervalEstimate
from voxmill.pipeline.planning.machines import MachineGroup
from voxmill.pipeline.planning.prediction import Prediction
from voxmill.pipeline.terminal.output import amount
from voxmill.pipeline.terminal.table import Column, number, print_table, prose

LOST_SHOWN = 8
"""Reasons that are printed; JSON has all."""


def print_plan(plan: Prediction, machines: tuple[MachineGroup, ...], out: Console) -> None:
    """Prints the whole plan."""
    what = f"{amount(plan.listed, 'item')} listed, {plan.tried:,} tried ({plan.tried_hours:.3g} h of audio)"
    out.print(f"{what}; {LEVEL * 100:.0f} % intervals, over {amount(plan.clusters, 'independent draw')}", soft_wrap=True)
    for machine in machines:
        gpus = f", {amount(machine.count * machine.gpus, 'GPU')}" if machine.gpus else ""
        cores = f"{amount(machine.count * machine.cores, 'core')}{gpus}, {machine.count * machine.memory_gb:,.0f} GiB"
        out.print(f"on {machine.count} x {machine.name}: {cores} ({machine.source})", soft_wrap=True)
    out.print()
    rows = [
        (one.name, one.unit, figure(one.estimate.value) if one.estimate else "?", interval(one.estimate), one.basis)
        for one in plan.figures
    ]
    print_table(out, ("predicted", "", number("all"), number("interval"), prose("basis", 1)), rows)
    out.print()
    stages = [
        (
            one.name,
            figure(one.core_hours.value),
            interval(one.core_hours),
            f"{one.unit_s:.2g}",
            f"{one.times_real_time:.3g}" if one.times_real_time else "",
            one.on,
        )
        for one in plan.stages
    ]
    columns = (
        Column("stage"), number("core-hours"), number("interval"), number("s a unit", 2), number("x real time", 1), prose("runs on"),
    )  # fmt: skip
    print_table(out, columns, stages)
    if plan.lost:
        out.print()
        lost = [
            (one.reason, figure(one.hours.value), interval(one.hours), figure(one.items.value) if one.items.value else "")
            for one in plan.lost[:LOST_SHOWN]
        ]
        print_table(out, ("not kept", number("hours"), number("interval"), number("items", 1)), lost)
    out.print()
    for line in (f"bottleneck: {plan.bottleneck}", f"what helps: {plan.advice}", *plan.unknown, *plan.notes):
        out.print(line, soft_wrap=True)


def plan_json(plan: Prediction, machines: tuple[MachineGroup, ...]) -> dict[str, Any]:
    """The whole plan as JSON types; what is not known is null."""
    return {"level": LEVEL, "machines": [asdict(machine) for machine in machines], **asdict(plan)}


def figure(value: float) -> str:
    """A figure with three digits that count.

    >>> figure(1234.5), figure(12.345), figure(0.01234), figure(0)
    ('1,234', '12.3', '0.0123', '0')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def interval(estimate: IntervalEstimate | None) -> str:
    """An interval; empty where there is none because the figure is exact, or not known."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return "?"
    if estimate.low == estimate.high:
        return "exact"
    low, high = figure(estimate.low), figure(estimate.high)
    return f"{low} – {high}" if low != high else "within 1 %"
