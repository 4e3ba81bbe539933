"""A page printed into a PDF, by a browser that is installed: no library draws HTML as a browser does."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from voxmill.manifests.errors import UserError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "brave-browser")
"""Commands of browsers that print without a window, in the order in which they are looked for."""
PATIENCE_S = 120


def printed(page: str) -> bytes:
    """The PDF of an HTML page. Raises UserError where no browser is there, or where it prints nothing."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise UserError(
            f"a PDF is printed by a browser, and none of {', '.join(BROWSERS)} is installed: install one, or open the HTML"
        )
    with tempfile.TemporaryDirectory(prefix="voxmill-report-") as folder:
        source, target = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(page, encoding="utf-8")
        command = [
            browser, "--headless", "--disable-gpu", f"--user-data-dir={folder}/profile", "--no-pdf-header-footer",
            f"--print-to-pdf={target}", source.as_uri(),
        ]  # fmt: skip
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # it does not start as root otherwise; the page is ours, and has no script
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        except subprocess.TimeoutExpired:
            raise UserError(f"{browser} printed nothing within {PATIENCE_S} s: open the HTML and print it from there") from None
        if not target.is_file():
            why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise UserError(f"{browser} printed nothing ({why}): open the HTML and print it from there")
        return target.read_bytes()
