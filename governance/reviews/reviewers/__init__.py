"""Reviewer assignment: who is asked to decide, and who takes over."""
