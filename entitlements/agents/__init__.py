"""Agents, and what they run."""
