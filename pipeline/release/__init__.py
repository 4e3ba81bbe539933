"""What goes with shards to others: a gate that says whether they may go, and cards that say what they are."""
