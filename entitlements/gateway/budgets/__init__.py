"""What a call through the gateway takes of its budgets, and what its answer used."""
