"""The tables of an evidence pack."""
