"""What MCP says beside one request and its answer."""
