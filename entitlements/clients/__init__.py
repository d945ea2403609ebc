"""OAuth clients of agents, and their credentials."""
