"""The command `ray`, for a machine that is busy: `ray start` gives its node 30 seconds to be there, which no option changes.

python -m cluster.patient_ray start --head …
"""

from __future__ import annotations

import time
from typing import Any

from ray._private import services
from ray.scripts.scripts import main

PATIENCE_S = 300.0
_get_node = services.get_node


def get_node(*place: Any, **more: Any) -> Any:
    """Ray's own, asked until it answers."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return _get_node(*place, **more)
        except RuntimeError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


if __name__ == "__main__":
    services.get_node = get_node
    main()
