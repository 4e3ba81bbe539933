"""The stage `select`: which segments are kept, at which tier, and what calibration says their labels are worth."""
