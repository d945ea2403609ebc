"""Issuers whose signed assertions are accepted."""
