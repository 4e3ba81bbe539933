"""One look ahead, before the first byte: everything that would stop a run, or spend hours for nothing, said at once.

Nothing here writes, fetches or loads; what is tried in a store is removed again.
"""

from voxmill.pipeline.preflight.all_checks import examine, report_issues
from voxmill.pipeline.preflight.issues import Issue, NotReady, print_issues

__all__ = ["Issue", "NotReady", "examine", "print_issues", "report_issues"]
