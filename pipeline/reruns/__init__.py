"""Commands that change a finished run without running an engine again: `voxmill duplicates` and `voxmill revote`."""
