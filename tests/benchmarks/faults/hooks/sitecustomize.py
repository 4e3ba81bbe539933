"""For `bench_faults.py` alone: Python loads this at the start of every process that has this folder on PYTHONPATH.

It plays the two parts that no input can play by itself, as the folder in VOXMILL_FAULTS says:

- A name server whose answers change: names under `.test` lead where `_lookup` says, names under `.invalid` nowhere. The product's own
  code sees nothing but `socket.getaddrinfo`.
- A decoder, or a model, that dies: opening a file named in `deadly/` kills the process with SIGKILL, as the kernel does when memory
  runs out or a codec is broken, or raises as a bug would. The note in `deadly/<name without suffix>` says in which module, or package, the
  file must be opened for it to happen (so that it happens in one stage), and whether to `kill` or to `raise`.
"""

import os
import signal
import socket
import sys
from typing import Any

FOLDER = os.environ.get("VOXMILL_FAULTS", "")
DEADLY = os.path.join(FOLDER, "deadly")


def _lookup(host: str) -> list[str]:
    changed = os.path.exists(os.path.join(FOLDER, "changed"))
    known = {
        "steady.test": ["127.0.0.1"],
        "changing.test": ["127.0.0.2" if changed else "127.0.0.1"],
        "mixed.test": ["127.0.0.1", "127.0.0.2"],
        "inside.test": ["127.0.0.2"],
        "metadata.test": ["169.254.169.254"],
    }
    if host not in known:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return known[host]


def _hook_names() -> None:
    system = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if not isinstance(host, str) or not host.endswith((".test", ".invalid")):
            return system(host, port, *arguments, **options)
        return [answer for address in _lookup(host) for answer in system(address, port, *arguments, **options)]

    socket.getaddrinfo = getaddrinfo


def _is_called_by(module: str) -> bool:
    """Being loaded says nothing: one worker may do several stages."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        name = str(frame.f_globals.get("__name__"))
        if name == module or name.startswith(f"{module}."):
            return True
    return False


def _on_audit(event: str, details: tuple[Any, ...]) -> None:
    if event != "open" or not isinstance(details[0], str):
        return
    folder, name = os.path.split(details[0])
    note = os.path.join(DEADLY, name.partition(".")[0])
    if folder == DEADLY or note == os.path.join(DEADLY, "") or not os.path.exists(note):
        return
    with open(note) as text:
        module, how = text.read().split()
    if _is_called_by(module):
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("a bug that only this file shows")


if FOLDER:
    _hook_names()
    sys.addaudithook(_on_audit)
