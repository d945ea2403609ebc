"""Campaigns: one run of an access review, from its draft to its closing."""
