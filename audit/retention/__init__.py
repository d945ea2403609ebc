"""What is kept how long: partitions, erasure."""
