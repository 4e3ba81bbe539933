"""One look ahead, before the first byte: everything that would stop a run, or spend hours for nothing, said at once.

Nothing here writes, fetches or loads; what is tried in a store is removed again.
"""

from voxmill.pipeline.preflight.ahead import examine, look_ahead
from voxmill.pipeline.preflight.findings import Finding, NotReady, print_findings

__all__ = ["Finding", "NotReady", "examine", "look_ahead", "print_findings"]
