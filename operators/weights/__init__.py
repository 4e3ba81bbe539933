"""Model weights by name: where they come from, whether they are here, and what they must hash to."""
