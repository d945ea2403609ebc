"""Newer signals: the current suggestion for open items, evaluated each night, as information."""
