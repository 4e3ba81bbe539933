"""Finds recordings that sound or read the same: audio fingerprints, text shingles, and their indices."""
