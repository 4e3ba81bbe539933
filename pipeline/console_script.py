"""The console script `voxmill`: what has to be in order before anything else is imported, the command, and its end."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress


def entry() -> None:
    """Runs the command, then ends by `os._exit`, which skips Python's finalisation.

    Finalisation unwinds C++ threads (of pyarrow, say) that wait for the interpreter, and so aborted about one command in 500 after all its
    work was done. What Python does before that (joining threads, `atexit`, flushing) is done here.
    """
    _open_streams()
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # a shell's background job ignores it
    if heeded:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # nothing has begun: nothing to say, and nothing to end
    import atexit
    import threading

    from voxmill.manifests.attended import attend
    from voxmill.pipeline.cli import main

    code = 0
    attend()
    try:
        if heeded:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        main()
    except KeyboardInterrupt:
        code = 130
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    with suppress(KeyboardInterrupt):
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads any more
            stream.flush()
    os._exit(code)


def _open_streams() -> None:
    """Opens what a caller has closed of standard input, output and error (`voxmill … >&-`): the next file would take its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w", encoding="utf-8"))  # noqa: SIM115 - for as long as it runs


if __name__ == "__main__":
    entry()
