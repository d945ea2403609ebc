"""Saved views: queries of lists that a person keeps under a name."""
