"""Spot checks: some decisions are made again by another reviewer."""
