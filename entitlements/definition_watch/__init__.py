"""Definitions compared at once: when a client lists the tools of a system, and when the system says they changed."""
