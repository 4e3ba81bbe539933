"""A report of a small run of real speech: its figures, and that its page needs nothing from outside and shows data as data."""

from __future__ import annotations

import shutil
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from speech.packaged import TWO_CITIES
from voxmill.manifests.catalog import open_catalog
from voxmill.manifests.errors import UserError
from voxmill.pipeline.cli import app
from voxmill.pipeline.execution.host_limit_server import open_gate
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.report_page.plots import bars, histogram
from voxmill.pipeline.report_page.printed import BROWSERS, printed
from voxmill.pipeline.report_page.report_page import report_page, sections
from voxmill.pipeline.report_page.section import Section
from voxmill.pipeline.runner import run_line
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.terminal.progress import Progress

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("report")]


class Page(HTMLParser):
    """What a page holds: the ids of its elements, where its links lead, its elements and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("href", "src", "xlink:href"):
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("report") / "talks"
    engines = [
        {"kind": "python", "name": name, "call": "benchmarks.instant:Instant", "version": "1"} for name in ("one", "two")
    ]
    settings = parse_config({
        "sources": [{"name": "two-cities", "path": str(TWO_CITIES.path), "language": "en", "licence": "cc0-1.0"}],
        "crawl": {"contact": "tests@example.org"}, "transcribe": engines, "pack": {"buckets": 1, "shard_mb": 1},
        "select": {"languages": [], "rate_fence": None, "allow_unknown_licence": True},
    })  # fmt: skip
    run = Run(str(root))
    with open_gate("machine", run, settings.crawl) as gate:
        run_line(settings, run, LocalExecutor(in_process=True), gate, Progress(quiet=True))
    return root


def test_sections_say_what_the_tables_do(finished: Path) -> None:
    found = {section.title: section for section in sections(str(finished))}
    con = open_catalog(str(finished))
    rows = con.execute("SELECT stage, rows_in, rows_kept, rows_rejected FROM funnel ORDER BY position").fetchall()
    funnel = found["From what was listed to what was kept"]
    assert [(row[0], *row[2:5]) for row in funnel.rows] == rows
    assert all(len(row) == len(section.head) for section in found.values() for row in section.rows)
    ((samples, hours),) = con.execute("SELECT count(*), sum(num_samples) / 57.6e6 FROM samples").fetchall()
    assert samples
    assert list(found["Licences"].rows) == [("cc0-1.0", samples, hours)]
    heard = sum(row[2] for row in found["Agreement, and the errors to expect"].rows)  # type: ignore[misc]
    ((spoken,),) = con.execute("SELECT sum(num_samples) / 57.6e6 FROM spans WHERE tier IS NOT NULL").fetchall()
    assert heard == pytest.approx(spoken)


def test_sums_of_fractions_do_not_depend_on_the_order_of_threads(finished: Path) -> None:
    """Sums of floats do, in the last place, and a figure that lies between two printed digits is then now one, now the other."""
    con = open_catalog(str(finished))
    times = [Decimal(f"{one:.6f}") for (one,) in con.execute("SELECT cpu_s FROM costs").fetchall()]
    ((cpu,),) = con.execute("SELECT cpu_hours FROM cost").fetchall()
    assert cpu == float(sum(times)) / 3600
    ((by_stage,),) = con.execute("SELECT sum((cpu_hours * 3600)::DECIMAL(18, 6)) FROM cost_by_stage").fetchall()
    assert by_stage == sum(times)


def test_a_page_needs_nothing_from_outside_and_is_always_the_same(finished: Path) -> None:
    first, second = (report_page("talks", sections(str(finished))) for _ in range(2))
    assert first == second
    page = Page(first)
    assert len(set(page.ids)) == len(page.ids)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert all(link.startswith("#") for link in page.links)
    assert "script" not in page.tags
    assert "svg" in page.tags
    assert str(finished) not in first


def test_data_is_shown_and_not_obeyed() -> None:
    nasty = "<script>alert(1)</script> $\\alpha$ `x` 中"
    plots = [
        bars([nasty], {nasty: [1.0], "b": [2.0]}, nasty, [(2.5, 4.0)]),
        histogram([0, 0.5, 1], {nasty: [1, 2]}, nasty, nasty, [(0.2, 0.1)]),
    ]
    page = Page(
        report_page(nasty, [Section(nasty, nasty, (nasty,), [(nasty,), (1234,), (0.25,), (None,)], one) for one in plots])
    )
    assert "script" not in page.tags
    assert "<script>alert(1)</script> $\\alpha$" in page.text
    assert "1,234" in page.text
    assert page.tags.count("code") == 4  # of the sentence and of the cell, in both sections


def test_the_command_writes_beside_the_run_or_where_it_is_told(finished: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(finished, tmp_path / "talks"))
    said = CliRunner().invoke(app, ["report", str(copied)])
    assert (said.exit_code, said.stdout) == (0, f"written: {copied}/report.html\n")
    assert CliRunner().invoke(app, ["verify", str(copied)]).exit_code == 0
    said = CliRunner().invoke(app, ["report", str(copied), "-o", str(tmp_path / "other.html")])
    assert (tmp_path / "other.html").read_bytes() == (copied / "report.html").read_bytes()


def test_without_a_browser_there_is_a_page_and_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="is installed: install one, or open the HTML"):
        printed("<p>x</p>")


@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="no browser is installed: apt-get install chromium")
def test_a_browser_prints_it() -> None:
    assert printed("<p>x</p>").startswith(b"%PDF-")
