"""Pages of token health."""
