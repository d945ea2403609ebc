"""Vendors: systems of the kind `mcp`, whose own authorization servers take our ID-JAGs."""
