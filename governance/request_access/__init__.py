"""Requests for access that people make at their MCP client: what the tool `request_access` answers."""
