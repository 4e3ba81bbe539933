"""What a run keeps, and nothing else holds: its folder or bucket, listing, units, ledger, tables; the lease on all of it."""
