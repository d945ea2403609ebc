"""Talking to other systems: the one way out, MCP, headers."""
