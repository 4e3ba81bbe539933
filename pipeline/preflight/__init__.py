"""Checks before a run starts: everything that would stop it, or waste hours, reported at once.

No check fetches anything or loads a model (code of your own is imported); the file that probes whether a store can be written is removed again.
"""

from voxmill.pipeline.preflight.all_checks import examine, report_issues
from voxmill.pipeline.preflight.issues import Issue, NotReady, print_issues

__all__ = ["Issue", "NotReady", "examine", "print_issues", "report_issues"]
