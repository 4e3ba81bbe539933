"""What happens to one unit of work: crawl, decode, segment, transcribe, reconcile, label, select.

An operator is a class whose `__init__` loads (once per worker) and whose `__call__(work)` returns records.
Nothing here knows of Ray, of run directories, or of another operator.
"""
