"""Pages of policy domains."""
