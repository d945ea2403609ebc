"""Blast radius of an agent, and what approving a request would mean for it."""
