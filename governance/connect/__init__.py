"""Connecting a client: recipes for the programs in use, files that roll them out, and the registry of MCP servers."""
