"""Decoys for people: planting and ending them, what touched them, and the risk signal that follows a touch."""
