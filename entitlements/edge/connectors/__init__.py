"""Connectors: how the programs inside a company's network reach this node."""
