"""Connectors: programs inside a company's network that dial out to the gateway and relay connections."""
