"""What a run tells Prometheus: the table of metrics, where they go, and the executor that counts."""
