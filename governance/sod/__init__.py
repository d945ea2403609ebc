"""Separation of duties: policies, violations, exceptions."""
