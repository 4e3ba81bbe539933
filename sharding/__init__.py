"""How rows become files: deterministic tars with Parquet sidecars, their index, their readers, and exports to other layouts.

`layout` decides which sample goes where, `writer` makes one shard, `index` and `reader` find and open samples,
`verify` proves that a folder of shards holds exactly what it should. Nothing here knows of Ray or of recognisers.
"""
