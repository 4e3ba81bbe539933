"""The report of a run: its sections, asked of the run's tables, as one HTML file that needs nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from importlib import resources

from jinja2 import Environment

from voxmill import __version__
from voxmill.manifests.catalog import open_catalog, settle
from voxmill.pipeline.build import as_written
from voxmill.pipeline.report_page import kept_sections, source_sections, work_sections
from voxmill.pipeline.report_page.plots import svg
from voxmill.pipeline.report_page.retention_section import retention_section
from voxmill.pipeline.report_page.section import Cell, Section, asked
from voxmill.pipeline.state.run import Run


def sections(root: str) -> list[Section]:
    """What is said of a run, in the order of the page. Raises RunError, CatalogError, SchemaError."""
    run = Run(root)
    run.written()
    con = open_catalog(root)
    settle(con, "verdict_counts", "retention_counts")
    ask, (config, _) = asked(con), as_written(run)
    return [
        kept_sections.funnel(ask),
        kept_sections.losses(ask),
        retention_section(root),
        kept_sections.agreement(ask),
        work_sections.cost(ask),
        source_sections.hosts(ask, config.crawl.requests_per_second, config.crawl.max_in_flight),
        source_sections.licences(ask),
        source_sections.duplicates(ask),
        work_sections.labels(ask),
    ]


def report_page(name: str, found: list[Section]) -> str:
    """One HTML file, with its plots inside. The same run has the same page."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["code"] = _code
    template = environment.from_string(resources.files(__package__).joinpath("report.html").read_text(encoding="utf-8"))
    drawn = [
        (
            section,
            [[_shown(cell) for cell in row] for row in section.rows],
            _apart(svg(section.figure), n) if section.figure else None,
        )
        for n, section in enumerate(found)
    ]
    page: str = template.render(name=name, version=__version__, sections=drawn)
    return page + "\n"


def _code(text: str) -> str:
    """A text as HTML, in which what stands between backticks is code. It is escaped first, so that only these tags are ours."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _apart(drawing: str, number: int) -> str:
    """An SVG whose ids no other one of the page has."""
    for mark in ('id="', 'href="#', "url(#"):
        drawing = drawing.replace(mark, f"{mark}s{number}-")
    return drawing


@dataclass(frozen=True, slots=True)
class _Shown:
    """A cell as it stands in the page."""

    text: str
    number: bool


def _shown(cell: Cell) -> _Shown:
    if cell is None:
        return _Shown("–", number=True)
    if isinstance(cell, str):
        return _Shown(cell, number=False)
    if isinstance(cell, float):
        return _Shown(f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}", number=True)
    return _Shown(f"{cell:,}", number=True)
