"""Newer signals: open items weighed again each night, as information."""
