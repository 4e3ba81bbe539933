"""`voxmill report`: a run as one page with plots."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voxmill.pipeline.commands import options
from voxmill.pipeline.terminal.display import Display
from voxmill.pipeline.terminal.output import console


def report(
    run: options.RunRoot,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page (.html); without it, report.html in the run.")
    ] = None,
    pdf: Annotated[
        Path | None, typer.Option(help="Print it into this file (.pdf) too, by a browser that is installed.")
    ] = None,
) -> None:
    """Write a report: one HTML page with plots and tables that needs nothing else, to be sent on or kept with the data.

    It says what was kept and what was not and why, retention by factor with intervals, agreement and the errors to expect, cost, how hosts were
    treated, licences, duplicates and labels. Each figure is asked of the run's tables.

    Examples:

        voxmill report runs/one

        voxmill report runs/one --out talks.html --pdf talks.pdf
    """
    from voxmill.manifests.catalog import CatalogError
    from voxmill.manifests.storage import commit_bytes
    from voxmill.manifests.user_input import new_file
    from voxmill.pipeline.release.cards import name_of
    from voxmill.pipeline.report_page.printed import printed
    from voxmill.pipeline.report_page.report_page import report_page, sections
    from voxmill.pipeline.state.run import Run
    from voxmill.pipeline.state.run_dir import RunError

    for path, suffix in ((out, ".html"), (pdf, ".pdf")):
        if path:
            new_file(path, (suffix,))
    opened = Run(run)
    written: list[str] = []
    with Display() as display:
        display.phase("asking the run's tables")
        try:
            page = report_page(name_of(opened), sections(run))
        except CatalogError as error:
            raise RunError(str(error)) from None
        target = str(out) if out else opened.uri("report.html")
        commit_bytes(target, page.encode(), replace=True)
        written.append(target)
        if pdf:
            display.phase("printing")
            commit_bytes(str(pdf), printed(page), replace=True)
            written.append(str(pdf))
    for file in written:
        console().print(f"written: {file}", soft_wrap=True)
