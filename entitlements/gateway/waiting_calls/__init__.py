"""Calls of stateless clients that wait, open at a node, for what their client answers to a legacy system."""
