"""Model weights by name: where they come from, whether they are here, and their hashes."""
