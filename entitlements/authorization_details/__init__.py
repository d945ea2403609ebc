"""Authorization details (RFC 9396) of type `mcp_tool_call`: which tools a token may call, with which arguments."""
