"""What learns from shards: features, tokens, the elastic mixture-of-experts model, training, evaluation, export (to come)."""
