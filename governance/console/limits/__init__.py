"""Limits on arguments as form fields, and what narrows access in a form."""
