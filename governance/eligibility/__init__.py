"""Eligibility: what may be requested, by whom, and what is held already."""
