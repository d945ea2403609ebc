"""Calls of tools that become tasks: their ids, what is asked about them later, and what clients hear of them."""
