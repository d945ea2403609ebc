"""Signing keys: ours, and public keys from outside."""
