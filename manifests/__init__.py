"""What a record *is*: typed records, their Arrow schemas, Parquet, ids, reasons, validation and the DuckDB catalog.

This folder defines manifests; the data itself lives in a run directory, outside the repository.
"""
