"""Questions to a run: what was kept and why, whether the proof holds, what labels are worth, what a run would cost."""
