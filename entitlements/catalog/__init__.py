"""Systems, tools with pinned definitions, entitlements."""
