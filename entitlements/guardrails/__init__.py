"""Guardrails: the versions of each, and the set of them that every decision asks (`entitlements/decisions`)."""
