"""What sounds or reads the same: fingerprints of audio, shingles of text, and how they are compared."""
