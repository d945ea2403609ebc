"""Agents as the console shows them."""
