"""Token health: what to fix about tokens and credentials."""
