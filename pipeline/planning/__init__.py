"""`voxmill plan`: a sample of the sources through the real line, and what it says of the whole on stated machines."""
