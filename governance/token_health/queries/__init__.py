"""What pages and the API read of token health."""
