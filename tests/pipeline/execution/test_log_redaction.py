"""What a process writes to its log about an address holds no secret, whoever says it."""

from __future__ import annotations

import subprocess
import sys

import pytest

SECRET = "Sup3rS3cretValue99"
URL = f"https://me:{SECRET}@a.net/x.mp3?X-Amz-Signature={SECRET}"
HEAD = f"""
import logging, sys, threading, warnings
from voxmill.pipeline.execution.log_redaction import be_discreet
from voxmill.pipeline.terminal.output import console, plain
logging.basicConfig(level=logging.DEBUG)
be_discreet()
url = {URL!r}
"""


@pytest.mark.parametrize(
    "code",
    [
        "logging.info('asked for %s', url)",
        "logging.getLogger('some.library').warning(f'{url} is slow')",
        "try:\n    raise OSError(f'no answer at {url}')\nexcept OSError:\n    logging.exception('sorry')",
        "warnings.warn(f'{url} is odd')",
        "raise RuntimeError(f'no answer at {url}')",
        "thread = threading.Thread(target=lambda: [][len(open(url).read())])\nthread.start()\nthread.join()",
        "console().print(f'fetching {url}')\nprint(plain(url))",
        "console(stderr=True).print(f'fetching {url}', style='red')",
    ],
)
def test_it_says_everything_but_the_secret(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", HEAD + code], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert "a.net/x.mp3" in said
    assert SECRET not in said
