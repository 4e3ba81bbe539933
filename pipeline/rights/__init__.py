"""What must go and what must be named: revocation with its proof, and attribution."""
