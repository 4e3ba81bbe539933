"""Changing a finished run without running any engine again: `voxmill duplicates` and `voxmill revote`."""
