"""Grants as the console shows them."""
