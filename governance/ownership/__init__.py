"""Ownership of agents: proposals, leavers, dormant agents."""
