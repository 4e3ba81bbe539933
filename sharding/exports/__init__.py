"""Committed shards in the layouts of other toolkits: what `voxmill export-data` writes.

`export_plan` says which samples go where, `exported_sample` what is carried of each, one file for each toolkit how it is laid out;
`format_table` lists them, `data_export` runs an export, `export_files` writes its files.
"""
