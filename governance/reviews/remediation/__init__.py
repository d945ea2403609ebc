"""Remediation: decisions carried out, verified, or excepted."""
