"""Local MCP servers that speak over their standard input and output, as contained children of this node."""
