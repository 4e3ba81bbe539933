"""Checkpoints: a model with its tokeniser and training state in a folder, checked when read."""
