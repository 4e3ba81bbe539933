"""One look ahead, before the first byte: everything that would stop a run, or spend hours for nothing, said at once.

Nothing here writes, fetches or loads; what is tried in a store is removed again.
"""

from voxmill.pipeline.preflight.examine import examine, look_ahead
from voxmill.pipeline.preflight.finding import Finding, NotReady

__all__ = ["Finding", "NotReady", "examine", "look_ahead"]
