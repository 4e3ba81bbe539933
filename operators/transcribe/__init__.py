"""Speech recognisers behind one Protocol: an adapter file per engine, and the operator that runs any of them on a unit."""
