"""Secrets at rest: sealed, and the vault of upstream credentials."""
