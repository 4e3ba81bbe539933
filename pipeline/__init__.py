"""How operators become a run: stages, units, the ledger, two executors, config, progress and the command line."""
