"""Constraints on one argument of a call: the kinds that there are, and how each reads a value. Pure."""
