"""Drift: whether a client, an agent or a person is still the one that was approved, found in what is recorded."""
