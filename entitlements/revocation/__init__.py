"""Revocation: stop something, wait for every node, keep the receipt."""
