"""Saved views: queries of lists that people keep under a name, for themselves or for everybody."""
