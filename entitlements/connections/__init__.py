"""Connections: the agent of one person at a client whose people each have an agent of their own."""
