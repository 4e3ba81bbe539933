"""Kept segments to shards: the plan, the packer, and what could not be packed."""
