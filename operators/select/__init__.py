"""The stage `select`: which segments are kept, in which tier, and the expected error of their labels by calibration."""
