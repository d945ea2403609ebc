"""Clients of agents and their credentials, as the console shows them."""
