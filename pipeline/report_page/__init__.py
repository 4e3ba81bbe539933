"""`voxmill report`: a run as one page with plots, to be handed on."""
