"""A model in a folder: writing it, and reading it without trusting it."""
