"""Corpora that people already have, as sources: one file per layout, each of which yields utterances and what cannot be used, in a stream."""
