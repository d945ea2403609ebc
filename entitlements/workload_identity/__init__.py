"""Workloads that get an agent's token without a stored secret: rules about what their platform signs of them."""
