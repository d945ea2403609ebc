"""People who sign in to a system at a client: what they agreed to, and the refresh that keeps them signed in."""
