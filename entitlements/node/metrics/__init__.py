"""What a node counts, for the metrics of its host."""
