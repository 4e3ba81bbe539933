"""Speech recognisers behind one seam: one adapter file per engine, and the operator that runs any of them on a unit."""
