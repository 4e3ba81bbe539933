"""Rights of authors: revocation with a proof of absence, and attribution tables."""
