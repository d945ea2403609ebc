"""Grants: what an agent holds, for whom, until when."""
