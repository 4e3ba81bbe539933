"""`voxmill view`: a run as a page to look at and listen to."""

from __future__ import annotations

import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from voxmill.pipeline.commands import complete, options
from voxmill.pipeline.terminal.display import Display
from voxmill.pipeline.terminal.output import amount, console, print_json

if TYPE_CHECKING:
    from voxmill.pipeline.view.answers import Viewer


def view(
    run: options.RunRoot,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", help="Write the page as a folder of files (or below a bucket prefix) instead of serving it."
        ),
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve the page on 127.0.0.1 until Ctrl-C; what happens without --out.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(help="Another run to compare with: which segments are in another tier.", autocompletion=complete.runs),
    ] = None,
    marks: Annotated[
        str | None,
        typer.Option(help="Folder for what is marked, and for the reference that `calibrate` reads; default: the run."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0: a free one.")] = 0,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    per_tier: Annotated[
        int, typer.Option(min=1, max=20_000, help="With --out: segments of each tier that can be looked at.")
    ] = 100,
    sound: Annotated[bool, typer.Option("--sound/--no-sound", help="With --out: with the sound of these segments.")] = True,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Look at a run and listen to it, in a browser: funnel, charts, segments, thresholds, another run beside it; mark what is wrong.

    Served, the page has all segments, and marks are kept. Written as files it has a sample of each tier, and needs no server. Nothing is
    loaded from anywhere else. Personal data that the run has found is masked and silent.

    Examples:

        voxmill view runs/one

        voxmill view runs/one --against runs/two --open

        voxmill view runs/one -o pages/one --per-tier 50
    """
    from voxmill.manifests.errors import UserError
    from voxmill.manifests.user_input import new_folder
    from voxmill.pipeline.view.answers import Viewer

    if out and serve:
        raise UserError("--serve and --out: a folder of files needs no server; leave one of them out")
    if out and port:
        raise UserError("--port and --out: a folder of files needs no server; leave one of them out")
    for folder in filter(None, (out, marks)):
        new_folder(folder)
    viewer = Viewer(run, against, marks)
    if out:
        from voxmill.pipeline.view.static_view import write_view

        with Display(quiet=quiet or as_json) as display:
            made = write_view(viewer, out.rstrip("/"), per_tier, sound=sound, on_step=display.phase)
        index = f"{out.rstrip('/')}/index.html"
        if as_json:
            print_json({"page": index, **made})
        else:
            held = f"{amount(made['segments'], 'segment')}, {made['sounds']} with sound"
            console().print(f"{index}: {held}; open it in a browser", soft_wrap=True)
        if open_browser and "://" not in index:
            webbrowser.open(index)
        return
    _serve(viewer, port, open_browser=open_browser, quiet=quiet, as_json=as_json)


def _serve(viewer: Viewer, port: int, *, open_browser: bool, quiet: bool, as_json: bool) -> None:
    """Answers until Ctrl-C. Raises UserError where the port is taken."""
    from voxmill.manifests.errors import UserError
    from voxmill.pipeline.view.view_server import HOST, ViewServer

    try:
        server = ViewServer(viewer, port)
    except OSError as error:
        raise UserError(f"port {port} of {HOST} cannot be had ({error.strerror}): --port 0 takes a free one") from None
    with server:
        if as_json:
            print_json({"address": server.address})
        else:
            print(server.address, flush=True)  # as it is: a console would mask the random part
            if not quiet:
                console(stderr=True).print("the page is for this machine alone; Ctrl-C ends it", soft_wrap=True)
        if open_browser:
            webbrowser.open(server.address)
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            return
