"""Sessions of agents: an agent's run for one person."""
